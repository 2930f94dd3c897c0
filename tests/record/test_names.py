"""By which names students and events are known in deliveries, and whether one is known by now."""

from datetime import UTC, datetime

import pytest

from hub.domain.identifiers import Identifier
from hub.domain.operations import HideEvent, HideStudent, SaveEvent, SaveStudent
from hub.record import events, students
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.store import Store

START = datetime(2026, 1, 1, 18)
CARD, OTHER = Identifier("card", "04:A2"), Identifier("card", "77")
ROOM, HALL = Identifier("room", "7"), Identifier("room", "hall")


@pytest.fixture
def store(url):
    """Ada with a card and an e-mail, two events of one name; a hidden student and a hidden event."""
    store = Store.open(url)
    email = Identifier("email", "Ada@example.edu")
    with store.writing() as tx:
        for operation in (
            SaveStudent(identifiers=(email, CARD), first_name="Ada"),
            SaveStudent(identifiers=(OTHER,)),
            HideStudent(student=OTHER),
            SaveEvent(identifiers=(ROOM,), name="Meeting", starts_at=START),
            SaveEvent(identifiers=(), name="Meeting", starts_at=START.replace(day=20)),
            SaveEvent(identifiers=(HALL,), name="Old", starts_at=START),
            HideEvent(event=HALL),
        ):
            apply(tx, [operation], Context("d", START, "test", UTC))
    yield store
    store.close()


@pytest.fixture
def db(store):
    with store.reading() as db:
        yield db


def test_who_is_known_and_not_hidden(db):
    assert students.is_known(db, CARD)
    assert students.is_known(db, Identifier("card", "04a2"))
    assert not students.is_known(db, Identifier("other", "04a2"))
    assert not students.is_known(db, Identifier("card", "04a3"))
    assert not students.is_known(db, OTHER)


def test_what_is_known_and_not_hidden(db):
    assert events.is_known(db, ROOM)
    assert events.is_known(db, "Meeting")
    assert not events.is_known(db, Identifier("room", "8"))
    assert not events.is_known(db, Identifier("hall", "7"))
    assert not events.is_known(db, HALL)
    assert not events.is_known(db, "Old")
    assert not events.is_known(db, "meeting")


def test_all_names_of_a_student(db):
    everyone = {"#1", "email:ada@example.edu", "card:04a2"}
    for text in ("ada@EXAMPLE.edu", "card:04-A2"):
        assert set(students.names(db, text)) == everyone
    assert students.names(db, "a9") == ["a_number:a9"]
    assert students.row_of(db, "card:77") == 2
    assert students.row_of(db, "card:78") is None
    assert (students.label(db, 1), students.label(db, 2)) == ("Ada@example.edu", "card:77")
    assert students.label(db, 3) is None


def test_all_names_of_events(db):
    first, second = {"#1", "name:1", "room:7"}, {"#2", "name:2"}
    assert set(events.names(db, "Meeting")) == {"name:Meeting"} | first | second
    assert set(events.names(db, "1")) == first
    assert set(events.names(db, "3")) == {"name:3", "name:Old", "#3", "room:hall"}
    assert events.names(db, "9" * 18) == [f"name:{'9' * 18}"]
    assert events.names(db, "9" * 19) == [f"name:{'9' * 19}"]
    assert set(events.names_of(db, 1)) == {"name:Meeting", "#1", "room:7"}
    assert set(events.names_of(db, 2)) == {"name:Meeting", "#2"}
