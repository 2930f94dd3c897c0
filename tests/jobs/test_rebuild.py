"""What the deliveries tell, beside what the record has."""

from datetime import datetime

import pytest
from hubtest import LEGACY, ONETAP, Client, fixture

from hub.domain.delivery import Emptied
from hub.jobs.forget import forget
from hub.jobs.rebuild import Rebuild
from hub.store import deliveries

PLUGIN = """
from hub import OPEN, CheckIn, Source, hookimpl

def normalize(payload):
    yield CheckIn(student=payload["who"], event={event})

@hookimpl
def register_sources():
    return [Source(name="door", path="door", authenticate=OPEN, schema={{"type": "object"}},
        normalize=normalize)]
"""


@pytest.fixture
def rebuild(make_hub):
    def rebuild(hub=None):
        hub = hub or make_hub()
        return Rebuild(hub.store, hub.plugins.hooks, hub.endpoints, hub.settings.time_zone).run()

    return rebuild


@pytest.fixture
def door(make_hub, tmp_path):
    """A hub with a plugin that takes the event from this expression."""
    folder = tmp_path / "plugins"
    folder.mkdir()

    def door(event):
        (folder / "door.py").write_text(PLUGIN.format(event=event))
        return make_hub(plugins=str(folder))

    return door


def test_a_record_that_nobody_touched_is_what_the_deliveries_tell(hub, client, calls, rebuild):
    client.post(LEGACY, {"student_identifier": "a1", "event_identifier": "Weekly Meeting"})
    calls.student("a1")
    calls.event()
    hub.replays.replay(next(hub.replays.ready()))
    calls.student("a2")
    calls.attend("a2", check_in_time="2024-01-15T10:01:02.123456Z")
    calls.attend("a2")
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    client.post(ONETAP, fixture("onetap/participant.checkout__documented-only"))
    client.post(ONETAP, fixture("onetap/participant.checkin__no-a-number"))
    client.post(ONETAP, fixture("onetap/participant.deleted__documented-only"))
    client.post(LEGACY, body=b"no JSON")
    client.post(LEGACY, {}, headers={"Idempotency-Key": "k"})
    client.post(LEGACY, {"other": 1}, headers={"Idempotency-Key": "k"})
    rebuilt = rebuild()
    assert rebuilt.differences == ()
    # Two were repetitions.
    assert (rebuilt.derived, rebuilt.underivable, rebuilt.failed) == (12, 0, 0)


def test_a_mended_plugin_shows_what_its_bug_did(door, calls, client, rebuild, rows):
    calls.student("a1")
    calls.student("a2")
    calls.event("Chess")
    calls.event("Choir")
    calls.attend("a2", "Chess")
    broken = Client(door("'Chess'"))
    broken.post("/api/webhook/door/", {"who": "a1", "event": "Choir"})
    before = rows("Attendance")
    rebuilt = rebuild(door("payload['event']"))
    missing, surplus = rebuilt.differences
    assert (missing.student, missing.event.name) == ("a1", "Choir")
    assert missing.event.starts_at == datetime(2024, 1, 15, 10)
    assert (missing.recorded, missing.derived.delivery) == (None, before[1]["delivery"])
    assert (surplus.student, surplus.event.name) == ("a1", "Chess")
    assert surplus.derived is None
    assert rows("Attendance") == before


def test_a_changed_time_is_shown(hub, calls, rebuild):
    calls.student("a1")
    calls.event()
    calls.attend("a1", check_in_time="2024-01-15T10:00:00Z")
    with hub.store.writing() as tx:
        tx.run("UPDATE attendance SET checked_in_at = ?", datetime(2024, 1, 15, 11))
    (one,) = rebuild().differences
    assert (one.recorded.checked_in_at.hour, one.derived.checked_in_at.hour) == (11, 10)


def test_a_student_that_the_record_lacks_is_named(hub, calls, rebuild):
    calls.student("a1")
    calls.event()
    calls.attend("a1")
    with hub.store.writing() as tx:
        tx.run("DELETE FROM attendance")
        tx.run("DELETE FROM student_identifier")
        tx.run("DELETE FROM student")
        tx.run("DELETE FROM event")
    (one,) = rebuild().differences
    assert (one.student, one.event.name, one.recorded) == ("a1", "Weekly Meeting", None)


@pytest.mark.parametrize("upto", range(1, 7))
def test_what_has_no_body_is_taken_as_it_stands(hub, calls, client, rebuild, rows, upto):
    calls.student("a1")
    calls.event()
    calls.attend("a1")
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    client.post(ONETAP, fixture("onetap/participant.checkout__documented-only"))
    calls.attend("A01234567")
    with hub.store.writing() as tx:
        for row in rows("Delivery")[:upto]:
            deliveries.empty(tx, row["id"], Emptied.RETENTION)
    rebuilt = rebuild()
    assert (rebuilt.differences, rebuilt.underivable) == ((), upto)


def test_a_replayed_delivery_without_a_body_is_taken_as_it_stands(hub, calls, client, rebuild):
    late = client.post(LEGACY, {"student_identifier": "a1", "event_identifier": "Weekly Meeting"})
    calls.student("a1")
    calls.event()
    hub.replays.replay(late.headers["x-delivery-id"])
    with hub.store.writing() as tx:
        deliveries.empty(tx, late.headers["x-delivery-id"], Emptied.RETENTION)
    rebuilt = rebuild()
    assert (rebuilt.differences, rebuilt.derived) == ((), 2)
    assert (rebuilt.underivable, rebuilt.failed) == (1, 0)


def test_a_forgotten_student_is_no_difference(hub, calls, client, rebuild):
    calls.student("a1")
    calls.event()
    calls.attend("a1")
    forget(hub.store, "a1")
    assert rebuild().differences == ()


def test_deliveries_of_a_plugin_that_is_gone_are_taken_as_they_stand(
    hub, door, calls, client, rebuild
):
    calls.student("a1")
    calls.event("Chess")
    Client(door("'Chess'")).post("/api/webhook/door/", {"who": "a1"})
    rebuilt = rebuild(hub)
    assert (rebuilt.differences, rebuilt.underivable) == ((), 1)


def test_a_plugin_that_fails_is_counted(door, calls, rebuild):
    calls.student("a1")
    calls.event("Chess")
    Client(door("'Chess'")).post("/api/webhook/door/", {"who": "a1"})
    rebuilt = rebuild(door("payload['nothing']"))
    assert (rebuilt.failed, len(rebuilt.differences)) == (1, 1)


def test_check_ins_by_id_though_the_ids_have_a_gap(hub, calls, rebuild):
    calls.student("a1")
    calls.event("Chess")
    with hub.store.writing() as tx:
        # A transaction that was undone has left a gap.
        tx.run("UPDATE event SET id = 7 WHERE id = 1")
    assert calls.attend("a1", "7").status == 201
    assert rebuild().differences == ()


def test_a_name_of_before_whose_student_cannot_be_derived(hub, calls, rebuild, rows):
    calls.student("a1", email="old@example.edu")
    calls.event()
    calls.attend("old@example.edu")
    calls.unified("student", "update", student_identifier="a1", email="new@example.edu")
    with hub.store.writing() as tx:
        deliveries.empty(tx, rows("Delivery")[0]["id"], Emptied.RETENTION)
    assert rebuild().differences == ()


def test_with_no_plugin_at_all_the_record_stands(make_hub, calls, rebuild):
    calls.student("a1")
    calls.event()
    calls.attend("a1")
    rebuilt = rebuild(make_hub(without=("unified", "legacy", "secure", "onetap")))
    assert (rebuilt.differences, rebuilt.underivable) == ((), 3)
