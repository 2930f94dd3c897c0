"""Random histories of what sources and the desk say: against a small model, and against each other."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from hub.domain.corrections import (
    Correct,
    MergeEvents,
    MergeStudents,
    Restore,
    SplitEvents,
    SplitStudents,
    Undo,
)
from hub.domain.evidence import TOLD
from hub.domain.identifiers import Identifier
from hub.domain.operations import CheckIn, CheckOut, SaveEvent, SaveStudent, Withdraw
from hub.errors import AlreadyCheckedIn, Refused
from hub.record import attendances, changes, reports, roster
from hub.record.attendances import Attendances
from hub.record.changes import Position
from hub.record.roster import Events
from hub.store import attendances as written
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import MEMORY_URL
from hub.store.store import Store

START = datetime(2026, 11, 9, 18)
PEOPLE, ROOMS = (1, 2, 3), (1, 2)


def who(number):
    return Identifier("card", f"c{number}")


def meeting(number):
    return Identifier("room", f"r{number}")


def at(late):
    return (START + timedelta(minutes=late)).replace(tzinfo=UTC)


people, rooms, times = st.sampled_from(PEOPLE), st.sampled_from(ROOMS), st.integers(0, 9)
traffic = st.one_of(
    st.tuples(st.just("in"), st.sampled_from(["once", "often"]), people, rooms, times),
    st.tuples(st.just("in"), st.sampled_from(["once", "often"]), people, rooms, times),
    st.tuples(st.just("out"), st.sampled_from(["once", "often"]), people, rooms, times),
    st.tuples(st.just("withdraw"), st.sampled_from(["once", "often"]), people, rooms, times),
)
words = st.one_of(
    st.tuples(st.just("in"), st.just("desk"), people, rooms, times),
    st.tuples(st.just("out"), st.just("desk"), people, rooms, times),
    st.tuples(st.just("withdraw"), st.just("desk"), people, rooms, times),
    st.tuples(st.just("restore"), st.just("desk"), people, rooms, times),
    st.tuples(st.just("correct"), st.just("desk"), people, rooms, times),
    st.tuples(st.just("stays"), st.just("desk"), people, rooms, times),
)
merges = st.one_of(
    st.tuples(st.just("merge people"), st.just("desk"), people, people),
    st.tuples(st.just("split people"), st.just("desk"), people),
    st.tuples(st.just("merge rooms"), st.just("desk"), rooms, rooms),
    st.tuples(st.just("split rooms"), st.just("desk"), rooms),
)
undos = st.tuples(st.just("undo"), st.just("desk"), st.integers(0, 20))


def operation(kind, source, *given):
    if kind == "merge people":
        return MergeStudents(keep=who(given[0]), merge=who(given[1]))
    if kind == "split people":
        return SplitStudents(merge=who(given[0]))
    if kind == "merge rooms":
        return MergeEvents(keep=meeting(given[0]), merge=meeting(given[1]))
    if kind == "split rooms":
        return SplitEvents(merge=meeting(given[0]))
    about = {"student": who(given[0]), "event": meeting(given[1])}
    moment = at(given[2])
    match kind:
        case "in":
            return CheckIn(**about, at=moment, repeatable=source != "once")
        case "out":
            return CheckOut(**about, at=moment)
        case "withdraw":
            return Withdraw(**about, at=moment)
        case "restore":
            return Restore(**about)
        case "correct":
            return Correct(**about, checked_in_at=moment)
        case "stays":
            return Correct(**about, stays=True)
    raise AssertionError(kind)


@dataclass
class World:
    """A store, and the deliveries that the desk has applied."""

    store: Store = field(default_factory=lambda: Store.open(MEMORY_URL))
    number: int = 0
    done: list = field(default_factory=list)

    def __enter__(self):
        context = self._context("set-up")
        with self.store.writing() as tx:
            for one in PEOPLE:
                apply(tx, [SaveStudent(identifiers=(who(one),), first_name=f"P{one}")], context)
            for one in ROOMS:
                made = SaveEvent(
                    identifiers=(meeting(one),),
                    name=f"M{one}",
                    starts_at=START + timedelta(days=3 * one),
                )
                apply(tx, [made], context)
        return self

    def __exit__(self, *_):
        self.store.close()

    def _context(self, source):
        self.number += 1
        is_desk = source == "desk"
        return Context(
            f"{self.number:028x}", START, source, UTC, via=source, firm=is_desk, undoable=is_desk
        )

    def say(self, kind, source, *given):
        """Whether it was applied."""
        if kind == "undo":
            if not self.done:
                return False
            return self.apply(Undo(delivery=self.done[given[0] % len(self.done)]), source)
        return self.apply(operation(kind, source, *given), source)

    def apply(self, made, source):
        context = self._context(source)
        try:
            with self.store.writing() as tx:
                if source == "desk":
                    tx.run(KEPT, context.delivery, context.received_at)
                apply(tx, [made], context)
        except AlreadyCheckedIn as refused:
            with self.store.writing() as tx:
                if refused.witness is not None:
                    written.witness(tx, refused.witness, context)
            return False
        except Refused:
            return False
        if source == "desk":
            self.done.append(context.delivery)
        return True

    def undo_everything(self):
        """The newest first; what was undone already, or is an undo, is passed over."""
        for delivery in reversed(list(self.done)):
            self.apply(Undo(delivery=delivery), "desk")

    def told(self, states=None):
        """What stands: by student and event, the times, the state and how many sightings."""
        with self.store.reading() as db:
            wanted = Attendances(**({} if states is None else {"states": states}))
            return sorted(
                (
                    one.student.id, one.event.id, one.checked_in_at, one.checked_out_at or START.min,
                    one.state, one.sightings, one.source,
                )
                for one in attendances.page(db, wanted, 0, 500)
            )  # fmt: skip


KEPT = """
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration)
    VALUES (?, 'desk', ?, '{}', '', 'applied', 200, '{}', 0)"""


@example(
    [],
    [
        ("merge people", "desk", 1, 2),
        ("in", "once", 2, 1, 0),
        ("out", "once", 1, 1, 0),
        ("in", "once", 1, 1, 0),
    ],
)
@given(st.lists(traffic, max_size=12), st.lists(st.one_of(traffic, merges), max_size=12))
def test_merges_and_splits_around_any_traffic_leave_no_trace(before, during):
    with World() as merged, World() as plain:
        for step in before:
            merged.say(*step)
            plain.say(*step)
        for step in during:
            merged.say(*step)
            if step[1] != "desk":
                plain.say(*step)
        for one in PEOPLE:
            merged.say("split people", "desk", one)
        for one in ROOMS:
            merged.say("split rooms", "desk", one)
        # Twice: what was merged under another one comes along with it.
        for one in PEOPLE:
            merged.say("split people", "desk", one)
        assert merged.told() == plain.told()
        assert merged.told(frozenset(TOLD)) == plain.told(frozenset(TOLD))


@example([("in", "desk", 3, 1, 0), ("out", "once", 3, 1, 0), ("in", "once", 3, 1, 0)])
@example(
    [
        ("in", "desk", 3, 1, 0),
        ("undo", "desk", 0),
        ("out", "once", 3, 1, 0),
        ("in", "once", 3, 1, 0),
    ]
)
@given(st.lists(st.one_of(traffic, words, merges, undos), max_size=20))
def test_the_undo_of_everything_the_newest_first_leaves_what_was(history):
    with World() as world, World() as plain:
        for step in history:
            world.say(*step)
            if step[1] != "desk":
                plain.say(*step)
        world.undo_everything()
        # An undo that was undone by this has to be undone once more.
        while len(world.done) < 400 and world.told() != plain.told():
            before = len(world.done)
            world.undo_everything()
            if len(world.done) == before:
                break
        assert world.told() == plain.told()


@given(st.lists(st.one_of(traffic, words, merges), max_size=20))
def test_what_is_told_of_those_who_were_merged_is_what_their_parts_come_to(history):
    with World() as world:
        for step in history:
            world.say(*step)
        with world.store.reading() as db:
            people_of, rooms_of = roster.merged_students(db), roster.merged_events(db)
            rows = list(db.Attendance.select())
            own = {row.attendance: row for row in db.OwnAttendance.select()}
            shown = attendances.page(db, Attendances(), 0, 500)
            groups = {}
            for row in rows:
                pair = people_of.root(row.student.id), rooms_of.root(row.event.id)
                groups.setdefault(pair, []).append(row)
            for row in rows:
                assert (row.joined_in is not None) == (row.id in own)
            for pair, members in groups.items():
                assert {row.joined_in for row in members} == (
                    {None} if len(members) == 1 else {min(
                        (row for row in members if own[row.id].state != 3),
                        key=lambda row: row.id, default=members[0],
                    ).id}
                ), pair  # fmt: skip
            # Each person is told once for each meeting.
            pairs = [(one.student.id, one.event.id) for one in shown]
            assert len(set(pairs)) == len(pairs)
            assert all(people_of.root(one) == one for one, _ in pairs)
            # And counted once.
            counted = {
                one.event.id: one.attendances
                for one in reports.counts(db, Events(), reports.By.EVENT, UTC)
            }
            for room in counted:
                assert counted[room] == sum(event == room for _, event in pairs)
            for one in roster.students_of(db, list(PEOPLE)):
                assert one.attendances == sum(who == one.person.id for who, _ in pairs)
            for one in roster.events_of(db, list(ROOMS)):
                assert one.heads.attendances == sum(e == one.meeting.id for _, e in pairs)
                present = [r for r in shown if r.event.id == one.meeting.id and r.state == 0]
                assert one.heads.present == len(present)


@given(st.lists(st.one_of(traffic, words, merges, undos), max_size=20), st.integers(1, 4))
def test_whoever_follows_has_what_the_listings_show(history, limit):
    with World() as world:
        position, copy = Position(), {}
        for step in history:
            world.say(*step)
            with world.store.reading() as db:
                told, position = changes.page(db, position, limit)
            follow(copy, told)
        while told_now := page(world, position):
            told, position = told_now
            if not told:
                break
            follow(copy, told)
        stand = sorted(one for one in copy.values() if one[4] < 2)
        with world.store.reading() as db:
            shown = attendances.page(db, Attendances(), 0, 500)
        assert stand == sorted(plain_row(one) for one in shown)


def page(world, position):
    with world.store.reading() as db:
        return changes.page(db, position, 3)


def plain_row(one):
    return (
        one.id, one.student.id, one.event.id, one.checked_in_at, one.state.value, one.sightings,
        one.checked_out_at or START.min,
    )  # fmt: skip


def follow(copy, told):
    for change in told:
        one = change.subject
        if not hasattr(one, "checked_in_at"):
            continue
        if change.type == "attendance.withdrawn":
            copy.pop(one.id, None)
        else:
            copy[one.id] = plain_row(one)
