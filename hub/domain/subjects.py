"""Whom and what a delivery is about: the names of students and events in it, to find it again by.

A name is ``<kind>:<key>`` for an identifier, ``name:<text>`` for an event's name or id as it was sent,
and ``#<id>`` for the row that was found or made. Many names are kept as one text, a line for each.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.domain.corrections import (
    Attend,
    Correct,
    EditEvent,
    EditStudent,
    EnrolStudent,
    MergeEvents,
    MergeStudents,
    Replay,
    Restore,
    ScheduleEvent,
    Settle,
    ShowEvent,
    ShowStudent,
    SplitEvents,
    SplitStudents,
    Undo,
)
from hub.domain.identifiers import ROW, Identifier, student_identifier
from hub.domain.operations import (
    CheckIn,
    CheckOut,
    CreateEvent,
    CreateStudent,
    HideEvent,
    HideStudent,
    Ignore,
    NamedEvent,
    Operation,
    SaveEvent,
    SaveStudent,
    UpdateEvent,
    UpdateStudent,
    Withdraw,
)
from hub.domain.records import Change, Result

STUDENT, EVENT = "student", "event"

FETCH = "fetch "
"""How that begins what a delivery waits for that something must be fetched for."""

NEAR = "event within:"
"""How that begins what a delivery waits for that names events of which none is near."""

_Names = Callable[[Any], Iterable[str]]


def student_name(named: str | Identifier) -> str:
    """The name of a student, as an operation names one."""
    identifier = student_identifier(named)
    if identifier.kind == ROW:
        return f"#{identifier.key}"
    return f"{identifier.kind}:{identifier.key}"


def event_name(named: str | Identifier | NamedEvent) -> str:
    """The name of an event, as an operation names one."""
    if isinstance(named, NamedEvent):
        return f"name:{named.name}"
    if isinstance(named, Identifier):
        return f"{named.kind}:{named.key}"
    return f"name:{named}"


def awaited_student(named: str | Identifier) -> str:
    """What a delivery with an unknown student waits for."""
    return f"student {student_name(named)}"


def awaited_event(named: str | Identifier | NamedEvent) -> str:
    """What a delivery with an unknown event waits for."""
    return f"event {event_name(named)}"


def awaited_event_near(name: str, begin: datetime, end: datetime) -> str:
    """What a delivery waits for that names an event by its name, and none of it starts near."""
    return f"{NEAR}{begin.isoformat()}/{end.isoformat()} {name}"


def awaited_fetch(url: str) -> str:
    """What a delivery waits for that something must be fetched for. A query may have secrets."""
    return f"{FETCH}{url.partition('?')[0].partition('#')[0][:200]}"


def is_near(awaited: str) -> tuple[str, datetime, datetime] | None:
    """The name, and from when to when it must start, if a delivery waits for such an event."""
    if not awaited.startswith(NEAR):
        return None
    span, _, name = awaited.removeprefix(NEAR).partition(" ")
    begin, _, end = span.partition("/")
    return name, datetime.fromisoformat(begin), datetime.fromisoformat(end)


def row_name(row: int) -> str:
    """The name of the student or the event with the hub's own id ``row``."""
    return f"#{row}"


def students(operations: Sequence[Operation], results: Sequence[Result]) -> str:
    """The students of a delivery, as they are kept."""
    names = [row_name(result.student.id) for result in results if result.student is not None]
    for operation in operations:
        names += _NAMES[type(operation)][0](operation)
    return joined(names)


def events(operations: Sequence[Operation], results: Sequence[Result]) -> str:
    """The events of a delivery, as they are kept."""
    names = [row_name(result.event.id) for result in results if result.event is not None]
    for operation in operations:
        names += _NAMES[type(operation)][1](operation)
    return joined(names)


def mentions(operations: Sequence[Operation], results: Sequence[Result]) -> Collection[str]:
    """The names that a delivery has to be found by, as ``student <name>`` and ``event <name>``: all but
    those whose attendance it says something of, for it is found through that.
    """
    if len(results) == 1 and _tells_of_attendance(results[0]):
        return ()  # nearly every delivery
    return _mentions(operations, results)


def _mentions(operations: Sequence[Operation], results: Sequence[Result]) -> Collection[str]:
    told = [result for result in results if _tells_of_attendance(result)]
    rows = {(STUDENT, result.student.id) for result in told if result.student is not None}
    rows |= {(EVENT, result.event.id) for result in told if result.event is not None}
    found: dict[str, None] = {}
    for number, operation in enumerate(operations):
        result = results[number] if number < len(results) else None
        if result is not None and _tells_of_attendance(result):
            continue
        for what, names, row in _named_by(operation, result):
            if row is not None and result is not None:
                if result.change is Change.UNCHANGED and (what, row) in rows:
                    names = map(student_name, result.foreign if what == STUDENT else ())
                else:
                    names = [row_name(row), *names]
            found.update(dict.fromkeys(mention(what, name) for name in names))
    return found


def mention(what: str, name: str) -> str:
    """A name of a student or an event (``what``) as deliveries are found by it."""
    return f"{what} {split(joined([name]))[0]}"


def _tells_of_attendance(result: Result) -> bool:
    return result.attendance is not None and result.change is not Change.IGNORED and result.is_told


def _named_by(
    operation: Operation, result: Result | None
) -> Iterable[tuple[str, Iterable[str], int | None]]:
    """What an operation calls its student and its event, and the rows that were found or made."""
    students, events = _NAMES[type(operation)]
    student = result.student.id if result is not None and result.student is not None else None
    event = result.event.id if result is not None and result.event is not None else None
    return (STUDENT, students(operation), student), (EVENT, events(operation), event)


def joined(names: Iterable[str]) -> str:
    """Names as one text, each once, with a line break before and after each."""
    kept = dict.fromkeys(names)
    if not kept:
        return ""
    text = "\n".join(kept)
    if "\\" in text or text.count("\n") >= len(kept):
        text = "\n".join(_escaped(name) for name in kept)
    return f"\n{text}\n"


def split(text: str) -> list[str]:
    """The names in a text that ``joined`` made; line breaks in them stay escaped."""
    return text.split("\n")[1:-1]


def rows_in(text: str) -> list[int]:
    """The ids of rows among the names in a text."""
    return [int(name[1:]) for name in split(text) if name.startswith("#")]


def _escaped(name: str) -> str:
    """A name without line breaks."""
    return name.replace("\\", "\\\\").replace("\n", "\\n")


def _named(
    named: str | Identifier | NamedEvent | None, name: Callable[[Any], str]
) -> Iterable[str]:
    return () if named is None else (name(named),)


def _student(operation: Any) -> Iterable[str]:
    return _named(operation.student, student_name)


def _identifiers(operation: CreateStudent | SaveStudent | EnrolStudent | Attend) -> Iterable[str]:
    return map(student_name, operation.identifiers)


def _updated_student(operation: UpdateStudent) -> Iterable[str]:
    return map(student_name, (*operation.find, *operation.identifiers))


def _event(operation: Any) -> Iterable[str]:
    return _named(operation.event, event_name)


def _created_event(operation: CreateEvent) -> Iterable[str]:
    return (event_name(operation.name),)


def _saved_event(operation: SaveEvent | ScheduleEvent) -> Iterable[str]:
    return *map(event_name, operation.identifiers), event_name(operation.name)


def _updated_event(operation: UpdateEvent) -> Iterable[str]:
    return *_named(operation.event, event_name), *_named(operation.name, event_name)


def _edited_student(operation: EditStudent) -> Iterable[str]:
    return *_student(operation), *map(student_name, operation.identifiers)


def _edited_event(operation: EditEvent) -> Iterable[str]:
    named = (*operation.identifiers, *((operation.name,) if operation.name else ()))
    return *_event(operation), *map(event_name, named)


def _merged(name: Callable[[Any], str]) -> _Names:
    return lambda operation: map(name, (operation.keep, operation.merge))


def _split(name: Callable[[Any], str]) -> _Names:
    return lambda operation: (name(operation.merge),)


def _none(operation: Operation) -> Iterable[str]:
    return ()


_NAMES: Mapping[type[Operation], tuple[_Names, _Names]] = {
    CheckIn: (_student, _event),
    CheckOut: (_student, _event),
    Withdraw: (_student, _event),
    CreateStudent: (_identifiers, _none),
    SaveStudent: (_identifiers, _none),
    UpdateStudent: (_updated_student, _none),
    HideStudent: (_student, _none),
    CreateEvent: (_none, _created_event),
    SaveEvent: (_none, _saved_event),
    UpdateEvent: (_none, _updated_event),
    HideEvent: (_none, _event),
    Ignore: (_none, _none),
    Restore: (_student, _event),
    Correct: (_student, _event),
    EditStudent: (_edited_student, _none),
    EnrolStudent: (_identifiers, _none),
    Attend: (_identifiers, _event),
    ShowStudent: (_student, _none),
    EditEvent: (_none, _edited_event),
    ScheduleEvent: (_none, _saved_event),
    ShowEvent: (_none, _event),
    MergeStudents: (_merged(student_name), _none),
    MergeEvents: (_none, _merged(event_name)),
    SplitStudents: (_split(student_name), _none),
    SplitEvents: (_none, _split(event_name)),
    Replay: (_student, _event),
    Settle: (_none, _none),
    Undo: (_none, _none),
}
"""What an operation calls its students and its events."""
