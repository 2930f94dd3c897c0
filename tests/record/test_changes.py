"""Whoever applies all changes has what the listings show: random histories, read from anywhere."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.evidence import State
from hub.domain.identifiers import Identifier
from hub.domain.operations import (
    CheckIn,
    CheckOut,
    HideEvent,
    HideStudent,
    SaveEvent,
    SaveStudent,
    Withdraw,
)
from hub.domain.timestamps import utc_now
from hub.errors import Refused
from hub.record import attendances, changes, roster
from hub.record.attendances import Attendances
from hub.record.changes import Position
from hub.record.roster import Events, Shown, Students
from hub.store import students
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import MEMORY_URL
from hub.store.store import Store

START = datetime(2026, 11, 9, 18)


def who(number):
    return Identifier("card", f"c{number}")


def meeting(number):
    return Identifier("room", f"r{number}")


people, rooms = st.integers(1, 3), st.integers(1, 2)
operations = st.one_of(
    st.builds(lambda n, name: SaveStudent(identifiers=(who(n),), first_name=name, update=True),
              people, st.sampled_from(["Ada", "Bo"])),
    st.builds(lambda n: SaveEvent(identifiers=(meeting(n),), name=f"M{n}", starts_at=START, update=True),
              rooms),
    st.builds(lambda n, m, late: CheckIn(student=who(n), event=meeting(m), repeatable=True, lenient=True,
                                         at=START + timedelta(minutes=late)),
              people, rooms, st.integers(0, 3)),
    st.builds(lambda n, m: CheckOut(student=who(n), event=meeting(m), at=START), people, rooms),
    st.builds(lambda n, m: Withdraw(student=who(n), event=meeting(m), at=START), people, rooms),
    st.builds(lambda n: HideStudent(student=who(n)), people),
    st.builds(lambda n: HideEvent(event=meeting(n)), rooms),
)  # fmt: skip
steps = st.one_of(
    st.tuples(st.just("say"), st.lists(operations, min_size=1, max_size=3)),
    st.tuples(st.just("read"), st.integers(1, 4)),
    st.tuples(st.just("begin"), st.just(0)),
    st.tuples(st.just("forget"), people),
)


class Follower:
    def __init__(self, db, from_now):
        self.position, self.copy = Position(), {}
        if from_now:
            # The cursor first, and then the listings.
            self.position, self.copy = changes.now(db), listed(db)

    def read(self, db, limit):
        told, self.position = changes.page(db, self.position, limit)
        assert len(told) <= limit
        assert changes.position(db, changes.cursor(db, self.position)) == self.position
        for change in told:
            subject = change.subject
            if isinstance(subject, int):
                self.copy.pop(("student", subject), None)
            else:
                self.copy[key(subject)] = plain(subject)
        return told


def key(subject):
    kind = type(subject).__name__.lower()
    row = subject.id if kind == "attendance" else subject[0].id
    return kind, row


def listed(db):
    """What the listings show, without counts."""
    wanted = Attendances(states=frozenset(State))
    rows = attendances.page(db, wanted, 0, 500)
    rows += roster.students_of(
        db, [one.person.id for one in roster.students(db, Students(shown=Shown.ALL), 0, 500)], False
    )
    rows += roster.events_of(
        db, [one.meeting.id for one in roster.events(db, Events(shown=Shown.ALL), 0, 500)], False
    )
    return {key(one): plain(one) for one in rows}


def plain(subject):
    """A subject by ids alone, as changes tell an attendance."""
    if type(subject).__name__ == "Attendance":
        return subject._replace(student=subject.student.id, event=subject.event.id)
    return subject


@given(st.lists(steps, max_size=25))
def test_whoever_applies_all_changes_has_what_the_listings_show(history):
    store = Store.open(MEMORY_URL)
    try:
        followers = []
        for number, (kind, what) in enumerate(history):
            if kind == "say":
                context = Context(f"{number:028x}", START, "s", UTC, via=f"s{number % 2}")
                try:
                    with store.writing() as tx:
                        apply(tx, what, context)
                except Refused:
                    pass
            elif kind == "forget":
                with store.writing() as tx:
                    row = tx.row(students.OWNER, "card", f"c{what}")
                    if row:
                        students.forget(tx, row[0], utc_now())
            with store.reading() as db:
                if kind == "begin":
                    followers += [Follower(db, from_now) for from_now in (False, True)]
                elif kind == "read":
                    for follower in followers:
                        follower.read(db, what)
        with store.reading() as db:
            for follower in followers:
                while follower.read(db, 3):
                    pass
                assert follower.copy == listed(db)
    finally:
        store.close()


def test_a_record_that_was_set_back_is_told_from_the_one_before(tmp_path):
    url = f"sqlite:///{tmp_path / 'hub.db'}"
    store = Store.open(url)

    def say(number):
        with store.writing() as tx:
            made = SaveStudent(identifiers=(who(number),), first_name="Ada")
            apply(tx, [made], Context(f"{number:028x}", START, "s", UTC))

    say(1)
    with store.reading() as db:
        kept = changes.cursor(db, changes.now(db))
    say(2)
    with store.reading() as db:
        cursor = changes.cursor(db, changes.now(db))
    with store.writing() as tx:  # as from a backup, and then something else happens
        tx.run("DELETE FROM change WHERE id = ?", 2)
        tx.run("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", 1, "change")
    say(3)
    with store.reading() as db:
        assert changes.position(db, kept) == Position(0, 1)
        with pytest.raises(Refused, match="the record is another one"):
            changes.position(db, cursor)
    store.close()
