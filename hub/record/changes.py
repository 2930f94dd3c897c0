"""The changes of the record, in order, for those who follow it.

A new attendance is told of by its own id; everything else that changes has a row, which keeps the highest
attendance before it. Both ids are in the order of the commits: there is one writer at a time.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from pony.orm import max as highest
from pony.orm import select

from hub.errors import Refused
from hub.record import attendances, deliveries
from hub.record.roster import events_of, students_of
from hub.record.views import Attendance, Event, Student
from hub.store.changes import CHANGED, RECORDED, SEEN_AGAIN, STUDENT_FORGOTTEN, WITHDRAWN
from hub.store.store import Entities

_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})\.([0-9a-f]{8})")
_SHOWN = {SEEN_AGAIN: CHANGED}


class Position(NamedTuple):
    """A place in the order: the last attendance and the last change before it."""

    attendance: int = 0
    change: int = 0


class Change(NamedTuple):
    """One change. ``subject`` is what was changed, as it is now, or the id of a student who was forgotten
    (``what`` says of which kind). ``at`` is naive and in UTC; ``delivery`` is '' where none did it.
    """

    type: str
    at: datetime
    delivery: str
    subject: Attendance | Student | Event | int


def now(db: Entities) -> Position:
    """The place after everything that there is. While it stays, the record has not changed."""
    # The attendances first: what is made in between is before no change that is told.
    last = highest(a.id for a in db.Attendance) or 0
    return Position(last, highest(c.id for c in db.Change) or 0)


def mark(db: Entities) -> str:
    """What changes with the record, and tells it from one that was set back."""
    made = select((a.id, a.delivery) for a in db.Attendance).order_by(-1).first()
    changed = select((c.id, c.subject, c.delivery) for c in db.Change).order_by(-1).first()
    return f"{made} {changed}"


def cursor(db: Entities, position: Position) -> str:
    """A position as a text. It tells nothing of a process or a file; it does tell a record from one that
    was set back to a time before it.
    """
    return f"{position.attendance}.{position.change}.{_fingerprint(db, position)}"


def position(db: Entities, text: str) -> Position:
    """The position of a cursor. Raises Refused for what is none, or one of another record."""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise Refused("Invalid after: use the next member of the answer before", "Or leave it out")
    found = Position(int(match[1]), int(match[2]))
    if match[3] != _fingerprint(db, found):
        raise Refused(
            "Invalid after: the record is another one than it was given for",
            "It was restored to a time before; read the changes again from the beginning, without after",
        )
    return found


def page(db: Entities, after: Position, limit: int) -> tuple[list[Change], Position]:
    """The changes after a position, and the position after them."""
    last = highest(a.id for a in db.Attendance) or 0
    first = after.attendance
    made = list(
        select((a.id, a.delivery) for a in db.Attendance if a.id > first and a.id <= last)
        .order_by(1)
        .limit(limit)
    )
    if len(made) == limit:
        last = made[-1][0]
    before = after.change
    rows = select(
        (c.id, c.attendances, c.type, c.subject, c.delivery, c.at)
        for c in db.Change
        if c.id > before and c.attendances <= last
    )
    steps = [((number, 0, 0), number, delivery) for number, delivery in made]
    changed = {row[0]: row for row in rows.order_by(1).limit(limit)}
    steps += [((row[1], 1, row[0]), row[0], row[4]) for row in changed.values()]
    steps = sorted(steps)[:limit]
    attendance, change = after
    told: list[tuple[str, int, str, datetime | None]] = []
    for (_, is_change, _), number, delivery in steps:
        if is_change:
            change = number
            _, _, kind, subject, _, at = changed[number]
            told.append((kind, subject, delivery, at))
        else:
            attendance = number
            told.append((RECORDED, number, delivery, None))
    return _as_they_are(db, told), Position(attendance, change)


def _as_they_are(db: Entities, told: list[tuple[str, int, str, datetime | None]]) -> list[Change]:
    ids: dict[str, set[int]] = {"attendance": set(), "student": set(), "event": set()}
    for kind, number, _, _ in told:
        ids[kind.partition(".")[0]].add(number)
    found: dict[str, Mapping[int, Attendance | Student | Event]] = {
        "attendance": attendances.of_ids(db, sorted(ids["attendance"])),
        "student": {
            one.person.id: one for one in students_of(db, sorted(ids["student"]), counted=False)
        },
        "event": {
            one.meeting.id: one for one in events_of(db, sorted(ids["event"]), counted=False)
        },
    }
    parts = attendances.told_in(db, sorted(ids["attendance"]))
    received = deliveries.received(db, (one[2] for one in told if one[3] is None))
    made = []
    for kind, number, delivery, moment in told:
        subject: Attendance | Student | Event | None = found[kind.partition(".")[0]].get(number)
        at = moment or received.get(delivery, (None, None))[0]
        if subject is None:  # a student who was forgotten, now or later
            made.append(Change(STUDENT_FORGOTTEN, at or datetime.min, delivery, number))
            continue
        if number in parts and isinstance(subject, Attendance):
            # Told in another one, or nobody was seen: whoever follows has it no more.
            kind, subject = WITHDRAWN, subject._replace(told_in=parts[number])
        if at is None:
            at = subject.checked_in_at if isinstance(subject, Attendance) else datetime.min
        made.append(Change(_SHOWN.get(kind, kind), at, delivery, subject))
    return made


def _fingerprint(db: Entities, position: Position) -> str:
    last, change = position
    made = select(a.delivery for a in db.Attendance if a.id == last).first()
    changed = select((c.type, c.subject, c.delivery) for c in db.Change if c.id == change).first()
    return hashlib.sha256(f"{made} {changed}".encode()).hexdigest()[:8]
