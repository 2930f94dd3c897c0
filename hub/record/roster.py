"""Students and events: listed in pages, with what is counted of them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
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
    before ``until``, both naive and in UTC; ``ids`` are the events themselves.
    """

    name: str | None = None
    ids: tuple[int, ...] | None = None
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
    named = {student for _, student, shown in identifiers if sought in shown.casefold()}
    return tuple(sorted({*found, *merged_students(db).groups(named)}))


def events_like(db: Entities, part: str, limit: int) -> tuple[int, ...]:
    """The ids of the newest events that have a text in their name, whatever the case."""
    sought = part.casefold()
    found = []
    for event, name in select((e.id, e.name) for e in db.Event).order_by(-1):
        if sought in name.casefold():
            found.append(event)
            if len(found) == limit:
                break
    return tuple(found)


def absent(db: Entities, events: Sequence[int]) -> tuple[int, ...]:
    """The ids of the students who are shown, and have no attendance that stands at one of the events
    (which are told as one), sorted.
    """
    some = list(events)
    merged = merged_students(db)
    came = set(select(a.student.id for a in db.Attendance if a.event.id in some and a.state != 2))
    there = {merged.root(one) for one in came}
    every = select(
        s.id
        for s in db.Student
        if s.hidden_at is None and s.forgotten_at is None and s.merged_into is None
    )
    return tuple(one for one in every.order_by(1) if one not in there)


def students_of(db: Entities, identifiers: Sequence[int], counted: bool = True) -> list[Student]:
    """The students with these ids, in their order; those who were forgotten are left out."""
    found: dict[int, Student] = {}
    merged = merged_students(db)
    for some in chunks(identifiers):
        own = _identifiers(db, some, merged)
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


def newest_events(db: Entities, wanted: Events, before: int | None, limit: int) -> list[Event]:
    """Events, the newest first: below the id ``before``, if there is one."""
    found = narrowed_events(db, wanted)
    if before is not None:
        found = found.where(lambda e: e.id < before)
    return events_of(db, list(found.order_by(-1).limit(limit)))


def count_events(db: Entities, wanted: Events) -> int:
    """How many there are."""
    return int(narrowed_events(db, wanted).count())


def events_of(db: Entities, identifiers: Sequence[int], counted: bool = True) -> list[Event]:
    """The events with these ids, in their order."""
    found: dict[int, Event] = {}
    merged = merged_events(db)
    for some in chunks(identifiers):
        own = _names_of_events(db, some, merged)
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


class Merged:
    """Which students, or events, are told as another one: the one that they were merged into."""

    def __init__(self, roots: Mapping[int, int]) -> None:
        self._roots = roots
        self._groups: dict[int, list[int]] = defaultdict(list)
        for row, root in sorted(roots.items()):
            self._groups[root].append(row)

    def __bool__(self) -> bool:
        return bool(self._roots)

    def root(self, row: int) -> int:
        """What a row is told as."""
        return self._roots.get(row, row)

    def group(self, row: int) -> list[int]:
        """All that are told as the same one: that one first."""
        root = self.root(row)
        return [root, *self._groups.get(root, ())]

    def groups(self, rows: Iterable[int]) -> list[int]:
        """All that are told as one of several."""
        if not self._roots:
            return list(rows)
        return list(dict.fromkeys(one for row in rows for one in self.group(row)))

    def with_groups(self, rows: Iterable[int]) -> list[int]:
        """The rows, and all that are told as one of them."""
        rows = list(rows)
        if not self._roots:
            return rows
        return list(
            dict.fromkeys([*rows, *(one for row in rows for one in self._groups.get(row, ()))])
        )

    @property
    def rows(self) -> list[int]:
        """All that are told as another one."""
        return sorted(self._roots)


def merged_students(db: Entities) -> Merged:
    """Which students were merged into others."""
    return Merged(
        dict(select((s.id, s.merged_into.id) for s in db.Student if s.merged_into is not None))
    )


def merged_events(db: Entities) -> Merged:
    """Which events were merged into others."""
    return Merged(
        dict(select((e.id, e.merged_into.id) for e in db.Event if e.merged_into is not None))
    )


class Directory:
    """Students and events as attendances name them; each is looked up once, as long as nothing changes.
    It may be shared by several threads.
    """

    def __init__(self) -> None:
        self._change = -1
        self._hides_students = self._hides_events = True
        self._people: dict[int, Person] = {}
        self._meetings: dict[int, Meeting] = {}
        self._merged: tuple[Merged, Merged] | None = None
        self._told_otherwise: tuple[list[int], list[int]] = [], []

    def merged(self, db: Entities) -> tuple[Merged, Merged]:
        """Which students, and which events, are told as others."""
        if self._merged is None:
            self._merged = merged_students(db), merged_events(db)
        return self._merged

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
            self._merged = None
            self._told_otherwise = self._of_hidden(db)
            self._change = change
        return self

    def _of_hidden(self, db: Entities) -> tuple[list[int], list[int]]:
        """The students, and the events, of which another one is hidden than what they are told as."""
        students, events = self.merged(db)
        found: list[list[int]] = []
        for merged, entity in ((students, db.Student), (events, db.Event)):
            rows = merged.groups(merged.rows)
            hidden = set(select(o.id for o in entity if o.id in rows and o.hidden_at is not None))
            found.append(
                [one for one in merged.rows if (one in hidden) != (merged.root(one) in hidden)]
            )
        return found[0], found[1]

    def of_shown_students(self, attendances: Any) -> Any:
        """A query of attendances, called ``a`` in it, without those of hidden students. Who was
        forgotten is still counted.
        """
        if not self._hides_students:
            return attendances
        if others := self._told_otherwise[0]:
            return attendances.where(
                lambda a: (
                    (
                        a.student.id not in others
                        and (a.student.hidden_at is None or a.student.forgotten_at is not None)
                    )
                    or (a.student.id in others and a.student.hidden_at is not None)
                )
            )
        return attendances.where(
            lambda a: a.student.hidden_at is None or a.student.forgotten_at is not None
        )

    def of_shown_events(self, attendances: Any) -> Any:
        """A query of attendances, called ``a`` in it, without those of hidden events."""
        if not self._hides_events:
            return attendances
        if others := self._told_otherwise[1]:
            return attendances.where(
                lambda a: (
                    (a.event.id not in others and a.event.hidden_at is None)
                    or (a.event.id in others and a.event.hidden_at is not None)
                )
            )
        return attendances.where(lambda a: a.event.hidden_at is None)

    def people(self, db: Entities, identifiers: Iterable[int]) -> Mapping[int, Person]:
        """Those with these ids, and maybe more."""
        known = self._people
        missing = set(identifiers) - known.keys()
        if not missing:
            return known
        merged, _ = self.merged(db)
        for some in chunks(sorted({merged.root(one) for one in missing})):
            own = _identifiers(db, some, merged, single=True)
            rows = select((s.id, s.first_name, s.last_name) for s in db.Student if s.id in some)
            for student, first, last in rows:
                identity = own.get(student, [])
                number, email = _value(identity, A_NUMBER), _value(identity, EMAIL)
                person = Person(student, number, first, last, email)
                known.update(dict.fromkeys(merged.group(student), person))
        return known

    def meetings(self, db: Entities, identifiers: Iterable[int]) -> Mapping[int, Meeting]:
        """Those with these ids, and maybe more."""
        known = self._meetings
        missing = set(identifiers) - known.keys()
        if not missing:
            return known
        _, merged = self.merged(db)
        for some in chunks(sorted({merged.root(one) for one in missing})):
            rows = select((e.id, e.name, e.starts_at, e.points) for e in db.Event if e.id in some)
            for row in rows:
                known.update(dict.fromkeys(merged.group(row[0]), Meeting(*row)))
        return known


def narrowed_events(db: Entities, wanted: Events) -> Any:
    """A query of the ids of the events that are wanted."""
    query = select(e.id for e in db.Event)
    if wanted.ids is not None:
        ids = list(wanted.ids)
        query = query.where(lambda e: e.id in ids)
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
        query = query.where(lambda e: e.hidden_at is None and e.merged_into is None)
    if wanted.shown is Shown.HIDDEN:
        query = query.where(lambda e: e.hidden_at is not None and e.merged_into is None)
    return query


def _narrowed_students(db: Entities, wanted: Students) -> Any:
    query = select(s.id for s in db.Student if s.forgotten_at is None)
    if wanted.q is not None:
        part = wanted.q.lower()
        others = select(
            i.student.merged_into.id
            for i in db.StudentIdentifier
            if i.student.merged_into is not None and part in i.shown.lower()
        )
        also = list(others) if merged_students(db) else []
        query = query.where(
            lambda s: (
                part in (s.first_name + " " + s.last_name).lower()
                or part in s.preferred_name.lower()
                or exists(i for i in s.identifiers if part in i.shown.lower())
                or s.id in also
            )
        )
    if wanted.shown is Shown.SHOWN:
        query = query.where(lambda s: s.hidden_at is None and s.merged_into is None)
    if wanted.shown is Shown.HIDDEN:
        query = query.where(lambda s: s.hidden_at is not None and s.merged_into is None)
    return query


def _among(query: Any, identifiers: Sequence[int]) -> Any:
    """The students of a query that have one of these ids."""
    some = list(identifiers)
    return query.where(lambda s: s.id in some)


def _identifiers(
    db: Entities, students: list[int], merged: Merged, single: bool = False
) -> Mapping[int, list[Named]]:
    every = merged.with_groups(students)
    rows = select(
        (i.id, i.student.id, i.kind, i.shown) for i in db.StudentIdentifier if i.student.id in every
    )
    if single:
        rows = rows.where(lambda i: i.kind == A_NUMBER or i.kind == EMAIL)
    return _own_first(students, rows, merged)


def _names_of_events(db: Entities, events: list[int], merged: Merged) -> Mapping[int, list[Named]]:
    every = merged.with_groups(events)
    rows = select(
        (i.id, i.event.id, i.kind, i.shown) for i in db.EventIdentifier if i.event.id in every
    )
    return _own_first(events, rows, merged)


def _own_first(wanted: Iterable[int], rows: Any, merged: Merged) -> Mapping[int, list[Named]]:
    """Identifiers by whose they are, of each its own first, then those of what was merged into it."""
    found: dict[int, list[Named]] = {one: [] for one in wanted}
    of_others: list[tuple[int, Named]] = []
    for _, row, kind, shown in rows.order_by(1):
        named = Named(kind, shown)
        if row in found:
            found[row].append(named)
        if merged.root(row) != row:
            of_others.append((merged.root(row), named))
    for root, named in of_others:
        if root in found:
            found[root].append(named)
    return found


def _value(identifiers: Iterable[Named], kind: str) -> str | None:
    return next((one.value for one in identifiers if one.kind == kind), None)


def _points(db: Entities, students: list[int]) -> Mapping[int, tuple[int, int]]:
    """Attendances that stand, and their points, by student; of one who was merged into another there are
    none.
    """
    directory = Directory().refresh(db)
    merged, _ = directory.merged(db)
    students = merged.groups(one for one in students if merged.root(one) == one)
    query = select(
        (a.student.id, count(), total(a.event.points))
        for a in db.Attendance
        if a.student.id in students and a.state < 2
    )
    query = directory.of_shown_events(query)
    found: dict[int, tuple[int, int]] = defaultdict(lambda: (0, 0))
    for student, number, points in query:
        before = found[merged.root(student)]
        found[merged.root(student)] = before[0] + number, before[1] + points
    for student, points in more_points(db, directory, students).items():
        before = found[merged.root(student)]
        found[merged.root(student)] = before[0], before[1] + points
    return found


def more_points(
    db: Entities,
    directory: Directory,
    students: list[int] | None = None,
    events: Collection[int] | None = None,
) -> Mapping[int, int]:
    """How many points more students have than their attendances' own events tell, by student: an event
    that was merged into another one counts as that one does.
    """
    _, merged = directory.merged(db)
    if not merged:
        return {}
    meetings = directory.meetings(db, merged.rows)
    own = dict(select((e.id, e.points) for e in db.Event if e.id in merged.rows))
    rows = [one for one in merged.rows if events is None or one in events]
    query = select(
        (a.id, a.student.id, a.event.id)
        for a in db.Attendance
        if a.event.id in rows and a.state < 2
    )
    if students is not None:
        query = query.where(lambda a: a.student.id in students)
    found: dict[int, int] = defaultdict(int)
    for _, student, event in directory.of_shown_events(query):
        found[student] += meetings[event].points - own[event]
    return found


def _heads(db: Entities, events: list[int]) -> Mapping[int, Heads]:
    """How many persons each event has; one that was merged into another has none. Each count is answered
    by an index alone.
    """
    directory = Directory().refresh(db)
    shown = directory.of_shown_students
    _, merged = directory.merged(db)
    events = merged.groups(one for one in events if merged.root(one) == one)
    every = select((a.event.id, count()) for a in db.Attendance if a.event.id in events)
    gone = dict(shown(every.where(lambda a: a.state == 2)))
    left = dict(shown(every.where(lambda a: a.state == 1)))
    joined = dict(shown(every.where(lambda a: a.state == 3)))
    found: dict[int, Heads] = {}
    for event, number in shown(every):
        stand = number - gone.get(event, 0) - joined.get(event, 0)
        before = found.get(merged.root(event), Heads(0, 0, 0))
        found[merged.root(event)] = Heads(
            before.attendances + stand,
            before.present + stand - left.get(event, 0),
            before.withdrawn + gone.get(event, 0),
        )
    return found
