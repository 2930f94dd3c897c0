"""Targets: every committed check-in is sent on, at least once, whatever happens meanwhile."""

import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from hubtest import STATUS, Calls, Client, Rows, plugin_module

import hub.jobs.sender
from hub import NotDelivered
from hub.cli import main
from hub.domain.timestamps import utc_now
from hub.errors import StoreUnavailable
from hub.jobs.forget import forget
from hub.record.pending import next_due

CODE = """
import hub

seen, raising = [], []

def send(check_in):
    if raising:
        raise raising[0]
    seen.append(check_in)

@hub.hookimpl
def register_targets():
    yield hub.Target(name="club", send=send)
"""


@pytest.fixture
def made(make_hub, tmp_path):
    """A hub with a target, and the target's module; nothing is sent until a test says so."""

    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "sink.py").write_text(CODE)
    made = make_hub(plugins=str(folder))
    return made, plugin_module("sink")


@pytest.fixture
def sink(made):
    return made[1]


@pytest.fixture
def sender(made):
    (sender,) = made[0].senders._senders
    return sender


@pytest.fixture
def calls(made):
    calls = Calls(Client(made[0]))
    for student in ("a1", "a2", "a3"):
        calls.student(student)
    calls.event()
    return calls


@pytest.fixture
def clock(monkeypatch):
    """The time of the outbox, which a test moves on."""
    moved = [timedelta()]
    monkeypatch.setattr(hub.jobs.sender, "utc_now", lambda: utc_now() + moved[0])

    def move(**by):
        moved[0] += timedelta(**by)

    return move


def outbox(made):
    rows = Rows(made[0])("Outbox")
    return [(row["target"], row["attempts"], row["due_at"]) for row in rows]


def test_each_check_in_once_with_all_there_is_to_tell(made, calls, sender, sink):
    reply = calls.attend("a1", check_in_time="2024-01-15T10:05:00Z")
    calls.attend("a1")  # refused: it is there already
    calls.student("a9")
    assert sender.do_what_is_due() == 0.0
    (sent,) = sink.seen
    assert (sent.student.name, sent.student.a_number) == ("Ada Example", "a1")
    assert (sent.event.name, sent.event.date.isoformat()) == ("Weekly Meeting", "2024-01-15")
    assert sent.attendance.id == reply.json["attendance_id"]
    assert sent.attendance.checked_in_at.isoformat() == "2024-01-15T10:05:00"
    assert sent.delivery == reply.headers["x-delivery-id"]
    assert sent.id == f"msg_{sent.delivery}_{sent.attendance.id}"
    assert outbox(made) == []
    assert sender.do_what_is_due() == hub.jobs.sender._LOOK_EVERY


def test_without_a_target_there_is_no_outbox(hub, client, rows):
    calls = Calls(client)
    calls.student("a1")
    calls.event()
    calls.attend("a1")
    assert rows.count("Attendance") == 1
    assert rows("Outbox") == []


def test_one_that_fails_comes_again_later_and_is_the_same(made, calls, sender, sink, clock, caplog):
    calls.attend("a1")
    sink.raising.append(NotDelivered("it answered 503"))
    assert sender.do_what_is_due() == 1.0
    assert "target club: msg_" in caplog.text
    assert "is not delivered, attempt 1: it answered 503" in caplog.text
    sink.raising.clear()
    assert sender.do_what_is_due() > 0
    assert sink.seen == []
    clock(seconds=6)
    assert sender.do_what_is_due() == 0.0
    assert len(sink.seen) == 1


def test_waits_grow_and_at_last_it_is_given_up(made, calls, sender, sink, clock, caplog):
    calls.attend("a1")
    sink.raising.append(ZeroDivisionError("about Ada"))
    for _ in hub.jobs.sender.SCHEDULE:
        assert 1.0 <= sender.do_what_is_due() <= hub.jobs.worker.LONGEST_PAUSE
        ((_, _, due_at),) = outbox(made)
        assert due_at is not None
        clock(days=2)
    sender.do_what_is_due()
    assert outbox(made) == [("club", 11, None)]
    assert "and given up" in caplog.text
    assert "Ada" not in caplog.text.replace("Ada Example", "")
    assert sender.counters() == {
        "sent": 0, "failed": 11, "waiting": 0, "given_up": 1, "sending_for": 0,
    }  # fmt: skip


def test_a_target_that_is_down_is_asked_for_one_at_a_time(made, calls, sender, sink):
    for student in ("a1", "a2", "a3"):
        calls.attend(student)
    sink.raising.append(NotDelivered("it is down"))
    sender.do_what_is_due()
    assert [attempts for _, attempts, _ in outbox(made)] == [1, 0, 0]
    sink.raising.clear()
    sender.do_what_is_due()
    assert len(sink.seen) == 2
    assert sender.counters() == {
        "sent": 2, "failed": 1, "waiting": 1, "given_up": 0, "sending_for": 0,
    }  # fmt: skip


def test_retry_after_is_kept_to(made, calls, sender, sink, clock):
    calls.attend("a1")
    sink.raising.append(NotDelivered("it answered 429", 3600))
    sender.do_what_is_due()
    sink.raising.clear()
    clock(minutes=59)
    assert sender.do_what_is_due() > 0
    clock(minutes=2)
    assert sender.do_what_is_due() == 0.0


def test_what_another_hub_has_claimed_is_left_alone_for_a_while(made, make_hub, calls, sender):
    calls.attend("a1")
    other = make_hub(plugins=made[0].settings.plugins)
    (second,) = other.senders._senders
    reentered = []

    def send(check_in):
        if not reentered:
            reentered.append(check_in)
            reentered.append(second.do_what_is_due())

    sender.target = replace(sender.target, send=send)
    sender.do_what_is_due()
    assert reentered[1] > 0
    assert outbox(made) == []


def test_a_target_gets_its_own_and_leaves_the_others_theirs(make_hub, tmp_path):
    code = CODE.replace(
        'yield hub.Target(name="club", send=send)',
        'yield hub.Target(name="club", send=send)\n    yield hub.Target(name="wall", send=send)',
    )
    (tmp_path / "two.py").write_text(code)
    made = make_hub(plugins=str(tmp_path))
    calls = Calls(Client(made))
    calls.event()
    for student in ("a1", "a2"):
        calls.student(student)
        calls.attend(student)
    club, wall = made.senders._senders
    seen = []
    club.target = replace(club.target, send=lambda check_in: seen.append(check_in.attendance.id))
    assert club.do_what_is_due() == 0.0
    assert seen == [1, 2]
    assert [target for target, _, _ in outbox([made])] == ["wall", "wall"]
    assert wall.do_what_is_due() == 0.0
    assert outbox([made]) == []


def test_it_tells_for_how_long_it_has_been_sending(calls, sender):
    calls.attend("a1")
    told = []
    send = lambda check_in: told.append(sender.counters()["sending_for"])  # noqa: E731
    sender.target = replace(sender.target, send=send)
    sender.do_what_is_due()
    assert told == [0]
    sender._busy = sender._busy or (time.monotonic() - 7, 1)
    assert sender.counters()["sending_for"] == 7


def test_it_is_sent_again_as_often_and_as_late_as_is_told():
    page = (Path(__file__).parents[2] / "docs" / "built-ins.md").read_text("utf-8")
    assert "after 5 s, 30 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 hours" in page
    hours = [timedelta(hours=number) for number in (2, 5, 10, 14, 20, 24)]
    short = [
        timedelta(seconds=5),
        timedelta(seconds=30),
        timedelta(minutes=5),
        timedelta(minutes=30),
    ]
    assert list(hub.jobs.sender.SCHEDULE) == short + hours


def test_what_a_hub_that_died_had_claimed_is_sent_by_another_after_a_while(
    made, make_hub, calls, sender, clock
):
    calls.attend("a1")
    (second,) = make_hub(plugins=made[0].settings.plugins).senders._senders

    def die(check_in):
        raise KeyboardInterrupt

    seen = []
    sender.target = replace(sender.target, send=die)
    second.target = replace(second.target, send=seen.append)
    with pytest.raises(KeyboardInterrupt):
        sender.do_what_is_due()
    assert second.do_what_is_due() > 0
    assert seen == []
    clock(minutes=3)
    assert second.do_what_is_due() == 0.0
    assert len(seen) == 1
    assert outbox(made) == []


def test_one_that_was_withdrawn_meanwhile_is_sent_all_the_same(made, calls, sender, sink):
    client = calls.client
    payload = {
        "event": "participant.checkin", "timestamp": "2025-11-10T20:56:58Z",
        "data": {"participant": {"id": "p1"}, "profile": {"id": "f1", "name": "Bo Example"},
                 "list": {"id": "l1", "name": "Chess", "date": "2025-11-10T20:00:00Z"}},
    }  # fmt: skip
    assert client.post("/api/webhook/onetap/", payload).status == 201
    client.post("/api/webhook/onetap/", {**payload, "event": "participant.deleted"})
    sender.do_what_is_due()
    (sent,) = sink.seen
    assert (sent.student.name, sent.event.name) == ("Bo Example", "Chess")


def test_of_one_who_was_forgotten_nothing_is_sent(made, calls, sender, sink):
    calls.attend("a1", check_in_time="2024-01-15T10:05:00Z")
    calls.attend("a2")
    forget(made[0].store, "a1")
    sender.do_what_is_due()
    assert [one.student.a_number for one in sink.seen] == ["a2"]


def test_one_who_is_forgotten_while_another_is_sent_is_not_told_of(made, calls, sender):
    for student in ("a1", "a2"):
        calls.attend(student)
    told = []

    def send(check_in):
        told.append(check_in.student.a_number)
        forget(made[0].store, "a2@example.edu")

    sender.target = replace(sender.target, send=send)
    sender.do_what_is_due()
    assert told == ["a1"]
    assert outbox(made) == []


def test_what_has_arrived_is_settled_before_the_next_is_sent(made, calls, sender):
    for student in ("a1", "a2", "a3"):
        calls.attend(student)
    left = []

    def send(check_in):
        left.append(len(outbox(made)))
        sender.end()  # the hub ends: the rest is left for the next time

    sender.target = replace(sender.target, send=send)
    sender.do_what_is_due()
    assert left == [3]
    assert [attempts for _, attempts, _ in outbox(made)] == [0, 0]
    with made[0].store.reading() as db:
        assert next_due(db, "club") <= utc_now()


def test_what_a_wrong_clock_made_due_in_a_year_can_be_sent_now(
    made, calls, sender, sink, url, clock
):
    calls.attend("a1")
    with made[0].store.writing() as tx:
        tx.run("UPDATE outbox SET due_at = ?", utc_now() + timedelta(days=365))
    assert sender.do_what_is_due() > 0
    options = ["--database", url, "--plugins", made[0].settings.plugins, "--retry", "club"]
    assert CliRunner().invoke(main, ["outbox", *options]).exit_code == 0
    assert sender.do_what_is_due() == 0.0
    assert len(sink.seen) == 1


def test_a_replay_is_sent_on_too(made, calls, sender, sink):
    reply = calls.attend("a8")
    calls.student("a8")
    made[0].replays.replay(reply.headers["x-delivery-id"], trial=True)
    sender.do_what_is_due()
    assert sink.seen == []
    made[0].replays.replay(reply.headers["x-delivery-id"])
    sender.do_what_is_due()
    assert len(sink.seen) == 1


def test_the_status_page_counts(made, calls, sender):
    calls.attend("a1")
    sender.do_what_is_due()
    page = calls.client.get(STATUS).json
    counts = {"sent": 1, "failed": 0, "waiting": 0, "given_up": 0, "sending_for": 0}
    assert page["targets"] == {"club": counts}


def test_the_command_shows_sends_again_and_discards(made, calls, sender, sink, clock, url):
    def run(*arguments, status=0):
        options = ["--database", url, "--plugins", made[0].settings.plugins]
        done = CliRunner().invoke(main, ["outbox", *options, *arguments])
        assert done.exit_code == status, done.output
        return done.output

    assert run() == "club: 0 to be sent, 0 given up\n"
    calls.attend("a1")
    sink.raising.append(NotDelivered("no"))
    for _ in range(len(hub.jobs.sender.SCHEDULE) + 1):
        sender.do_what_is_due()
        clock(days=2)
    assert run() == "club: 0 to be sent, 1 given up\n"
    assert run("--retry", "club") == "club: 1 to be sent, 0 given up\n"
    ((_, attempts, due_at),) = outbox(made)
    assert (attempts, due_at is not None) == (0, True)
    assert run("--discard", "club") == "club: 0 to be sent, 0 given up\n"
    assert "outbox: there is no target named x" in run("--retry", "x", status=2)


def test_a_store_that_is_away_puts_it_off(made, calls, sender, sink, caplog, monkeypatch):
    calls.attend("a1")
    waited = []

    def wait(seconds):
        waited.append(seconds)
        monkeypatch.undo()
        sender.end()

    def fails(error):
        def send():
            raise error

        monkeypatch.setattr(sender, "do_what_is_due", send)
        monkeypatch.setattr(sender._wake, "wait", wait)
        sender._ending.clear()
        sender._run()

    fails(StoreUnavailable("it is locked"))
    fails(ZeroDivisionError("Ada"))
    assert waited == [hub.jobs.sender._LOOK_EVERY] * 2
    assert "target club is put off: it is locked" in caplog.text
    assert "target club failed: ZeroDivisionError at " in caplog.text


def test_a_send_that_hangs_is_told_once(made, calls, sender, caplog, monkeypatch):
    monkeypatch.setattr(hub.jobs.sender, "_LONG", 0.0)

    def send(check_in):
        sender.wake()
        sender.wake()
        assert sender.counters()["sending_for"] >= 0

    sender.target = replace(sender.target, send=send)
    calls.attend("a1")
    sender.do_what_is_due()
    assert caplog.text.count("target club: send takes longer than 0 s") == 1


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('yield hub.Target(name="club", send=send)', "yield 7", "it must give hub.Target values"),
        ("def send", "async def send", "send must be an ordinary function that returns once the"),
        ("send=send", "send=None", "send must be an ordinary function that returns once the"),
        ("yield hub", "return hub", "gave one Target; give a list of hub.Target values"),
        ('"club"', '"The Club"', "target name 'The Club': use lower-case letters"),
        (
            "    yield",
            "    yield hub.Target(name='club', send=send)\n    yield",
            "a target named club",
        ),
    ],
)
def test_a_wrong_declaration_is_named(make_hub, tmp_path, old, new, said):
    assert old in CODE
    (tmp_path / "sink.py").write_text(CODE.replace(old, new))
    (failed,) = make_hub(plugins=str(tmp_path)).plugins.failed
    assert said in failed.reason
