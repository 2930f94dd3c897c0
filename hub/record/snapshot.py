"""The record as a whole, a page at a time: to be compared with another one, and to be copied.

Each page is read in a session of its own, so that nothing is held open in between.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pony.orm import exists, select
from pony.orm import max as highest

from hub.domain.delivery import delivery_id_at
from hub.domain.evidence import State
from hub.record.chunks import chunks
from hub.record.students import label_of
from hub.store import rows
from hub.store.store import Entities

WITHDRAWN = State.WITHDRAWN.value
_PAGE = 500

Reading = Callable[[], AbstractContextManager[Entities]]
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """An event: its name and its start, naive and in UTC."""

    name: str
    starts_at: datetime


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


def student_keys(reading: Reading) -> Iterator[Rows]:
    """What students are known by in any store: kind, value and the student's id."""

    def query(db: Entities, after: int) -> Any:
        return select(
            (i.id, i.kind, i.value, i.student.id) for i in db.StudentIdentifier if i.id > after
        )

    for page in _pages(reading, query):
        yield [(f"{kind}:{value}", student) for _, kind, value, student in page]


def event_keys(reading: Reading) -> Iterator[Rows]:
    """What events are known by in any store: kind and value, or start and name, and the event's id."""

    def identifiers(db: Entities, after: int) -> Any:
        return select(
            (i.id, i.kind, i.value, i.event.id) for i in db.EventIdentifier if i.id > after
        )

    def names(db: Entities, after: int) -> Any:
        return select((e.id, e.starts_at, e.name) for e in db.Event if e.id > after)

    for page in _pages(reading, identifiers):
        yield [(f"{kind}:{value}", event) for _, kind, value, event in page]
    for page in _pages(reading, names):
        yield [
            (f"{rows.moment(start).isoformat(' ', 'microseconds')} {name}", event)
            for event, start, name in page
        ]


def merged(reading: Reading, what: str) -> Iterator[Rows]:
    """The students, or events (by their table), that are told as another one: its id, and the other's."""
    name = what.capitalize()

    def query(db: Entities, after: int) -> Any:
        entity = getattr(db, name)
        return select(
            (o.id, o.merged_into.id) for o in entity if o.id > after and o.merged_into is not None
        )

    yield from _pages(reading, query)


def attendances(reading: Reading, upto: str) -> Iterator[Rows]:
    """The attendances that stand, that deliveries up to an id have recorded: id, student, event, times,
    delivery.
    """

    def query(db: Entities, after: int) -> Any:
        return select(
            (a.id, a.student.id, a.event.id, a.checked_in_at, a.checked_out_at, a.delivery)
            for a in db.Attendance
            if a.id > after and a.delivery <= upto and a.state < WITHDRAWN
        )

    yield from _pages(reading, query)


def settled_later(reading: Reading) -> Iterator[Rows]:
    """The deliveries that were replayed: what an id made at their last attempt would begin with, and
    theirs.
    """

    def query(db: Entities, after: int) -> Any:
        return select(
            (a.id, a.delivery.id, a.attempted_at, a.number)
            for a in db.Attempt
            if a.id > after
            and a.number > 1
            and a.number == highest(o.number for o in db.Attempt if o.delivery == a.delivery)
        )

    for page in _pages(reading, query):
        yield [(delivery_id_at(rows.moment(at)), delivery) for _, delivery, at, _ in page]


def made_by(db: Entities, deliveries: Sequence[str]) -> dict[str, dict[str, list[int]]]:
    """The ids of the students and events that each of these deliveries has made, in order, by table."""
    found = {}
    for entity in (db.Student, db.Event):
        made: dict[str, list[int]] = defaultdict(list)
        for some in chunks(deliveries):
            query = select((o.id, o.delivery) for o in entity if o.delivery in some)
            for row, delivery in query.order_by(1):
                made[delivery].append(row)
        found[str(entity._table_)] = made
    return found


def pair_of(db: Entities, attendance: int) -> tuple[int, int] | None:
    """The student and the event of an attendance."""
    pair: tuple[int, int] | None = select(
        (a.student.id, a.event.id) for a in db.Attendance if a.id == attendance
    ).first()
    return pair


def student_labels(db: Entities, students: Sequence[int]) -> dict[int, str]:
    """How to show these students; those without identifiers are left out."""
    some = list(students)
    shown: dict[int, list[tuple[str, str]]] = defaultdict(list)
    query = select(
        (i.id, i.student.id, i.kind, i.shown) for i in db.StudentIdentifier if i.student.id in some
    )
    for _, student, kind, text in query.order_by(1):
        shown[student].append((kind, text))
    return {student: label_of(own) or "" for student, own in shown.items()}


def named_events(db: Entities, events: Sequence[int]) -> dict[int, NamedEvent]:
    """How to show these events."""
    some = list(events)
    query = select((e.id, e.name, e.starts_at) for e in db.Event if e.id in some)
    return {event: NamedEvent(name, start) for event, name, start in query}


def sources_of(db: Entities, deliveries: Sequence[str]) -> dict[str, str]:
    """The sources of those of the deliveries that have a body."""
    some = list(deliveries)
    return dict(select((d.id, d.source) for d in db.Delivery if d.id in some and d.emptied is None))


def changed(
    db: Entities, what: str, some: Sequence[int], sources: Sequence[str]
) -> Mapping[int, datetime]:
    """The last change of those of these students, or events (by their table), whose creation is in no
    kept body.
    """
    ids = list(some)
    query = _underivable(db, getattr(db, what.capitalize()), sources)
    return dict(select((o.id, o.updated_at) for o in query if o.id in ids))


def changed_since(
    db: Entities, change: int, subjects: Mapping[str, Sequence[int]]
) -> dict[str, set[int]]:
    """Which students, events and attendances (by their table) have a change after this one."""
    found = {}
    for what, some in subjects.items():
        begin, ids = f"{what}.", list(some)
        query = select(
            c.subject
            for c in db.Change
            if c.id > change and c.subject in ids and c.type.startswith(begin)
        )
        found[what] = set(query)
    return found


def attendances_of(db: Entities, students: Sequence[int]) -> dict[tuple[int, int], list[int]]:
    """All attendances of these students, and of those that were merged into them, also withdrawn ones: by
    student and event as they are told.
    """
    some = list(students)
    roots = dict(select((s.id, s.merged_into.id) for s in db.Student if s.merged_into.id in some))
    of_events = dict(
        select((e.id, e.merged_into.id) for e in db.Event if e.merged_into is not None)
    )
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for part in chunks([*some, *roots]):
        query = select(
            (a.id, a.student.id, a.event.id) for a in db.Attendance if a.student.id in part
        )
        for row, student, event in query.order_by(1):
            pair = roots.get(student, student), of_events.get(event, event)
            found[pair].append(row)
    return found


def underivable(
    reading: Reading, sources: Sequence[str]
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """The rows whose delivery has no body, or came to none of ``sources``: by table, those first that
    others refer to, each row by column.
    """
    yield from _with_parts(reading, sources, "Student", ("StudentIdentifier",))
    yield from _with_parts(reading, sources, "Event", ("EventIdentifier",))
    yield from _with_parts(reading, sources, "Attendance", ("AttendanceIdentifier", "Evidence"))


def _with_parts(
    reading: Reading, sources: Sequence[str], name: str, parts: Sequence[str]
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    after, size = 0, _PAGE
    while size == _PAGE:
        with reading() as db:
            entity = getattr(db, name)
            query = _underivable(db, entity, sources, after)
            some = list(query.order_by(lambda o: o.id).limit(_PAGE))
            page = [_by_itself(db, row.to_dict()) for row in some]
            ids = [row["id"] for row in page]
            told = {getattr(db, part)._table_: _parts(db, part, name, ids) for part in parts}
        if size := len(page):
            after = ids[-1]
            yield entity._table_, page
            yield from told.items()


def _parts(db: Entities, part: str, name: str, ids: list[int]) -> list[Mapping[str, Any]]:
    entity = getattr(db, part)
    whole = getattr(entity, name.lower())
    query = select(p for p in entity).where(lambda p: getattr(p, whole.name).id in ids)
    return [row.to_dict() for row in query.order_by(lambda p: p.id)]


def _by_itself(db: Entities, row: dict[str, Any]) -> Mapping[str, Any]:
    """A row without what merges make of it: these are deliveries, and derived again."""
    if "merged_under" in row:
        row |= {"merged_into": None, "merged_under": None, "joined": False}
    if "joined_in" in row:
        if row["joined_in"] is not None:
            told = db.OwnAttendance[row["id"]].to_dict()
            row |= {name: value for name, value in told.items() if name in row}
        row["joined_in"] = None
    return row


def _underivable(db: Entities, entity: Any, sources: Sequence[str], after: int = 0) -> Any:
    sources = list(sources)
    return select(
        o
        for o in entity
        if o.id > after
        and not exists(
            d
            for d in db.Delivery
            if d.id == o.delivery and d.emptied is None and d.source in sources
        )
    )


def _pages(reading: Reading, query: Callable[[Entities, int], Any]) -> Iterator[Rows]:
    """The rows of a query whose first column is an id, those after an id, until there is none."""
    after, size = 0, _PAGE
    while size == _PAGE:
        with reading() as db:
            page = rows.of(db, query(db, after).order_by(1), _PAGE)
        if size := len(page):
            after = page[-1][0]
            yield page
