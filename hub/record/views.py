"""What the record shows: frozen values. Moments are naive and in UTC."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from hub.domain.evidence import Kind, State


class Named(NamedTuple):
    """An identifier as it is shown."""

    kind: str
    value: str


class Person(NamedTuple):
    """A student as an attendance names one. ``identifier`` is the A-number."""

    id: int
    identifier: str | None
    first_name: str
    last_name: str
    email: str | None

    @property
    def name(self) -> str:
        """First and last name with a blank between."""
        return f"{self.first_name} {self.last_name}".strip()


class Meeting(NamedTuple):
    """An event as an attendance names one."""

    id: int
    name: str
    starts_at: datetime
    points: int


class Student(NamedTuple):
    """A student. ``attendances`` and ``points`` count the events that are not hidden; None: not
    counted.
    """

    person: Person
    preferred_name: str
    is_admin: bool
    identifiers: Sequence[Named]
    hidden: bool
    merged_into: int | None
    attendances: int | None
    points: int | None


class Heads(NamedTuple):
    """How many persons an event has: whose attendance stands, who of them has not left, and whose is
    withdrawn. Hidden students are not counted.
    """

    attendances: int
    present: int
    withdrawn: int


class Event(NamedTuple):
    """An event. ``heads`` is None where they were not counted."""

    meeting: Meeting
    ends_at: datetime | None
    event_type: str
    description: str
    location: str
    identifiers: Sequence[Named]
    hidden: bool
    merged_into: int | None
    heads: Heads | None


class Withdrawn(NamedTuple):
    """When an attendance was withdrawn, and by which delivery. ``by`` is the name of the hub's token that
    the delivery came with.
    """

    at: datetime
    by: str | None
    reason: str | None
    delivery: str


class Evidence(NamedTuple):
    """One thing that was said of an attendance. ``received_at`` is None where its delivery was not
    kept.
    """

    delivery: str
    source: str
    via: str
    kind: Kind
    at: datetime
    received_at: datetime | None
    by: str | None
    reason: str | None
    stands: bool


class Attendance(NamedTuple):
    """An attendance. ``evidence`` is None where it was not asked for; ``told_in`` is the one in which it
    is told since its student or its event was merged, if it is.
    """

    id: int
    student: Person
    event: Meeting
    checked_in_at: datetime
    checked_out_at: datetime | None
    state: State
    source: str
    via: str
    sightings: int
    withdrawn: Withdrawn | None
    evidence: Sequence[Evidence] | None
    told_in: int | None = None
