"""Whom and what a delivery is about: the names of students and events in it, to find it again by.

A name is ``<kind>:<key>`` for an identifier, ``name:<text>`` for an event's name or id as it was sent,
and ``#<id>`` for the row that was found or made. Many names are kept as one text, a line for each.
"""

from collections.abc import Iterable, Iterator, Sequence

from hub.domain.identifiers import Identifier, student_identifier
from hub.domain.operations import (
    CheckIn,
    CheckOut,
    CreateEvent,
    CreateStudent,
    HideEvent,
    HideStudent,
    Operation,
    SaveEvent,
    SaveStudent,
    UpdateEvent,
    UpdateStudent,
    Withdraw,
)
from hub.domain.records import Result


def student_name(named: str | Identifier) -> str:
    """The name of a student, as an operation names one."""
    identifier = named if isinstance(named, Identifier) else student_identifier(named)
    return f"{identifier.kind}:{identifier.key}"


def event_name(named: str | Identifier) -> str:
    """The name of an event, as an operation names one."""
    if isinstance(named, Identifier):
        return f"{named.kind}:{named.key}"
    return f"name:{named}"


def awaited_student(named: str | Identifier) -> str:
    """What a delivery waits for that names an unknown student."""
    return f"student {student_name(named)}"


def awaited_event(named: str | Identifier) -> str:
    """What a delivery waits for that names an unknown event."""
    return f"event {event_name(named)}"


def row_name(row: int) -> str:
    """The name of the student or the event with the hub's own id ``row``."""
    return f"#{row}"


def students(operations: Sequence[Operation], results: Sequence[Result]) -> str:
    """The students of a delivery, as they are kept."""
    names = [row_name(result.student.id) for result in results if result.student is not None]
    for operation in operations:
        names += _students_of(operation)
    return joined(names)


def events(operations: Sequence[Operation], results: Sequence[Result]) -> str:
    """The events of a delivery, as they are kept."""
    names = [row_name(result.event.id) for result in results if result.event is not None]
    for operation in operations:
        names += _events_of(operation)
    return joined(names)


def joined(names: Iterable[str]) -> str:
    """Names as one text, each once, with a line break before and after each."""
    kept = [line(name) for name in dict.fromkeys(names)]
    return "\n" + "".join(f"{name}\n" for name in kept) if kept else ""


def line(name: str) -> str:
    """A name without line breaks."""
    if "\n" in name or "\\" in name:
        return name.replace("\\", "\\\\").replace("\n", "\\n")
    return name


def _students_of(operation: Operation) -> Iterator[str]:
    match operation:
        case CheckIn(student=named) | CheckOut(student=named) | Withdraw(student=named):
            if named is not None:
                yield student_name(named)
        case HideStudent(student=named):
            yield student_name(named)
        case CreateStudent() | SaveStudent():
            yield from map(student_name, operation.identifiers)
        case UpdateStudent():
            yield from map(student_name, (*operation.find, *operation.identifiers))


def _events_of(operation: Operation) -> Iterator[str]:
    match operation:
        case CheckIn(event=named) | CheckOut(event=named) | Withdraw(event=named):
            if named is not None:
                yield event_name(named)
        case HideEvent(event=named):
            yield event_name(named)
        case CreateEvent():
            yield event_name(operation.name)
        case SaveEvent():
            yield from map(event_name, operation.identifiers)
            yield event_name(operation.name)
        case UpdateEvent():
            if operation.event is not None:
                yield event_name(operation.event)
            if operation.name is not None:
                yield event_name(operation.name)
