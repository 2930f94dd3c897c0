"""The record as a whole: read to be compared with another, and to be copied."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pony.orm import exists, select

from hub.domain.evidence import State
from hub.record.roster import merged_events, merged_students
from hub.record.students import label_of
from hub.store.store import Entities

WITHDRAWN = State.WITHDRAWN.value


@dataclass(frozen=True, slots=True)
class NamedStudent:
    """A student: how to show it, and what it is known by in any store."""

    label: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """An event: its name, its start, naive and in UTC, and what it is known by in any store."""

    name: str
    starts_at: datetime
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attended:
    """An attendance: its times, naive and in UTC, and the delivery that recorded it; ``source`` is None
    where that one has no body any more. ``student`` and ``event`` are those it is of, who may be told as
    others.
    """

    student: int
    event: int
    checked_in_at: datetime
    checked_out_at: datetime | None
    delivery: str
    source: str | None

    @property
    def times(self) -> tuple[datetime, datetime | None]:
        """From when to when."""
        return self.checked_in_at, self.checked_out_at


def students(db: Entities) -> dict[int, NamedStudent]:
    """The students that have identifiers, by id."""
    found: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    every = select((i.id, i.student.id, i.kind, i.value, i.shown) for i in db.StudentIdentifier)
    for _, student, *identifier in every.order_by(1):
        found[student].append((identifier[0], identifier[1], identifier[2]))
    return {
        student: NamedStudent(
            label_of((kind, shown) for kind, _, shown in own) or "",
            tuple(f"{kind}:{value}" for kind, value, _ in own),
        )
        for student, own in found.items()
    }


def events(db: Entities) -> dict[int, NamedEvent]:
    """The events, by id."""
    keys: dict[int, list[str]] = defaultdict(list)
    own = select((i.id, i.event.id, i.kind, i.value) for i in db.EventIdentifier)
    for _, event, kind, value in own.order_by(1):
        keys[event].append(f"{kind}:{value}")
    return {
        event: NamedEvent(name, start, (*keys[event], f"{start.isoformat()} {name}"))
        for event, name, start in select((e.id, e.name, e.starts_at) for e in db.Event)
    }


def attendances(db: Entities, until: str) -> dict[tuple[int, int], Attended]:
    """The attendances that stand, by student and event as they are told, that deliveries up to the id
    ``until`` have recorded.
    """
    merged_s, merged_e = merged_students(db), merged_events(db)
    with_a_body = select(
        (a.id, d.source)
        for a in db.Attendance
        for d in db.Delivery
        if d.id == a.delivery and d.emptied is None and a.delivery <= until
    )
    sources = dict(with_a_body)
    every = select(
        (a.id, a.student.id, a.event.id, a.checked_in_at, a.checked_out_at, a.delivery)
        for a in db.Attendance
        if a.delivery <= until and a.state < WITHDRAWN
    )
    return {
        (merged_s.root(student), merged_e.root(event)): Attended(
            student, event, came, left, delivery, sources.get(identifier)
        )
        for identifier, student, event, came, left, delivery in every
    }


def made_by(db: Entities) -> dict[str, dict[str, list[int]]]:
    """The ids of the students and events that each delivery has made, in order, by table."""
    found = {}
    for entity in (db.Student, db.Event):
        made: dict[str, list[int]] = defaultdict(list)
        for row, delivery in select((o.id, o.delivery) for o in entity).order_by(1):
            made[delivery].append(row)
        found[entity._table_] = made
    return found


def pair_of(db: Entities, attendance: int) -> tuple[int, int] | None:
    """The student and the event of an attendance."""
    pair: tuple[int, int] | None = select(
        (a.student.id, a.event.id) for a in db.Attendance if a.id == attendance
    ).first()
    return pair


def changed(
    db: Entities, sources: Sequence[str]
) -> tuple[Mapping[int, datetime], Mapping[int, datetime]]:
    """The last change of each student, and of each event, whose creation is in no kept body."""
    students, events = (
        dict(select((o.id, o.updated_at) for o in _underivable(db, entity, sources)))
        for entity in (db.Student, db.Event)
    )
    return students, events


def underivable(
    db: Entities, sources: Sequence[str]
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The rows whose delivery has no body, or came to none of ``sources``: by table, those first that
    others refer to, each row by column.
    """
    students = _underivable(db, db.Student, sources)
    events = _underivable(db, db.Event, sources)
    attendances = _underivable(db, db.Attendance, sources)
    found = {
        db.Student: students,
        db.StudentIdentifier: select(i for i in db.StudentIdentifier if i.student in students),
        db.Event: events,
        db.EventIdentifier: select(i for i in db.EventIdentifier if i.event in events),
        db.Attendance: attendances,
        db.AttendanceIdentifier: select(
            i for i in db.AttendanceIdentifier if i.attendance in attendances
        ),
        db.Evidence: select(e for e in db.Evidence if e.attendance in attendances),
    }
    own = {row.attendance: row for row in select(o for o in db.OwnAttendance)}
    for entity, rows in found.items():
        yield entity._table_, [_by_itself(row.to_dict(), own) for row in rows]


def _by_itself(row: dict[str, Any], own: Mapping[int, Any]) -> Mapping[str, Any]:
    """A row without what merges make of it: these are deliveries, and derived again."""
    if "merged_under" in row:
        row |= {"merged_into": None, "merged_under": None, "joined": False}
    if "joined_in" in row:
        if row["joined_in"] is not None:
            told = own[row["id"]].to_dict()
            row |= {name: value for name, value in told.items() if name in row}
        row["joined_in"] = None
    return row


def _underivable(db: Entities, entity: Any, sources: Sequence[str]) -> Any:
    sources = list(sources)
    return select(
        o
        for o in entity
        if not exists(
            d
            for d in db.Delivery
            if d.id == o.delivery and d.emptied is None and d.source in sources
        )
    )
