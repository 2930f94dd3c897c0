"""What the deliveries tell, beside what the record has."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from api.conftest import TOKEN
from desk.test_imports import Importer, can_write
from hubtest import LEGACY, ONETAP, Calls, Client, fixture, rebuilt

from hub.domain.delivery import Emptied
from hub.errors import Refused
from hub.jobs import deriving
from hub.jobs import rebuild as rebuilding_job
from hub.jobs.forget import forget
from hub.record import snapshot
from hub.store import deliveries, derivation, rebuilding, scratch
from hub.store.database import parse_address

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
    def rebuild(hub=None, **options):
        return rebuilt(hub or make_hub(), **options)

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
    found = rebuild()
    assert found.differences == ()
    # Two were repetitions.
    assert (found.derived, found.underivable, found.failed) == (12, 0, 0)


def test_a_mended_plugin_shows_what_its_bug_did(door, calls, client, rebuild, rows):
    calls.student("a1")
    calls.student("a2")
    calls.event("Chess")
    calls.event("Choir")
    calls.attend("a2", "Chess")
    broken = Client(door("'Chess'"))
    broken.post("/api/webhook/door/", {"who": "a1", "event": "Choir"})
    before = rows("Attendance")
    found = rebuild(door("payload['event']"))
    missing, surplus = found.differences
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
    found = rebuild()
    assert (found.differences, found.underivable) == ((), upto)


def test_a_replayed_delivery_without_a_body_is_taken_as_it_stands(hub, calls, client, rebuild):
    late = client.post(LEGACY, {"student_identifier": "a1", "event_identifier": "Weekly Meeting"})
    calls.student("a1")
    calls.event()
    hub.replays.replay(late.headers["x-delivery-id"])
    with hub.store.writing() as tx:
        deliveries.empty(tx, late.headers["x-delivery-id"], Emptied.RETENTION)
    found = rebuild()
    assert (found.differences, found.derived) == ((), 2)
    assert (found.underivable, found.failed) == (1, 0)


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
    found = rebuild(hub)
    assert (found.differences, found.underivable) == ((), 1)


def test_a_plugin_that_fails_is_counted(door, calls, rebuild):
    calls.student("a1")
    calls.event("Chess")
    Client(door("'Chess'")).post("/api/webhook/door/", {"who": "a1"})
    found = rebuild(door("payload['nothing']"))
    assert (found.failed, len(found.differences)) == (1, 1)


def test_one_that_used_anothers_key_does_nothing(door, calls, rebuild):
    calls.student("a1")
    calls.event("Chess")
    client = Client(door("'Chess'"))
    for body in ({"who": "a1", "event": "Chess"}, {"who": "a1"}):
        client.post("/api/webhook/door/", body, headers={"Idempotency-Key": "k"})
    found = rebuild(door("payload['event']"))
    assert (found.differences, found.failed) == ((), 0)


def test_two_that_are_one_in_the_record(hub, calls, rebuild, rows):
    calls.event("Chess")
    for one in ("a1", "a2"):
        calls.student(one)
        calls.attend(one, "Chess", check_in_time="2024-01-15T10:00:00Z")
    with hub.store.writing() as tx:
        tx.run("DELETE FROM attendance WHERE student = 2")
        tx.run("DELETE FROM student_identifier WHERE value IN ('a1', 'a2@example.edu')")
        tx.run("UPDATE student_identifier SET student = 1 WHERE value = 'a2'")
    before = rows("Attendance")
    found = rebuild(apply=True)
    assert [(one.student, one.rows) for one in found.differences] == [("a2", None)]
    assert rows("Attendance") == before


def test_one_that_cannot_be_applied_is_a_fault_of_its_own(door, calls, client, rebuild):
    calls.event("Chess")
    hub = door("'Chess'")
    for one in ("a1", "a2", "a3"):
        calls.student(one)
        Client(hub).post("/api/webhook/door/", {"who": one, "event": "Chess"})
    # What the mended plugin says of a2 is no JSON.
    broken = door("'Chess', metadata={'a2': {'x': {1}}}.get(payload['who'], {})")
    found = rebuild(broken)
    assert (found.derived, found.failed) == (6, 1)
    assert [one.student for one in found.differences] == ["a2"]


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
    found = rebuild(make_hub(without=("unified", "legacy", "secure", "onetap")))
    assert (found.differences, found.underivable) == ((), 3)


class TestManyAtOnce:
    """Check-ins that follow each other are applied at once; each has to be told as if it was alone."""

    NAMES = ("a1", "A1@example.edu", "a1@example.edu", "a2", "a3", "nobody", "id:1")
    EVENTS = ("Chess", "Choir", "1", "Nothing", "Rowing")

    @pytest.mark.parametrize("seed", range(6))
    def test_it_is_as_one_by_one(self, make_hub, client, calls, rebuild, monkeypatch, seed):
        dice = Random(seed)
        desk = Importer(make_hub(admin_token=TOKEN))
        for one in ("a1", "a2", "a3"):
            calls.student(one)
        for day in (10, 12, 19):
            calls.event("Chess", date=f"2024-01-{day}T10:00:00Z")
        calls.event("Choir", date="2024-01-11T10:00:00Z")
        calls.event("Rowing")
        for _ in range(60):
            at = f"2024-01-{dice.randint(9, 20):02}T{dice.choice((9, 10)):02}:00:00Z"
            if dice.random() < 0.1:
                client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
            elif dice.random() < 0.1:
                calls.unified("student", "delete", student_identifier=dice.choice(self.NAMES))
            elif dice.random() < 0.05:
                calls.unified("event", "delete", event_identifier=dice.choice(self.EVENTS))
            elif dice.random() < 0.1:
                calls.student(dice.choice(self.NAMES[:5]))
            elif dice.random() < 0.05:
                desk("merge_students", keep="id:1", merge="id:2")
            elif dice.random() < 0.05:
                desk("merge_events", keep=2, merge=3)
            else:
                who, what = dice.choice(self.NAMES), dice.choice(self.EVENTS)
                when = {"check_in_time": at} if dice.random() < 0.8 else {}
                calls.attend(who, what, **when)
        hub = make_hub(admin_token=TOKEN)
        at_once = self.copied(hub, monkeypatch, 2)
        assert at_once == self.copied(hub, monkeypatch, 10_000)
        assert len(at_once["attendance"]) > 5
        assert rebuild(hub).differences == ()

    def copied(self, hub, monkeypatch, worth_it):
        """The rows that are derived, without their ids: those are given in another order."""
        monkeypatch.setattr(deriving, "_WORTH_IT", worth_it)
        found = {}
        original = derivation.compare

        def compare(tx, upto):
            for table in ("student", "event", "attendance"):
                names = [row[1] for row in tx.rows(f"PRAGMA table_info({table})")]
                own = ", ".join(
                    "(SELECT student || ' ' || event FROM attendance j WHERE j.id = a.joined_in)"
                    if name == "joined_in"
                    else name
                    for name in names[table == "attendance" :]
                )
                found[table] = sorted(tx.rows(f"SELECT {own} FROM {table} a"), key=str)
            found["evidence"] = sorted(
                tx.rows(
                    "SELECT a.student, a.event, e.kind, e.delivery, e.at, e.taken_back_by "
                    "FROM evidence e JOIN attendance a ON a.id = e.attendance"
                ),
                key=str,
            )
            original(tx, upto)

        with monkeypatch.context() as patched:
            patched.setattr(derivation, "compare", compare)
            rebuilt(hub)
        return found

    def test_the_window_holds(self, make_hub, calls, rebuild, monkeypatch):
        hub = make_hub(check_in_window=2.0)
        client = Client(hub)
        calls.student("a1")
        calls.student("a2")
        calls.event("Chess", date="2024-01-10T10:00:00Z")
        for who, at in (("a1", "2024-01-10T12:00:00Z"), ("a2", "2024-01-10T12:00:01Z")):
            Calls(client).attend(who, "Chess", check_in_time=at)
        monkeypatch.setattr(deriving, "_WORTH_IT", 1)
        assert len(self.copied(hub, monkeypatch, 1)["attendance"]) == 1
        assert rebuild(hub).differences == ()


@pytest.fixture
def folder(tmp_path):
    """Where a copy is kept."""
    return tmp_path / "copy"


class Stopped(BaseException):
    """Ends a rebuild in the middle of its work, as a signal would."""


class TestWhereItIsEnded:
    """A rebuild that was ended is gone on with, and leaves nothing behind when it is done."""

    @pytest.fixture
    def many(self, calls, monkeypatch):
        monkeypatch.setattr(deriving, "_BATCH", 5)
        calls.event("Chess")
        for number in range(12):
            calls.student(f"a{number}")
            calls.attend(f"a{number}", "Chess")

    def stopped(self, hub, folder, after, **options):
        """Run a rebuild, which is ended once it has looked at more than so many deliveries."""
        seen = []

        def progress(count):
            seen.append(count)
            if sum(seen) > after:
                raise Stopped

        with pytest.raises(Stopped):
            rebuilt(hub, progress=progress, folder=folder, **options)

    def test_the_next_goes_on(self, many, hub, folder):
        self.stopped(hub, folder, 8)
        assert folder.stat().st_mode & 0o777 == 0o700
        looked_at = []
        found = rebuilt(hub, folder=folder, progress=looked_at.append)
        # Those of the batch that was not ended are looked at again.
        assert looked_at == [5, 5, 5, 5, 5]
        assert (found.derived, found.differences) == (25, ())
        assert not folder.exists()

    def test_it_is_in_the_middle_of_what_was_replayed(
        self, client, calls, hub, folder, monkeypatch
    ):
        monkeypatch.setattr(deriving, "_BATCH", 2)
        late = [
            client.post(LEGACY, {"student_identifier": f"a{number}", "event_identifier": "Chess"})
            for number in range(5)
        ]
        calls.event("Chess")
        for number in range(5):
            calls.student(f"a{number}")
        for one in late:
            hub.replays.replay(one.headers["x-delivery-id"])
        calls.student("a9")
        for after in (3, 5, 7, 9):
            self.stopped(hub, folder, after)
        found = rebuilt(hub, folder=folder)
        assert (found.derived, found.differences) == (12, ())

    def test_another_mark_begins_anew(self, many, hub, folder):
        self.stopped(hub, folder, 8)
        looked_at = []
        rebuilt(hub, folder=folder, progress=looked_at.append, mark="other settings")
        assert looked_at == [0, 5, 5, 5, 5, 5]

    @pytest.mark.parametrize("damage", ["cut off", "not begun", "no store"])
    def test_what_cannot_be_gone_on_with_is_thrown_away(self, many, hub, folder, damage):
        self.stopped(hub, folder, 8)
        if damage == "no store":
            for file in folder.iterdir():
                file.unlink()
            (folder / "scratch.db").write_text("nothing")
        with closing(sqlite3.connect(folder / "scratch.db")) as copy:
            if damage == "cut off":
                copy.execute("DROP TABLE rebuild")
            elif damage == "not begun":
                copy.execute("DELETE FROM rebuild")
            copy.commit()
        looked_at = []
        assert rebuilt(hub, folder=folder, progress=looked_at.append).differences == ()
        assert looked_at[0] == 0
        assert not folder.exists()

    def test_after_a_day_it_begins_anew(self, many, hub, folder):
        self.stopped(hub, folder, 8)
        yesterday = time.time() - 86_500
        os.utime(folder / "scratch.db", (yesterday, yesterday))
        looked_at = []
        rebuilt(hub, folder=folder, progress=looked_at.append)
        assert looked_at[0] == 0

    def test_a_copy_that_is_full_is_no_fault_of_deliveries(
        self, many, calls, hub, folder, monkeypatch, caplog
    ):
        for number in range(12, 80):
            calls.student(f"a{number}")
            calls.attend(f"a{number}", "Chess")
        begin, full = derivation.begin, []

        def begin_and_fill(tx, *given):
            begin(tx, *given)
            ((pages,),) = tx.rows("PRAGMA page_count")
            full.append(tx.rows(f"PRAGMA max_page_count = {pages + 2}"))

        with monkeypatch.context() as patch:
            patch.setattr(derivation, "begin", begin_and_fill)
            with pytest.raises(Refused, match=r"The copy .*scratch.db cannot be written to"):
                rebuilt(hub, folder=folder)
        assert full
        assert "cannot be derived" not in caplog.text
        assert rebuilt(hub, folder=folder).differences == ()

    def test_who_was_forgotten_meanwhile_is_not_in_it(self, many, hub, folder, rows):
        self.stopped(hub, folder, 8)
        forget(hub.store, "a11")
        looked_at = []
        found = rebuilt(hub, folder=folder, progress=looked_at.append)
        assert looked_at[0] == 0
        assert found.differences == ()

    def test_to_forget_throws_it_away(self, many, hub):
        place = scratch.place(hub.store.address)
        self.stopped(hub, place, 8)
        assert place.exists()
        forget(hub.store, "a11")
        assert not place.exists()

    def test_upkeep_throws_away_what_is_old(self, many, hub):
        place = scratch.place(hub.store.address)
        self.stopped(hub, place, 8)
        hub.upkeep.do_what_is_due()
        assert place.exists()
        yesterday = time.time() - 86_500
        os.utime(place / "scratch.db", (yesterday, yesterday))
        hub.upkeep._retention_due = 0
        hub.upkeep.do_what_is_due()
        assert not place.exists()

    def test_another_process_is_at_it(self, many, hub, folder):
        def progress(count):
            scratch.discard(folder)
            assert folder.exists()
            with pytest.raises(Refused, match="Another process derives"):
                rebuilt(hub, folder=folder)

        assert rebuilt(hub, folder=folder, progress=progress).differences == ()

    def test_a_folder_of_somebody_else(self, hub, folder):
        folder.mkdir(mode=0o755)
        with pytest.raises(Refused, match="is not this user's alone"):
            rebuilt(hub, folder=folder)
        folder.rmdir()
        folder.write_text("")
        with pytest.raises(Refused, match="cannot be used"):
            rebuilt(hub, folder=folder)

    def test_it_is_put_into_the_record_in_part(self, make_hub, calls, folder, monkeypatch, rows):
        hub = make_hub(admin_token=TOKEN)
        calls.event("Chess")
        for number in range(7):
            calls.student(f"a{number}")
            calls.attend(f"a{number}", "Chess", check_in_time="2024-01-15T10:00:00Z")
        with hub.store.writing() as tx:
            tx.run("UPDATE attendance SET checked_in_at = ?", datetime(2024, 1, 15, 11))
        monkeypatch.setattr(rebuilding_job, "_CHANGED_AT_ONCE", 2)
        put, seen = rebuilding.put, []

        def dying(*arguments):
            seen.append(arguments[1])
            if len(seen) == 4:
                raise Stopped
            return put(*arguments)

        monkeypatch.setattr(rebuilding, "put", dying)
        with pytest.raises(Stopped):
            rebuilt(hub, apply=True, folder=folder)
        monkeypatch.setattr(rebuilding, "put", put)
        (first,) = {row["delivery"] for row in rows("Deed")}
        found = rebuilt(hub, apply=True, folder=folder)
        assert len(found.differences) == 5
        assert found.applied_by == first
        assert len(rows("Deed")) == 7
        assert not folder.exists()
        assert rebuilt(hub).differences == ()
        desk = Importer(hub)
        desk.undo(first)
        assert len(rebuilt(hub).differences) == 7


WATCHED = """
import os
from pathlib import Path
from time import sleep
from hub import OPEN, CheckIn, Source, hookimpl

HERE = Path(__file__).parent

def normalize(payload):
    with open(HERE / "seen", "a") as seen:
        seen.write(f"{{os.getpid()}} {{payload['who']}}\\n")
    while payload["who"] == "a17" and (HERE / "hold").exists():
        sleep(0.01)
    yield CheckIn(student=payload["who"], event="Chess")

@hookimpl
def register_sources():
    return [Source(name="door", path="door", authenticate=OPEN, schema={{"type": "object"}},
        normalize=normalize)]
""".replace("{{", "{").replace("}}", "}")

IN_SMALL_BATCHES = """
from hub.jobs import deriving, rebuild
deriving._BATCH, deriving._BATCHES, rebuild._WORTH_HELP = 3, 2, 1
from hub.cli.main import main
main()
"""


class TestProcesses:
    """The command itself, with processes that help it."""

    @pytest.fixture
    def folder(self, tmp_path):
        folder = tmp_path / "plugins"
        folder.mkdir()
        (folder / "door.py").write_text(WATCHED)
        return folder

    @pytest.fixture
    def start(self, make_hub, folder, url, calls, tmp_path, monkeypatch):
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        calls.event("Chess")
        client = Client(make_hub(plugins=str(folder)))
        for number in range(24):
            calls.student(f"a{number}")
        for number in range(24):
            client.post("/api/webhook/door/", {"who": f"a{number}"})
        (folder / "seen").unlink()

        def start(*arguments):
            command = [sys.executable, "-c", IN_SMALL_BATCHES, "rebuild", *arguments]
            command += ["--database", url, "--plugins", str(folder)]
            environment = {**os.environ, "TMPDIR": str(tmp_path)}
            return subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
            )

        return start

    def seen(self, folder):
        """Which process has prepared which check-in."""
        lines = (folder / "seen").read_text().splitlines()
        return [(int(process), who) for process, who in (line.split() for line in lines)]

    def test_they_help(self, start, folder):
        process = start("--dry-run")
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0, told
        assert told.splitlines()[-1].startswith("deliveries: 49 derived")
        helpers = {helper for helper, _ in self.seen(folder)}
        assert process.pid not in helpers
        assert len(helpers) == len(os.sched_getaffinity(0))
        assert sorted(who for _, who in self.seen(folder)) == sorted(f"a{n}" for n in range(24))

    def test_a_fault_of_one_is_this_delivery_alone(self, start, folder):
        (folder / "door.py").write_text(
            WATCHED.replace('event="Chess"', 'event={"a3": 1 / 0}["a3"]')
        )
        process = start("--dry-run")
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert told.splitlines()[-1].endswith("24 failed")

    def test_what_cannot_be_sent_is_prepared_without_them(self, start, folder):
        unsendable = WATCHED.replace(
            'event="Chess"', 'event="Chess", metadata=MappingProxyType({})'
        ).replace("import os", "import os\nfrom types import MappingProxyType")
        (folder / "door.py").write_text(unsendable)
        process = start("--dry-run")
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0, told
        assert told.splitlines()[-1].startswith("deliveries: 49 derived")

    def test_after_kill_the_next_goes_on(self, start, folder, url):
        hold = folder / "hold"
        hold.touch()
        process = start("--dry-run")
        self.until(lambda: (folder / "seen").exists() and "a17" in (folder / "seen").read_text())
        place = scratch.place(parse_address(url))
        self.until(lambda: so_far(place) >= 25)
        process.kill()
        process.wait()
        process.stdout.close()  # which the helper that hangs has open, too
        before = self.seen(folder)
        for helper in {helper for helper, _ in before}:
            # Though one of them is in a plugin that hangs.
            self.until(lambda helper=helper: not is_running(helper))
        hold.unlink()
        process = start("--dry-run")
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0, told
        *_, earlier, told = told.splitlines()
        assert told.startswith("deliveries: 49 derived")
        assert earlier.startswith("went on after ")
        again = [who for _, who in self.seen(folder)[len(before) :]]
        assert "a17" in again
        assert len(again) < 24
        assert not place.exists()

    def until(self, condition):
        end = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.02)


def so_far(place):
    """How many deliveries a rebuild that is at work has derived for good."""
    if not (place / "scratch.db").exists():
        return 0
    with closing(sqlite3.connect(place / "scratch.db")) as copy, suppress(sqlite3.OperationalError):
        for (derived,) in copy.execute("SELECT derived FROM rebuild"):
            return derived
    return 0


def is_running(process):
    try:
        # One that has ended, and that nobody has asked for, is none that runs.
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class OfTheDesk:
    """Tests of a hub whose desk may be used."""

    @pytest.fixture
    def hub(self, make_hub):
        return make_hub(admin_token=TOKEN)


class TestMeanwhile(OfTheDesk):
    """What changes while a rebuild is at work is left to the next."""

    @pytest.fixture
    def desk(self, hub):
        desk = Importer(hub)
        desk.calls.event(date="2024-01-15T18:00:00Z")
        for one in ("a1", "a2", "a3"):
            desk.calls.student(one)
            desk.calls.attend(one, check_in_time="2024-01-15T18:05:00Z")
        return desk

    def test_words_of_the_desk(self, desk, hub):
        def progress(count):
            if count:
                desk.did("withdraw", attendance=1)
                with hub.store.writing() as tx:
                    tx.run("UPDATE attendance SET checked_in_at = ?", datetime(2024, 1, 15, 11))

        with hub.store.writing() as tx:
            tx.run("UPDATE attendance SET checked_in_at = ?", datetime(2024, 1, 15, 11))
        found = rebuilt(hub, progress=progress)
        assert ([one.student for one in found.differences], found.meanwhile) == (["a2", "a3"], 1)

    def test_what_is_withdrawn_before_it_is_read(self, desk, hub, monkeypatch):
        attendances = snapshot.attendances

        def and_withdraw(*arguments):
            desk.did("withdraw", attendance=1)
            return attendances(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(snapshot, "attendances", and_withdraw)
            found = rebuilt(hub, apply=True)
        assert (found.differences, found.meanwhile) == ((), 1)
        assert desk.times(state="withdrawn")[0][0] == "a1"
        assert rebuilt(hub).differences == ()

    def test_bodies_that_are_emptied(self, desk, hub, folder, rows):
        def progress(count):
            with hub.store.writing() as tx:
                deliveries.empty(tx, rows("Delivery")[1]["id"], Emptied.RETENTION)

        with pytest.raises(Refused, match="has lost bodies"):
            rebuilt(hub, folder=folder, progress=progress)
        assert not folder.exists()
        assert rebuilt(hub, folder=folder).differences == ()

    def test_a_record_that_was_put_back(self, desk, hub, folder):
        def progress(count):
            raise Stopped

        with pytest.raises(Stopped):
            rebuilt(hub, folder=folder, progress=progress)
        with hub.store.writing() as tx:
            tx.run("DELETE FROM attendance WHERE id = 3")
        looked_at = []
        found = rebuilt(hub, folder=folder, progress=looked_at.append)
        assert looked_at[0] == 0
        assert len(found.differences) == 1

    def test_a_delivery_that_is_replayed(self, desk, hub, client):
        late = desk.calls.attend("a9", check_in_time="2024-01-15T18:05:00Z")
        desk.calls.student("a9")

        def progress(count):
            if not count:
                hub.replays.replay(late.headers["x-delivery-id"])

        assert rebuilt(hub, progress=progress).differences == ()
        assert rebuilt(hub).differences == ()


class TestTheDesk(OfTheDesk):
    """What the desk and imports said is derived with the rest."""

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
        found = rebuild()
        assert found.differences == ()
        assert found.failed == 0

    def test_what_a_faulty_plugin_did_is_made_right_and_taken_back(
        self, desk, door, tmp_path, rebuild, rows
    ):
        broken = Client(door("'1'"))
        broken.post("/api/webhook/door/", {"who": "a3", "event": "2"})
        broken.post("/api/webhook/door/", {"who": "a2", "event": "2"})
        before = desk.rows(state="all", evidence="true")
        mended = door("payload['event']")
        found = rebuild(mended, apply=True)
        assert len(found.differences) == 3
        assert desk.times() == [
            ("a1", 1, "18:05", "", "present"),
            ("a2", 1, "18:05", "", "present"),
            *[(one, 2, *told) for one, _, *told in desk.times()[2:]],
        ]
        assert {(one[0], one[1]) for one in desk.times()[2:]} == {("a3", 2), ("a2", 2)}
        assert rebuild(mended).differences == ()
        desk.undo(found.applied_by)
        after = desk.rows(state="all", evidence="true")
        # What the rebuild made keeps its id, withdrawn.
        assert [one for one in after if one["id"] in {row["id"] for row in before}] == before
        assert {one["state"] for one in after[len(before) :]} == {"withdrawn"}

    def test_it_lets_others_write(self, desk, hub, rebuild, monkeypatch):
        desk.did("withdraw", attendance=1)
        free = []
        original = deriving.apply

        def apply(*arguments):
            with ThreadPoolExecutor(1) as thread:
                free.append(thread.submit(can_write, hub.store).result())
            return original(*arguments)

        monkeypatch.setattr(deriving, "apply", apply)
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
