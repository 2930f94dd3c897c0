"""Students and events: listed in pages, with what is counted of them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pony.orm import count, exists, select
from pony.orm import max as highest
from pony.orm import sum as total

from hub.domain.identifiers import A_NUMBER, EMAIL
from hub.record.chunks import chunks
from hub.record.chunks import first as first_of
from hub.record.views import Event, Heads, Meeting, Named, Person, Student
from hub.store.store import Entities

_MOST_REMEMBERED = 20_000


class Shown(StrEnum):
    """Which students or events: those that are shown, those that are hidden, or all."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Students:
    """Which students: those for whom everything holds that is given. ``q`` is a part, in ASCII, of a name
    or of an identifier (any other: ``named_like``), ``ids`` the students themselves, sorted.
    """

    q: str | None = None
    ids: tuple[int, ...] | None = None
    shown: Shown = Shown.SHOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Which events: those for which everything holds that is given. They start from ``since`` on, and
    before ``until``, both naive and in UTC.
    """

    name: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    shown: Shown = Shown.SHOWN


def students(db: Entities, wanted: Students, after: int, limit: int) -> list[Student]:
    """Students above the id ``after``, in the order of their ids. Those who were forgotten are not
    told.
    """
    query = _narrowed_students(db, wanted).where(lambda s: s.id > after).order_by(1)
    if wanted.ids is None:
        return students_of(db, list(query.limit(limit)))
    ids = [one for one in wanted.ids if one > after]
    return students_of(db, first_of(ids, limit, lambda some, most: _among(query, some).limit(most)))


def count_students(db: Entities, wanted: Students) -> int:
    """How many there are."""
    query = _narrowed_students(db, wanted)
    if wanted.ids is None:
        return int(query.count())
    return sum(int(_among(query, some).count()) for some in chunks(wanted.ids))


def named_like(db: Entities, part: str) -> tuple[int, ...]:
    """The ids of the students who have a text in a name or an identifier, whatever the case, sorted.
    Databases know the case of ASCII alone, unless they are set up for more.
    """
    sought = part.casefold()
    names = select((s.id, s.first_name, s.last_name, s.preferred_name) for s in db.Student)
    found = {
        row[0]
        for row in names
        if sought in f"{row[1]} {row[2]}".casefold() or sought in row[3].casefold()
    }
    identifiers = select((i.id, i.student.id, i.shown) for i in db.StudentIdentifier)
    found |= {student for _, student, shown in identifiers if sought in shown.casefold()}
    return tuple(sorted(found))


def students_of(db: Entities, identifiers: Sequence[int], counted: bool = True) -> list[Student]:
    """The students with these ids, in their order; those who were forgotten are left out."""
    found: dict[int, Student] = {}
    for some in chunks(identifiers):
        own = _identifiers(db, some)
        counts = _points(db, some) if counted else {}
        rows = select(
            (
                s.id,
                s.first_name,
                s.last_name,
                s.preferred_name,
                s.is_admin,
                s.hidden_at,
                s.merged_into.id,
            )
            for s in db.Student
            if s.id in some and s.forgotten_at is None
        )
        for student, first, last, preferred, is_admin, hidden_at, merged_into in rows:
            attendances, points = counts.get(student, (0, 0)) if counted else (None, None)
            identity = own.get(student, [])
            found[student] = Student(
                Person(student, _value(identity, A_NUMBER), first, last, _value(identity, EMAIL)),
                preferred,
                is_admin,
                identity,
                hidden_at is not None,
                merged_into,
                attendances,
                points,
            )
    return [found[one] for one in identifiers if one in found]


def events(db: Entities, wanted: Events, after: int, limit: int) -> list[Event]:
    """Events above the id ``after``, in the order of their ids."""
    found = narrowed_events(db, wanted).where(lambda e: e.id > after)
    return events_of(db, list(found.order_by(1).limit(limit)))


def count_events(db: Entities, wanted: Events) -> int:
    """How many there are."""
    return int(narrowed_events(db, wanted).count())


def events_of(db: Entities, identifiers: Sequence[int], counted: bool = True) -> list[Event]:
    """The events with these ids, in their order."""
    found: dict[int, Event] = {}
    for some in chunks(identifiers):
        own = _names_of_events(db, some)
        heads = _heads(db, some) if counted else {}
        rows = select(
            (
                e.id,
                e.name,
                e.starts_at,
                e.points,
                e.ends_at,
                e.event_type,
                e.description,
                e.location,
                e.hidden_at,
                e.merged_into.id,
            )
            for e in db.Event
            if e.id in some
        )
        for row in rows:
            event = row[0]
            found[event] = Event(
                meeting=Meeting(*row[:4]),
                ends_at=row[4],
                event_type=row[5],
                description=row[6],
                location=row[7],
                identifiers=own.get(event, []),
                hidden=row[8] is not None,
                merged_into=row[9],
                heads=heads.get(event, Heads(0, 0, 0)) if counted else None,
            )
    return [found[one] for one in identifiers if one in found]


class Directory:
    """Students and events as attendances name them; each is looked up once, as long as nothing changes.
    It may be shared by several threads.
    """

    def __init__(self) -> None:
        self._change = -1
        self._hides_students = self._hides_events = True
        self._people: dict[int, Person] = {}
        self._meetings: dict[int, Meeting] = {}

    def refresh(self, db: Entities) -> "Directory":
        """Look up all anew, if the record has changed, or it has grown too large."""
        change = highest(c.id for c in db.Change) or 0
        if change != self._change or len(self._people) + len(self._meetings) > _MOST_REMEMBERED:
            # New ones: another thread may read the old ones.
            self._people, self._meetings = {}, {}
            self._hides_students = db.Student.exists(
                lambda s: s.hidden_at is not None and s.forgotten_at is None
            )
            self._hides_events = db.Event.exists(lambda e: e.hidden_at is not None)
            self._change = change
        return self

    def of_shown_students(self, attendances: Any) -> Any:
        """A query of attendances, called ``a`` in it, without those of hidden students. Who was
        forgotten is still counted.
        """
        if not self._hides_students:
            return attendances
        return attendances.where(
            lambda a: a.student.hidden_at is None or a.student.forgotten_at is not None
        )

    def of_shown_events(self, attendances: Any) -> Any:
        """A query of attendances, called ``a`` in it, without those of hidden events."""
        if not self._hides_events:
            return attendances
        return attendances.where(lambda a: a.event.hidden_at is None)

    def people(self, db: Entities, identifiers: Iterable[int]) -> Mapping[int, Person]:
        """Those with these ids, and maybe more."""
        known = self._people
        missing = sorted(set(identifiers) - known.keys())
        for some in chunks(missing):
            own = _identifiers(db, some, single=True)
            rows = select((s.id, s.first_name, s.last_name) for s in db.Student if s.id in some)
            for student, first, last in rows:
                identity = own.get(student, [])
                number, email = _value(identity, A_NUMBER), _value(identity, EMAIL)
                known[student] = Person(student, number, first, last, email)
        return known

    def meetings(self, db: Entities, identifiers: Iterable[int]) -> Mapping[int, Meeting]:
        """Those with these ids, and maybe more."""
        known = self._meetings
        missing = sorted(set(identifiers) - known.keys())
        for some in chunks(missing):
            rows = select((e.id, e.name, e.starts_at, e.points) for e in db.Event if e.id in some)
            for row in rows:
                known[row[0]] = Meeting(*row)
        return known


def narrowed_events(db: Entities, wanted: Events) -> Any:
    """A query of the ids of the events that are wanted."""
    query = select(e.id for e in db.Event)
    if wanted.name is not None:
        name = wanted.name
        query = query.where(lambda e: e.name == name)
    if wanted.event_type is not None:
        event_type = wanted.event_type
        query = query.where(lambda e: e.event_type == event_type)
    if wanted.since is not None:
        since = wanted.since
        query = query.where(lambda e: e.starts_at >= since)
    if wanted.until is not None:
        until = wanted.until
        query = query.where(lambda e: e.starts_at < until)
    if wanted.shown is Shown.SHOWN:
        query = query.where(lambda e: e.hidden_at is None)
    if wanted.shown is Shown.HIDDEN:
        query = query.where(lambda e: e.hidden_at is not None)
    return query


def _narrowed_students(db: Entities, wanted: Students) -> Any:
    query = select(s.id for s in db.Student if s.forgotten_at is None)
    if wanted.q is not None:
        part = wanted.q.lower()
        query = query.where(
            lambda s: (
                part in (s.first_name + " " + s.last_name).lower()
                or part in s.preferred_name.lower()
                or exists(i for i in s.identifiers if part in i.shown.lower())
            )
        )
    if wanted.shown is Shown.SHOWN:
        query = query.where(lambda s: s.hidden_at is None)
    if wanted.shown is Shown.HIDDEN:
        query = query.where(lambda s: s.hidden_at is not None)
    return query


def _among(query: Any, identifiers: Sequence[int]) -> Any:
    """The students of a query that have one of these ids."""
    some = list(identifiers)
    return query.where(lambda s: s.id in some)


def _identifiers(
    db: Entities, students: list[int], single: bool = False
) -> Mapping[int, list[Named]]:
    found: dict[int, list[Named]] = defaultdict(list)
    rows = select(
        (i.id, i.student.id, i.kind, i.shown)
        for i in db.StudentIdentifier
        if i.student.id in students
    )
    if single:
        rows = rows.where(lambda i: i.kind == A_NUMBER or i.kind == EMAIL)
    for _, student, kind, shown in rows.order_by(1):
        found[student].append(Named(kind, shown))
    return found


def _names_of_events(db: Entities, events: list[int]) -> Mapping[int, list[Named]]:
    found: dict[int, list[Named]] = defaultdict(list)
    rows = select(
        (i.id, i.event.id, i.kind, i.shown) for i in db.EventIdentifier if i.event.id in events
    )
    for _, event, kind, shown in rows.order_by(1):
        found[event].append(Named(kind, shown))
    return found


def _value(identifiers: Iterable[Named], kind: str) -> str | None:
    return next((one.value for one in identifiers if one.kind == kind), None)


def _points(db: Entities, students: list[int]) -> Mapping[int, tuple[int, int]]:
    """Attendances that stand, and their points, by student."""
    query = select(
        (a.student.id, count(), total(a.event.points))
        for a in db.Attendance
        if a.student.id in students and a.state != 2 and a.event.hidden_at is None
    )
    return {student: (number, points) for student, number, points in query}


def _heads(db: Entities, events: list[int]) -> Mapping[int, Heads]:
    """How many persons each event has. Each count is answered by an index alone."""
    shown = Directory().refresh(db).of_shown_students
    every = select((a.event.id, count()) for a in db.Attendance if a.event.id in events)
    gone = dict(shown(every.where(lambda a: a.state == 2)))
    left = dict(shown(every.where(lambda a: a.state == 1)))
    found = {}
    for event, number in shown(every):
        stand = number - gone.get(event, 0)
        found[event] = Heads(stand, stand - left.get(event, 0), gone.get(event, 0))
    return found
