"""What a source asks the store to do: the few frozen values that ``normalize`` yields.

A student is named by an ``Identifier``, or by text that means an A-number or, with an ``@``, an
e-mail. An event is named by an ``Identifier``, or by text that means its id (all digits) or its name.
A naive datetime is in the hub's time zone. ``source`` and ``metadata`` are kept with what they create.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from hub.domain.identifiers import Identifier
from hub.errors import InvalidOperation


@dataclass(frozen=True, slots=True)
class NamedEvent:
    """An event by its name, and its date in the hub's time zone (``on``) or about when it is (``at``). Of
    several, the one is meant that began last before now, or before ``at``.
    """

    name: str
    on: date | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What all operations have: who sent it (None: the source's label) and the sender's extra data."""

    source: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise InvalidOperation, naming the member, for a value of a type that it cannot have."""
        cls = type(self)
        for name, types in _TYPES.get(cls) or _types_of(cls):
            value = getattr(self, name)
            if value.__class__ not in types and not isinstance(value, types):
                raise InvalidOperation(
                    f"{cls.__name__}({name}=…) was given a value of the type {type(value).__name__}; "
                    f"it takes {' or '.join(dict.fromkeys(map(_named, types)))}"
                )
            if name in _SEVERAL and not all(isinstance(one, Identifier) for one in value):
                raise InvalidOperation(f"{cls.__name__}({name}=…) takes a tuple of hub.Identifier")


_SEVERAL = frozenset({"identifiers", "find"})
_NAMES = {
    str: "text",
    int: "a whole number",
    bool: "True or False",
    dict: "a mapping",
    Mapping: "a mapping",
    tuple: "a tuple of hub.Identifier",
    Identifier: "hub.Identifier",
    NamedEvent: "hub.NamedEvent",
    type(None): "None",
}


def _named(one: type) -> str:
    return _NAMES.get(one, one.__name__)


_TYPES: dict[type[Operation], tuple[tuple[str, tuple[Any, ...]], ...]] = {}


def _types_of(cls: type[Operation]) -> tuple[tuple[str, tuple[Any, ...]], ...]:
    """The members of a kind of operation, and the types that their annotations name."""
    hints = get_type_hints(cls)
    found = []
    for entry in fields(cls):
        hint = hints[entry.name]
        types = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        plain = tuple(get_origin(one) or one for one in types)
        # The usual mappings first: asking whether a class is a Mapping takes its time.
        found.append((entry.name, (dict, *plain) if Mapping in plain else plain))
    _TYPES[cls] = tuple(found)
    return _TYPES[cls]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateStudent(Operation):
    """A new student. Refused when one of the identifiers is another student's."""

    identifiers: tuple[Identifier, ...]
    first_name: str
    last_name: str
    is_admin: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateStudent(Operation):
    """Change the student that the first known identifier in ``find`` names.

    ``identifiers`` replace the student's own of the same kind; one that is another student's is
    refused. None leaves a member as it is.
    """

    find: tuple[Identifier, ...]
    identifiers: tuple[Identifier, ...] = ()
    first_name: str | None = None
    last_name: str | None = None
    is_admin: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveStudent(Operation):
    """Find the student by the first known identifier, or create one; never refused.

    The student gains those of the identifiers that are nobody's and of a kind that the student
    lacks. With ``update``, the names are changed too and a free e-mail or A-number replaces the old.
    """

    identifiers: tuple[Identifier, ...]
    first_name: str = ""
    last_name: str = ""
    update: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HideStudent(Operation):
    """Hide a student from look-ups. No attendance is lost; creating or saving it again shows it."""

    student: str | Identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEvent(Operation):
    """A new event. Refused when one of the same name and start exists."""

    name: str
    starts_at: datetime
    event_type: str = "General"
    points: int = 0
    description: str = ""
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateEvent(Operation):
    """Change the event that ``event`` names, or else the one named ``name`` (starting at ``starts_at``).

    Refused when it means several events, or would make two of one name and start. None leaves a
    member as it is.
    """

    event: str | Identifier | None = None
    name: str | None = None
    starts_at: datetime | None = None
    event_type: str | None = None
    points: int | None = None
    description: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveEvent(Operation):
    """Find the event by an identifier, else the one of this name that starts about then (the setting
    ``same_event_within``), else the one of this name and calendar date that no such identifier names; or
    create it. Never refused.

    With ``update``, its name, start, description and location are changed to these.
    """

    identifiers: tuple[Identifier, ...]
    name: str
    starts_at: datetime
    description: str = ""
    location: str = ""
    update: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HideEvent(Operation):
    """Hide an event from look-ups. No attendance is lost; creating or saving it again shows it.

    Of several identifiers of one kind, only the last one that is hidden hides the event.
    """

    event: str | Identifier | NamedEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckIn(Operation):
    """A student attends an event, from ``at`` (None: the time of receipt).

    Without a student or an event, it uses the one that an earlier operation of this delivery saved.
    A second check-in is refused, or answered like the first if ``repeatable``. An unknown student or
    event is refused, or the operation is ignored if ``lenient``. ``identifiers`` name the attendance
    itself, for a later ``CheckOut`` or ``Withdraw``.
    """

    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None
    at: datetime | None = None
    repeatable: bool = False
    lenient: bool = False
    identifiers: tuple[Identifier, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckOut(Operation):
    """A student leaves an event, at ``at`` (None: the time of receipt).

    The attendance is found by ``attendance``, or else by ``student`` and ``event`` (as for
    ``CheckIn``); where there is none, the operation is ignored.
    """

    attendance: Identifier | None = None
    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None
    at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw(Operation):
    """Take an attendance back and keep its history, at ``at`` (None: the time of receipt).

    It is found as for ``CheckOut``; where there is none, the operation is ignored.
    """

    attendance: Identifier | None = None
    student: str | Identifier | None = None
    event: str | Identifier | NamedEvent | None = None
    at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore(Operation):
    """Knowingly nothing: the delivery is kept, and answered 200 with ``reason``."""

    reason: str
