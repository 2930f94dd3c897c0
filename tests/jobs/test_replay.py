"""Replays: a refused delivery is one command away from being applied."""

import threading

import pytest
from hubtest import FIXTURES, ONETAP, UNIFIED, Client, fixture
from serving import eventually

from hub.domain.delivery import Emptied, Outcome
from hub.errors import NotFound, NotReplayable
from hub.record import deliveries
from hub.store.deliveries import empty

CHECK_IN = {
    "type": "attendance",
    "data": {"student_identifier": "a1", "event_identifier": "Weekly Meeting"},
}
DOOR = """
from hub import OPEN, CheckIn, Source, hookimpl

def normalize(payload):
    {body}

@hookimpl
def register_sources():
    return [Source(name="door", path="door", authenticate=OPEN, schema={{"type": "object"}},
        normalize=normalize)]
"""


def refused(client, **headers):
    reply = client.post(UNIFIED, CHECK_IN, headers=headers)
    assert reply.status == 404
    return reply.headers["x-delivery-id"]


def attempts(hub, delivery):
    with hub.store.reading() as db:
        return deliveries.attempts(db, deliveries.find(db, delivery))


def test_a_replay_applies_what_was_refused_and_keeps_the_first_refusal(hub, calls, client, rows):
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    done = hub.replays.replay(delivery)
    assert (done.number, done.settlement.outcome, done.settlement.status) == (2, "applied", 201)
    (attendance,) = rows("Attendance")
    assert attendance["delivery"] == delivery
    (row,) = [row for row in rows("Delivery") if row["id"] == delivery]
    assert (row["outcome"], row["status"], row["waiting"]) == ("applied", 404, None)
    assert "Student with identifier a1 not found" in row["answer"]
    assert [(one.number, one.outcome, one.status) for one in attempts(hub, delivery)] == [
        (1, Outcome.REFUSED, 404),
        (2, Outcome.APPLIED, 201),
    ]


def test_a_check_in_without_a_time_was_when_it_was_received(hub, calls, client, rows):
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    hub.replays.replay(delivery)
    (row,) = [row for row in rows("Delivery") if row["id"] == delivery]
    (attendance,) = rows("Attendance")
    assert attendance["checked_in_at"] == row["received_at"].replace(microsecond=0)


def test_a_replay_that_is_refused_again_is_an_attempt_too(hub, calls, client, rows):
    delivery = refused(client)
    calls.student("a1")
    assert hub.replays.replay(delivery).settlement.outcome is Outcome.REFUSED
    (row,) = [row for row in rows("Delivery") if row["id"] == delivery]
    assert row["waiting"] == "event name:Weekly Meeting"
    assert [one.number for one in attempts(hub, delivery)] == [1, 2]
    hub.replays.replay(delivery)
    assert [one.number for one in attempts(hub, delivery)] == [1, 2, 3]


def test_a_trial_changes_nothing(hub, calls, client, rows):
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    before = rows("Delivery")
    done = hub.replays.replay(delivery, trial=True)
    assert (done.number, done.settlement.outcome) == (None, "applied")
    assert (rows("Delivery"), rows("Attendance"), rows("Attempt")) == (before, [], [])


def test_what_was_applied_or_repeated_is_left_alone(hub, client, calls):
    applied = calls.student("a1").headers["x-delivery-id"]
    with pytest.raises(NotReplayable, match="was applied"):
        hub.replays.replay(applied)
    first = client.post(UNIFIED, {"type": "x"}, headers={"Idempotency-Key": "k"})
    again = client.post(UNIFIED, {"type": "x"}, headers={"Idempotency-Key": "k"})
    assert again.headers["x-delivery-replayed"] == "true"
    with pytest.raises(NotReplayable, match="repeats another one"):
        hub.replays.replay(again.headers["x-delivery-id"])
    assert hub.replays.replay(first.headers["x-delivery-id"]).number == 2


@pytest.mark.parametrize("identifier", ["", "x", "0" * 28, "é" * 28, "0" * 10_000])
def test_an_unknown_id_is_named(hub, identifier):
    with pytest.raises(NotFound, match=r"^Delivery .{0,64} not found$"):
        hub.replays.replay(identifier)


@pytest.mark.parametrize(
    ("why", "details"),
    [(Emptied.RETENTION, "keep_bodies"), (Emptied.FORGOTTEN, "was forgotten")],
)
def test_without_a_body_there_is_nothing_to_replay(hub, client, why, details):
    delivery = refused(client)
    with hub.store.writing() as tx:
        empty(tx, delivery, why)
    with pytest.raises(NotReplayable, match="has no body any more") as raised:
        hub.replays.replay(delivery)
    assert details in raised.value.details


def test_a_mended_plugin_applies_what_its_bug_failed(make_hub, tmp_path, rows, calls):
    calls.student("a1")
    calls.event()
    file = tmp_path / "plugins" / "door.py"
    file.parent.mkdir()
    file.write_text(DOOR.format(body="return payload['oops']"))
    broken = make_hub(plugins=str(file.parent))
    reply = Client(broken).post("/api/webhook/door/", {"badge": "a1"})
    delivery = reply.headers["x-delivery-id"]
    assert reply.status == 500
    assert broken.replays.replay(delivery).settlement.outcome is Outcome.FAILED
    body = "yield CheckIn(student=payload['badge'], event='Weekly Meeting')"
    file.write_text(DOOR.format(body=body))
    mended = make_hub(plugins=str(file.parent))
    assert mended.replays.replay(delivery).settlement.outcome is Outcome.APPLIED
    assert rows.count("Attendance") == 1


def test_a_source_that_is_gone_is_named(make_hub, hub, tmp_path):
    file = tmp_path / "plugins" / "door.py"
    file.parent.mkdir()
    file.write_text(DOOR.format(body="return payload['oops']"))
    reply = Client(make_hub(plugins=str(file.parent))).post("/api/webhook/door/", {})
    with pytest.raises(NotReplayable, match="source door, which no plugin declares"):
        hub.replays.replay(reply.headers["x-delivery-id"])


def test_two_replays_at_once_apply_it_once(make_hub, client, calls, rows):
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    outcomes = []
    together = threading.Barrier(4)

    def replay():
        hub = make_hub()
        together.wait()
        try:
            outcomes.append(str(hub.replays.replay(delivery).settlement.outcome))
        except NotReplayable as refused:
            outcomes.append(type(refused).__name__)
        hub.store.close()

    threads = [threading.Thread(target=replay) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["NotReplayable"] * 3 + ["applied"]
    assert (rows.count("Attendance"), rows.count("Attempt")) == (1, 2)


def test_the_senders_retry_gets_the_answer_of_what_was_applied_later(hub, client, calls, rows):
    delivery = refused(client, **{"Idempotency-Key": "k"})
    calls.student("a1")
    calls.event()
    done = hub.replays.replay(delivery)
    again = client.post(UNIFIED, CHECK_IN, headers={"Idempotency-Key": "k"})
    assert (again.status, again.headers["x-delivery-replayed"]) == (201, "true")
    assert again.body.decode() == done.settlement.answer
    assert rows.count("Attendance") == 1


def test_a_key_keeps_its_first_remembered_answer_whatever_is_tried_later(hub, client, rows):
    passport = {"event": "passport.created", "data": {}}
    first = client.post(ONETAP, passport, headers={"Idempotency-Key": "k"})
    hub.replays.replay(first.headers["x-delivery-id"])
    assert rows("Delivery")[0]["key_attempt"] is None
    again = client.post(ONETAP, passport, headers={"Idempotency-Key": "k"})
    assert (again.body, again.headers["x-delivery-replayed"]) == (first.body, "true")


def test_observers_see_a_replay(make_hub, tmp_path, client, calls):
    seen = tmp_path / "seen"
    file = tmp_path / "plugins" / "watch.py"
    file.parent.mkdir()
    file.write_text(
        "import hub\n"
        "@hub.hookimpl\n"
        "def delivery_committed(delivery):\n"
        f"    with open({str(seen)!r}, 'a') as file:\n"
        "        file.write(f'{delivery.delivery.id} {delivery.outcome}\\n')\n"
    )
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    make_hub(plugins=str(file.parent)).replays.replay(delivery)
    eventually(seen.exists)
    eventually(lambda: seen.read_text() == f"{delivery} applied\n")


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("onetap/*.json")), ids=lambda path: path.stem)
def test_every_delivery_of_onetap_may_be_replayed_or_says_why_not(hub, client, path):
    reply = client.post(ONETAP, fixture(f"onetap/{path.stem}"))
    try:
        done = hub.replays.replay(reply.headers["x-delivery-id"])
    except NotReplayable:
        assert reply.status in (200, 201)
    else:
        assert done.settlement.outcome in (Outcome.REFUSED, Outcome.IGNORED, Outcome.APPLIED)


def failing(hub, monkeypatch, client, headers=()):
    """A delivery that a fault of a plugin failed; its id."""
    with monkeypatch.context() as patch:
        patch.setattr(hub.plugins.hooks, "veto", lambda *_: 1 / 0)
        reply = client.post(UNIFIED, CHECK_IN, headers=headers)
    assert reply.status == 500
    return reply.headers["x-delivery-id"]


KEY = {"Idempotency-Key": "k"}


class TestKeys:
    @pytest.fixture(autouse=True)
    def _known(self, calls):
        calls.student("a1")
        calls.event()

    def test_a_retry_gets_the_answer_of_the_replay_that_was_the_first_to_decide(
        self, hub, client, monkeypatch, rows
    ):
        delivery = failing(hub, monkeypatch, client, KEY)
        done = hub.replays.replay(delivery)
        assert done.settlement.outcome is Outcome.APPLIED
        retry = client.post(UNIFIED, CHECK_IN, headers=KEY)
        assert (retry.status, retry.body.decode()) == (201, done.settlement.answer)
        assert retry.headers["x-delivery-replayed"] == "true"
        assert client.post(UNIFIED, {}, headers=KEY).status == 409
        assert rows.count("Attendance") == 1

    def test_what_came_again_and_was_taken_is_not_replayed(self, hub, client, monkeypatch):
        delivery = failing(hub, monkeypatch, client, KEY)
        again = client.post(UNIFIED, CHECK_IN, headers=KEY)
        assert again.status == 201
        with pytest.raises(NotReplayable, match="the idempotency key of delivery") as raised:
            hub.replays.replay(delivery)
        assert again.headers["x-delivery-id"] in str(raised.value)

    def test_one_that_used_anothers_key_is_not_replayed(self, hub, client):
        client.post(UNIFIED, CHECK_IN, headers=KEY)
        reply = client.post(UNIFIED, {"type": "event"}, headers=KEY)
        assert reply.status == 409
        with pytest.raises(NotReplayable, match="the idempotency key of delivery"):
            hub.replays.replay(reply.headers["x-delivery-id"])

    def test_a_derived_key_is_claimed_by_what_a_replay_recorded(
        self, hub, client, monkeypatch, rows
    ):
        seen = fixture("onetap/participant.checkin__seen")
        with monkeypatch.context() as patch:
            patch.setattr(hub.plugins.hooks, "veto", lambda *_: 1 / 0)
            delivery = client.post(ONETAP, seen).headers["x-delivery-id"]
        done = hub.replays.replay(delivery)
        retry = client.post(ONETAP, seen)
        assert (retry.status, retry.body.decode()) == (200, done.settlement.answer)
        assert retry.headers["x-delivery-replayed"] == "true"

    def test_a_key_that_is_too_long_is_none(self, hub, client):
        reply = client.post(UNIFIED, CHECK_IN, headers={"Idempotency-Key": "k" * 10_000})
        assert (reply.status, reply.error) == (400, "Invalid idempotency-key header")
        assert hub.replays.replay(reply.headers["x-delivery-id"]).settlement.outcome == "applied"


def test_a_fault_in_a_replay_leaves_what_the_delivery_waits_for(
    hub, client, monkeypatch, rows, calls
):
    delivery = refused(client)
    with monkeypatch.context() as patch:
        patch.setattr(hub.plugins.hooks, "veto", lambda *_: 1 / 0)
        assert hub.replays.replay(delivery).settlement.outcome is Outcome.FAILED
    (row,) = rows("Delivery")
    assert (row["outcome"], row["waiting"]) == ("failed", "student a_number:a1")
    assert row["students"] == "\na_number:a1\n"
    calls.student("a1")
    assert list(hub.replays.ready()) == [delivery]


def test_a_fault_of_the_store_in_a_replay_is_an_attempt_that_failed(
    hub, client, monkeypatch, calls
):
    delivery = refused(client)
    calls.student("a1")
    calls.event()
    monkeypatch.setattr("hub.jobs.replay.decide", once_broken(monkeypatch))
    done = hub.replays.replay(delivery)
    assert (done.settlement.outcome, done.settlement.status) == (Outcome.FAILED, 500)


def once_broken(monkeypatch):
    from hub.jobs.replay import decide

    def broken(tx, endpoint, delivery, prepared, key, zone):
        if not prepared.failed:
            raise RuntimeError
        return decide(tx, endpoint, delivery, prepared, key, zone)

    return broken


def test_a_replay_is_no_part_of_a_batch(hub, client):
    delivery = refused(client)
    with hub.store.batch(), pytest.raises(RuntimeError, match="a transaction of its own"):
        hub.replays.replay(delivery)
