"""Reports: who came how often, and how many came to what and when. Hidden students and events are left
out; who was forgotten is counted among the heads, and has no row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import NamedTuple

from pony.orm import count, select
from pony.orm import sum as total

from hub.domain.timestamps import calendar_date
from hub.record.chunks import chunks
from hub.record.roster import Directory, Events, more_points, narrowed_events
from hub.record.views import Meeting, Person
from hub.store.store import Entities


class Order(StrEnum):
    """In which order students are told: by name, or those with the most first."""

    NAME = "name"
    ATTENDED = "attended"
    POINTS = "points"


class By(StrEnum):
    """By what events are counted together."""

    EVENT = "event"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Attended(NamedTuple):
    """How many of the events a student attended, and the points."""

    student: Person
    attended: int
    points: int


class Count(NamedTuple):
    """How many came to an event, or in a period (``2026-11-12``, ``2026-W46``, ``2026-11``): attendances,
    different students, points.
    """

    event: Meeting | None
    period: str | None
    attendances: int
    students: int
    points: int


def students(
    db: Entities, events: Events, now: datetime, at_least: int, order: Order
) -> tuple[int, list[Attended]]:
    """How many events have begun that count, and who attended at least so many of them."""
    begun = replace(events, until=min(events.until or datetime.max, _just_after(now)))
    meant = narrowed_events(db, begun)
    of = int(meant.count())
    directory = Directory()
    merged_students, merged_events = directory.merged(db)
    attended = select(
        (a.student.id, count(), total(a.event.points)) for a in db.Attendance if a.state < 2
    )
    every = merged_events.groups(meant) if merged_events else []
    if merged_events:
        attended = attended.where(lambda a: a.event.id in every)
    else:
        attended = attended.where(lambda a: a.event.id in meant)
    counted: dict[int, tuple[int, int]] = {}
    for student, number, points in attended:
        root = merged_students.root(student)
        before = counted.get(root, (0, 0))
        counted[root] = before[0] + number, before[1] + points
    for student, points in more_points(db, directory, events=set(every)).items():
        root = merged_students.root(student)
        counted[root] = counted[root][0], counted[root][1] + points
    if at_least:
        wanted = [student for student, (number, _) in counted.items() if number >= at_least]
    else:
        wanted = list(select(s.id for s in db.Student))
    shown = set(
        select(
            s.id
            for s in db.Student
            if s.hidden_at is None and s.forgotten_at is None and s.merged_into is None
        )
    )
    wanted = [student for student in wanted if student in shown]
    people = directory.people(db, wanted)
    found = [Attended(people[one], *counted.get(one, (0, 0))) for one in wanted]
    return of, sorted(found, key=_ORDERS[order])


def counts(db: Entities, events: Events, by: By, zone: tzinfo) -> list[Count]:
    """How many came to each event, in the order of their ids, or in each period, in the order of time."""
    directory = Directory().refresh(db)
    meetings = _meetings(db, events, directory)
    heads = _by_event(db, list(meetings), directory)
    if by is By.EVENT:
        return [
            Count(one, None, number := heads.get(one.id, 0), number, number * one.points)
            for one in meetings.values()
        ]
    periods: dict[str, list[int]] = {}
    for one in meetings.values():
        period = _PERIODS[by](calendar_date(one.starts_at, zone))
        periods.setdefault(period, []).append(one.id)
    found = []
    for period in sorted(periods):
        own = periods[period]
        attendances = sum(heads.get(event, 0) for event in own)
        points = sum(heads.get(event, 0) * meetings[event].points for event in own)
        persons = _persons(db, own, attendances, directory)
        found.append(Count(None, period, attendances, persons, points))
    return found


class Arrivals(NamedTuple):
    """How many came, and how many left, from a moment on (naive, UTC)."""

    since: datetime
    came: int
    left: int


def arrivals(db: Entities, events: Events, span: timedelta) -> list[Arrivals]:
    """How many came and left in each ``span`` of time, from the first that came to the last."""
    directory = Directory().refresh(db)
    ids = [one.id for one in _meetings(db, events, directory).values()]
    _, merged = directory.merged(db)
    found: dict[datetime, list[int]] = {}
    for some in chunks(merged.with_groups(ids)):
        query = select(
            (a.id, a.checked_in_at, a.checked_out_at)
            for a in db.Attendance
            if a.event.id in some and a.state < 2
        )
        for _, came, left in directory.of_shown_students(query):
            for number, at in enumerate((came, left)):
                if at is not None:
                    begin = datetime.min + (at - datetime.min) // span * span
                    found.setdefault(begin, [0, 0])[number] += 1
    return [Arrivals(begin, *found[begin]) for begin in sorted(found)]


def _meetings(db: Entities, events: Events, directory: Directory) -> Mapping[int, Meeting]:
    """The events that count, in the order of their ids."""
    identifiers = list(narrowed_events(db, events).order_by(1))
    found = directory.meetings(db, identifiers)
    return {identifier: found[identifier] for identifier in identifiers}


def _by_event(db: Entities, events: Sequence[int], directory: Directory) -> Mapping[int, int]:
    _, merged = directory.merged(db)
    found: dict[int, int] = {}
    for some in chunks(merged.with_groups(events)):
        query = select(
            (a.event.id, count()) for a in db.Attendance if a.event.id in some and a.state < 2
        )
        for event, number in directory.of_shown_students(query):
            found[merged.root(event)] = found.get(merged.root(event), 0) + number
    return found


def _persons(db: Entities, events: Sequence[int], attendances: int, directory: Directory) -> int:
    """How many different students attended any of the events, which have so many attendances."""
    if len(events) == 1:
        return attendances
    persons: set[int] = set()
    students, merged = directory.merged(db)
    events = merged.with_groups(events)
    for some in chunks(events):
        query = select(a.student.id for a in db.Attendance if a.event.id in some and a.state < 2)
        query = directory.of_shown_students(query)
        if len(some) == len(events) and not students:
            return int(query.count())  # the database counts faster
        persons.update(map(students.root, query))
    return len(persons)


def _just_after(moment: datetime) -> datetime:
    """Events that begin at this moment have begun."""
    return moment + datetime.resolution


def _week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def by_name(attended: Attended) -> tuple[str, int]:
    """What students are sorted by, by name: as it is read, whatever its case."""
    return attended.student.name.casefold(), attended.student.id


_ORDERS: Mapping[Order, Callable[[Attended], tuple[object, ...]]] = {
    Order.NAME: by_name,
    Order.ATTENDED: lambda one: (-one.attended, *by_name(one)),
    Order.POINTS: lambda one: (-one.points, *by_name(one)),
}
_PERIODS: Mapping[By, Callable[[date], str]] = {
    By.DAY: date.isoformat,
    By.WEEK: _week,
    By.MONTH: lambda day: f"{day.year:04}-{day.month:02}",
}
