"""The record as plugins read it."""

from datetime import UTC

import pytest

from hub import Record
from hub.record import reader


@pytest.fixture
def record(hub, calls, monkeypatch):
    """Five students, three meetings of two names; pages of two."""
    monkeypatch.setattr(reader, "_PAGE", 2)
    for number in range(1, 6):
        calls.student(f"a{number}", first_name=f"Zoë{number}")
    for day in (1, 2, 3):
        calls.event("Lab" if day < 3 else "Lecture", f"2026-11-0{day}T18:00:00Z")
    for number in (1, 2, 3):
        calls.attend(f"a{number}", "1")
    calls.attend("a1", "3")
    return Record(hub.store)


def test_students(record):
    assert [one.person.identifier for one in record.students()] == [f"a{n}" for n in range(1, 6)]
    assert [one.person.id for one in record.students("ZOË4")] == [4]
    assert list(record.students("nobody")) == []
    assert next(record.students()).attendances == 2


def test_events(record):
    assert [one.meeting.id for one in record.events()] == [1, 2, 3]
    assert [one.meeting.id for one in record.events("Lab")] == [1, 2]
    assert next(record.events()).heads.attendances == 3


def test_attendances(record):
    assert [one.id for one in record.attendances()] == [1, 2, 3, 4]
    assert [one.student.id for one in record.attendances(event=1)] == [1, 2, 3]
    assert [one.event.name for one in record.attendances(student=1)] == ["Lab", "Lecture"]
    assert list(record.attendances(event=1, student=4)) == []


def test_who_was_merged_is_told_with_whom(hub, record):
    from hub.domain.corrections import MergeStudents
    from hub.domain.identifiers import Identifier
    from hub.domain.timestamps import utc_now
    from hub.store.apply import apply
    from hub.store.context import Context

    with hub.store.writing() as tx:
        context = Context("0" * 28, utc_now(), "desk", UTC, firm=True)
        merge = MergeStudents(keep=Identifier("a_number", "a5"), merge=Identifier("a_number", "a1"))
        apply(tx, [merge], context)
    assert [one.person.id for one in record.students()] == [2, 3, 4, 5]
    assert [one.event.id for one in record.attendances(student=5)] == [1, 3]
