"""What the store tells of what it did: frozen values, moments naive and in UTC."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple

from hub.domain.identifiers import Identifier
from hub.domain.operations import Operation


class StudentRecord(NamedTuple):
    """A student. ``id`` is the hub's own; ``joined``: merged with another one."""

    id: int
    first_name: str
    last_name: str
    is_admin: bool
    a_number: str | None
    email: str | None
    joined: bool = False

    @property
    def name(self) -> str:
        """First and last name with a blank between."""
        return f"{self.first_name} {self.last_name}".strip()


class EventRecord(NamedTuple):
    """An event. ``date`` is the calendar date of ``starts_at`` in the hub's time zone; ``joined``: merged
    with another one.
    """

    id: int
    name: str
    starts_at: datetime
    date: date
    event_type: str
    points: int
    description: str
    location: str
    joined: bool = False


class AttendanceRecord(NamedTuple):
    """One student's attendance of one event."""

    id: int
    checked_in_at: datetime
    checked_out_at: datetime | None


class CommittedCheckIn(NamedTuple):
    """A check-in that is on the disk, as it is sent on. ``id`` is the same each time it is sent.

    The student and the event are as they are known when it is sent.
    """

    id: str
    delivery: str
    source: str
    student: StudentRecord
    event: EventRecord
    attendance: AttendanceRecord


class Change(Enum):
    """What became of an operation."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An operation, what became of it, and the records it touched. ``source`` is never None here.

    ``awaits`` names the student or the event that has to appear before it can be applied. ``foreign`` are
    the identifiers given for the student that are not the student's. ``is_told``: what it says of the
    attendance is kept as evidence; it may have been said before.
    """

    operation: Operation
    change: Change
    source: str
    student: StudentRecord | None = None
    event: EventRecord | None = None
    attendance: AttendanceRecord | None = None
    reason: str | None = None
    awaits: str | None = None
    foreign: tuple[Identifier, ...] = ()
    is_told: bool = True
