"""What the deliveries tell, beside what the record has."""

from datetime import datetime

import pytest
from api.conftest import TOKEN
from desk.test_imports import Importer, others_may_write
from hubtest import LEGACY, ONETAP, Client, fixture

from hub.domain.delivery import Emptied
from hub.jobs import rebuild as job
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


class TestTheDesk:
    """What the desk and imports said is derived with the rest."""

    @pytest.fixture
    def hub(self, make_hub):
        return make_hub(admin_token=TOKEN)

    @pytest.fixture
    def desk(self, hub):
        desk = Importer(hub)
        for one in ("a1", "a2", "a3"):
            desk.calls.student(one)
        desk.calls.event(date="2024-01-15T18:00:00Z")
        desk.calls.event(date="2024-01-22T18:00:00Z")
        for one in ("a1", "a2"):
            desk.calls.attend(one, check_in_time="2024-01-15T18:05:00Z")
        return desk

    def test_words_merges_undos_imports_and_replays(self, desk, rebuild):
        done = desk.did("withdraw", attendance=1)
        desk.undo(done["delivery"])
        desk.did("correct", attendance=2, checked_in_at="2024-01-15T18:30:00Z")
        desk.did("save_student", 201, identifiers={"a_number": "n1"})
        desk.did("merge_students", keep="a1", merge="a2")
        desk.calls.attend("a2", check_in_time="2024-01-22T18:05:00Z")
        desk.calls.attend("a1", check_in_time="2024-01-22T18:01:00Z")
        desk.did("withdraw", student="a2", event=2)
        desk.did("check_in", 201, student="id:4", event=1)
        refused = desk.calls.attend("a9", check_in_time="2024-01-15T18:05:00Z")
        desk.did("replay", 201, delivery=refused.headers["x-delivery-id"], student="a3")
        done = desk.imports("attendances", "a_number,Time\nn1,18:20\na3,18:21\n", event="2")
        desk.undo(done["results"][0]["delivery"])
        rebuilt = rebuild()
        assert rebuilt.differences == ()
        assert rebuilt.failed == 0

    def test_what_a_faulty_plugin_did_is_made_right_and_taken_back(
        self, desk, door, tmp_path, rebuild, rows
    ):
        broken = Client(door("'1'"))
        broken.post("/api/webhook/door/", {"who": "a3", "event": "2"})
        broken.post("/api/webhook/door/", {"who": "a2", "event": "2"})
        before = desk.rows(state="all", evidence="true")
        mended = door("payload['event']")
        job = Rebuild(
            mended.store, mended.plugins.hooks, mended.endpoints, mended.settings.time_zone
        )
        rebuilt = job.run(is_wanted=lambda found: True)
        assert len(rebuilt.differences) == 3
        assert desk.times() == [
            ("a1", 1, "18:05", "", "present"),
            ("a2", 1, "18:05", "", "present"),
            *[(one, 2, *told) for one, _, *told in desk.times()[2:]],
        ]
        assert {(one[0], one[1]) for one in desk.times()[2:]} == {("a3", 2), ("a2", 2)}
        assert rebuild(mended).differences == ()
        desk.undo(rebuilt.applied_by)
        after = desk.rows(state="all", evidence="true")
        # What the rebuild made keeps its id, withdrawn.
        assert [one for one in after if one["id"] in {row["id"] for row in before}] == before
        assert {one["state"] for one in after[len(before) :]} == {"withdrawn"}

    def test_it_lets_others_write(self, desk, hub, rebuild, monkeypatch):
        desk.did("withdraw", attendance=1)
        free = others_may_write(monkeypatch, job, hub.store)
        rebuild()
        assert set(free) == {True}

    def test_from_the_terminal(self, desk, door, run, rows):
        broken = Client(door("'1'"))
        broken.post("/api/webhook/door/", {"who": "a3", "event": "2"})
        folder = str(door("payload['event']").settings.plugins)
        plugins = ("--plugins", folder)
        (line,) = run("rebuild", *plugins, status=2)
        assert line.endswith("rebuild: add --dry-run to see the differences, or --apply")
        assert len(run("rebuild", "--dry-run", *plugins, status=1)) == 4
        assert run("rebuild", "--apply", *plugins, status=1, input="n\n")[-1] == "Aborted!"
        lines = run("rebuild", "--apply", "--yes", *plugins)
        assert lines[-1].startswith("applied; to take it back: attendance-hub desk undo ")
        assert run("rebuild", "--dry-run", *plugins)[0].startswith("attendances: 0 missing, 0 too")
        run("desk", "undo", lines[-1].rpartition(" ")[2], *plugins)
        assert len(run("rebuild", "--dry-run", *plugins, status=1)) == 4
