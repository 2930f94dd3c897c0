"""Attendances: listed in pages, each with its evidence where that is asked for."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pony.orm import select

from hub.domain.evidence import TOLD, Kind, State
from hub.record import deliveries
from hub.record.chunks import chunks
from hub.record.roster import Directory
from hub.record.views import Attendance, Evidence, Withdrawn
from hub.store import rows
from hub.store.store import Entities

STANDING = frozenset({State.PRESENT, State.LEFT})
_STATES = tuple(State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendances:
    """Which attendances: those for which everything holds that is given. ``since`` and ``until`` (which
    is not included) are of the check-in, naive and in UTC. Those of hidden students and events are left
    out, unless they are asked for, or all ``states`` are.
    """

    students: tuple[int, ...] | None = None
    events: tuple[int, ...] | None = None
    states: frozenset[State] = STANDING
    source: str | None = None
    via: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    hidden_students: bool = False
    hidden_events: bool = False


def page(
    db: Entities,
    wanted: Attendances,
    after: int,
    limit: int,
    evidence: bool = False,
    directory: Directory | None = None,
) -> list[Attendance]:
    """Attendances above the id ``after``, in the order of their ids."""
    directory = directory or Directory().refresh(db)
    query = _narrowed(_rows(db), wanted, directory).where(lambda a: a.id > after).order_by(1)
    return _told(db, rows.of(db, query, limit), evidence, directory)


def newest(
    db: Entities,
    wanted: Attendances,
    before: int | None,
    limit: int,
    evidence: bool = False,
) -> list[Attendance]:
    """Attendances, the newest first: below the id ``before``, if there is one."""
    directory = Directory().refresh(db)
    query = _narrowed(_rows(db), wanted, directory)
    if before is not None:
        query = query.where(lambda a: a.id < before)
    return _told(db, rows.of(db, query.order_by(-1), limit), evidence, directory)


def count(db: Entities, wanted: Attendances) -> int:
    """How many there are."""
    query = select(a.id for a in db.Attendance)
    return int(_narrowed(query, wanted, Directory().refresh(db)).count())


def of_ids(
    db: Entities, identifiers: Sequence[int], evidence: bool = False
) -> dict[int, Attendance]:
    """The attendances with these ids, by id."""
    found: list[Any] = []
    for some in chunks(identifiers):
        found += rows.of(db, _rows(db).where(lambda a: a.id in some))  # noqa: B023
    return {one.id: one for one in _told(db, found, evidence, Directory())}


def told_in(db: Entities, identifiers: Sequence[int]) -> dict[int, int | None]:
    """Of those attendances with these ids that are not told by themselves: in which they are told (None:
    in none, as nobody was seen).
    """
    found: dict[int, int | None] = {}
    for some in chunks(identifiers):
        rows = select((a.id, a.joined_in) for a in db.Attendance if a.id in some and a.state == 3)
        found |= dict(rows)
    return found


def _rows(db: Entities) -> Any:
    return select(
        (
            a.id,
            a.student.id,
            a.event.id,
            a.checked_in_at,
            a.checked_out_at,
            a.state,
            a.source,
            a.via,
            a.sightings,
            a.withdrawal,
            a.delivery,
            a.joined_in,
        )
        for a in db.Attendance
    )


def _narrowed(query: Any, wanted: Attendances, directory: Directory) -> Any:
    if wanted.students is not None:
        students = list(wanted.students)
        query = query.where(lambda a: a.student.id in students)
    if wanted.events is not None:
        events = list(wanted.events)
        query = query.where(lambda a: a.event.id in events)
    if wanted.states == STANDING:
        query = query.where(lambda a: a.state < 2)
    elif wanted.states == TOLD:
        query = query.where(lambda a: a.state < 3)
    else:
        states = sorted(state.value for state in wanted.states)
        query = query.where(lambda a: a.state in states)
    if wanted.states != TOLD:
        if not wanted.hidden_students:
            query = directory.of_shown_students(query)
        if not wanted.hidden_events:
            query = directory.of_shown_events(query)
    if wanted.source is not None:
        source = wanted.source
        query = query.where(lambda a: a.source == source)
    if wanted.via is not None:
        via = wanted.via
        query = query.where(lambda a: a.via == via)
    if wanted.since is not None:
        since = wanted.since
        query = query.where(lambda a: a.checked_in_at >= since)
    if wanted.until is not None:
        until = wanted.until
        query = query.where(lambda a: a.checked_in_at < until)
    return query


def _told(
    db: Entities, read: Sequence[Any], with_evidence: bool, directory: Directory
) -> list[Attendance]:
    people = directory.people(db, (row[1] for row in read))
    meetings = directory.meetings(db, (row[2] for row in read))
    leaders = _leaders(db, read)
    withdrawn = _withdrawn(db, read, leaders)
    evidence = _evidence(db, read, leaders) if with_evidence else {}
    return [
        Attendance(
            row[0],
            people[row[1]],
            meetings[row[2]],
            rows.moment(row[3]),
            rows.moment(row[4]),
            _STATES[row[5]],
            row[6],
            row[7],
            row[8],
            withdrawn.get(row[0]),
            evidence.get(row[0], ()) if with_evidence else None,
        )
        for row in read
    ]


def _withdrawn(
    db: Entities, read: Sequence[Any], leaders: Mapping[int, int]
) -> Mapping[int, Withdrawn]:
    """How attendances were withdrawn, by attendance."""
    by = {row[0]: row[9] for row in read if row[9] is not None}
    if not by:
        return {}
    found: dict[int, Withdrawn] = {}
    senders = deliveries.received(db, set(by.values()))
    for attendance, delivery in by.items():
        # By an undo: there is no word of it at the attendance itself.
        at, sent_by = senders.get(delivery, (None, None))
        if at is not None:
            found[attendance] = Withdrawn(at, sent_by, None, delivery)
    for some in chunks(sorted({*by, *(one for one in leaders if leaders[one] in by)})):
        told = select(
            (e.attendance.id, e.delivery, e.at, e.reason)
            for e in db.Evidence
            if e.attendance.id in some and e.kind == "withdrawal"
        )
        for own, delivery, at, reason in told:
            attendance = leaders.get(own, own)
            if by.get(attendance) == delivery:
                _, sent_by = senders.get(delivery, (None, None))
                found[attendance] = Withdrawn(at, sent_by, reason, delivery)
    return found


def _leaders(db: Entities, read: Sequence[Any]) -> Mapping[int, int]:
    """Of attendances that are told in another one: in which, of those that were read."""
    found: dict[int, int] = {}
    for some in chunks([row[0] for row in read if row[11] is not None]):
        found |= dict(select((a.id, a.joined_in) for a in db.Attendance if a.joined_in in some))
    return found


def _evidence(
    db: Entities, read: Sequence[Any], leaders: Mapping[int, int]
) -> Mapping[int, Sequence[Evidence]]:
    """What was said of attendances, the oldest first. An attendance of which one thing was said tells it
    itself.
    """
    said: dict[int, list[Any]] = defaultdict(list)
    for some in chunks(sorted({*(row[0] for row in read), *leaders})):
        found = select(
            (
                e.id,
                e.attendance.id,
                e.delivery,
                e.source,
                e.via,
                e.kind,
                e.at,
                e.reason,
                e.taken_back_by,
            )
            for e in db.Evidence
            if e.attendance.id in some
        )
        for _, attendance, *one in found.order_by(1):
            said[leaders.get(attendance, attendance)].append(one)
    for row in read:
        if row[0] not in said:
            at = rows.moment(row[3])
            said[row[0]].append([row[10], row[6], row[7], Kind.CHECK_IN, at, None, None])
    received = deliveries.received(db, {one[0] for own in said.values() for one in own})
    return {
        attendance: sorted((_one(one, received) for one in own), key=lambda one: one.delivery)
        for attendance, own in said.items()
    }


def _one(row: Sequence[Any], received: Mapping[str, tuple[datetime, str | None]]) -> Evidence:
    delivery, source, via, kind, at, reason, taken_back_by = row
    received_at, by = received.get(delivery, (None, None))
    stands = taken_back_by is None
    return Evidence(delivery, source, via, Kind(kind), at, received_at, by, reason, stands)
