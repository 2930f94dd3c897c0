"""What the desk and imports ask the store to do: operations that put right what others have said.

Each is kept with what was there before (``hub.store.deeds``), so that ``Undo`` takes it back. A student
is named as in other operations, or by ``Identifier("id", "<number>")``; an event also by ``NamedEvent``.
"""

from dataclasses import dataclass
from datetime import datetime

from hub.domain.identifiers import Identifier
from hub.domain.operations import NamedEvent, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore(Operation):
    """Bring back an attendance that was withdrawn. Refused where it is not."""

    attendance: Identifier | None = None
    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Correct(Operation):
    """Set the times of an attendance, whatever is seen before or after; None leaves a time to what was
    seen, and ``stays`` takes the check-out away.
    """

    attendance: Identifier | None = None
    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None
    checked_in_at: datetime | None = None
    checked_out_at: datetime | None = None
    stays: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EditStudent(Operation):
    """Change the members of ``student`` that are given, or make a new student (None). The identifiers
    replace those of their kinds, and those of the kinds in ``without`` are taken away.

    Refused where an identifier is somebody else's.
    """

    student: str | Identifier | None = None
    identifiers: tuple[Identifier, ...] = ()
    without: tuple[str, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    preferred_name: str | None = None
    is_admin: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolStudent(Operation):
    """A student of a roster: found by the identifiers, who gains those of kinds that are lacking, and
    the names that are given; or a new one. Refused where the identifiers name two, or give an A-number
    that is another than the student's.
    """

    identifiers: tuple[Identifier, ...]
    first_name: str = ""
    last_name: str = ""
    preferred_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EditEvent(Operation):
    """Change the members of ``event`` that are given, or make a new event (None). ``endless`` takes the
    end away. Identifiers are as in ``EditStudent``.
    """

    event: str | Identifier | NamedEvent | None = None
    name: str | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    endless: bool = False
    event_type: str | None = None
    points: int | None = None
    description: str | None = None
    location: str | None = None
    identifiers: tuple[Identifier, ...] = ()
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEvent(Operation):
    """An event of a calendar: found by the identifiers, or by its name and start, whose members that are
    given are changed; or a new one. Refused where that would make two of one name and start.
    """

    name: str
    starts_at: datetime
    ends_at: datetime | None = None
    event_type: str | None = None
    points: int | None = None
    description: str | None = None
    location: str | None = None
    identifiers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attend(Operation):
    """A row of an attendance sheet: who the identifiers name was at the event, from ``at`` (None: from
    its start) to ``left_at``. Refused where they name two, or nobody.
    """

    identifiers: tuple[Identifier, ...]
    event: str | Identifier | NamedEvent
    at: datetime | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowStudent(Operation):
    """Show a hidden student again."""

    student: str | Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowEvent(Operation):
    """Show a hidden event again."""

    event: str | Identifier | NamedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeStudents(Operation):
    """Have ``merge`` mean ``keep`` from now on. Nothing of either is moved."""

    keep: str | Identifier
    merge: str | Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEvents(Operation):
    """Have ``merge`` mean ``keep`` from now on. Nothing of either is moved."""

    keep: str | Identifier | NamedEvent
    merge: str | Identifier | NamedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitStudents(Operation):
    """Have ``merge``, which was merged into another student, be itself again."""

    merge: str | Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitEvents(Operation):
    """Have ``merge``, which was merged into another event, be itself again."""

    merge: str | Identifier | NamedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Operation):
    """Attempt a refused or waiting delivery again, taken as meaning this student or event."""

    delivery: str
    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo(Operation):
    """Take back what a delivery of the desk or an import did; of an undo: do it again."""

    delivery: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle(Operation):
    """Have a doubt told no more."""

    doubt: str
