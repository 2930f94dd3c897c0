"""Columns to members: usual headings are known, and others may be mapped."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hub.errors import Refused
from hub.sheets.moments import Order
from hub.sheets.sheet import Line, Sheet


class Kind(StrEnum):
    """What the rows of a file are."""

    STUDENTS = "students"
    EVENTS = "events"
    ATTENDANCES = "attendances"


_PERSON = {
    "a_number": "anumber studentid studentnumber studentidentifier identifier id",
    "email": "email emailaddress mail studentemail emails",
    "card": "card carduid cardid cardnumber uid",
    "first_name": "firstname givenname first forename",
    "last_name": "lastname surname familyname last",
    "name": "name fullname studentname student participant participantname attendee",
    "preferred_name": "preferredname nickname preferred goesby",
}
_EVENT = {
    "name": "subject title name event eventname summary meeting",
    "start_date": "startdate date eventdate day",
    "start_time": "starttime time",
    "starts_at": "startsat start begin begins starts",
    "end_date": "enddate",
    "end_time": "endtime",
    "ends_at": "endsat end ends",
    "event_type": "type eventtype category",
    "points": "points",
    "description": "description notes",
    "location": "location room place where",
}
_ATTENDANCE = {
    **_PERSON,
    "event": "event eventname meeting subject title eventid list listname",
    "date": "date eventdate day checkindate",
    "checked_in_at": "checkintime checkedinat checkin checkedin time timein arrived arrival timestamp "
    "submittedat",
    "checked_out_at": "checkouttime checkedoutat checkout checkedout timeout left departure",
}
_KNOWN: Mapping[Kind, Mapping[str, str]] = {
    Kind.STUDENTS: _PERSON,
    Kind.EVENTS: _EVENT,
    Kind.ATTENDANCES: _ATTENDANCE,
}
NAMES = frozenset({"first_name", "last_name", "name", "preferred_name"})
MOMENTS = frozenset({"start_date", "starts_at", "end_date", "ends_at", "date"}) | {
    "checked_in_at",
    "checked_out_at",
}
"""Members that may have a date in them."""

_NEEDED = {
    Kind.STUDENTS: "who a student is",
    Kind.EVENTS: "what an event is called",
    Kind.ATTENDANCES: "who a student is",
}
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_NAMED = 20
_HEADINGS_WITHIN = 10
"""Lines among which the one with the headings is looked for."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What was taken for what: the heading and the place of each member; the order of dates where it was
    told; and the rows below the headings.
    """

    headings: Mapping[str, str]
    places: Mapping[str, int]
    orders: Mapping[str, Order]
    rows: Sequence[Line]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """A column that was mapped: ``Column:member``, for dates also ``Column:member:dmy`` or ``:mdy``."""

    heading: str
    member: str
    order: Order | None = None


def wish(text: str) -> Wish:
    """A mapping as people write it. Raises Refused."""
    order = None
    for one in Order:
        if text.endswith(f":{one.value}"):
            order, text = one, text.removesuffix(f":{one.value}")
    heading, separator, member = text.rpartition(":")
    if not separator or not heading.strip() or not _IDENTIFIER.fullmatch(member.strip()):
        raise Refused(f"Invalid map: {text[:64]}", "Use Column:member, such as map=Card UID:card")
    return Wish(heading.strip(), member.strip(), order)


def find(sheet: Sheet, kind: Kind, wishes: Sequence[Wish]) -> Columns:
    """Which column is which. Raises Refused where that cannot be known."""
    known = {
        heading: member for member, headings in _KNOWN[kind].items() for heading in headings.split()
    }
    wished = {_key(one.heading): one for one in wishes}
    for at, line in enumerate(sheet.lines[:_HEADINGS_WITHIN]):
        keys = [_key(cell) for cell in line.cells]
        if any(key in known or key in wished for key in keys):
            return _columns(sheet, at, keys, known, wished, kind)
    first = ", ".join(cell for cell in sheet.lines[0].cells if cell) if sheet.lines else ""
    raise Refused(
        "The file has no headings that are known" if sheet.lines else "The file is empty",
        f"The first line has: {first[:200]}. Map a column: map=Column:member"
        if sheet.lines
        else "Its first line names the columns",
    )


def _columns(
    sheet: Sheet,
    at: int,
    keys: Sequence[str],
    known: Mapping[str, str],
    wished: Mapping[str, Wish],
    kind: Kind,
) -> Columns:
    line = sheet.lines[at]
    missing = [one.heading for key, one in wished.items() if key not in keys]
    if missing:
        raise Refused(
            f"The file has no column {missing[0][:64]}",
            f"It has: {', '.join(cell for cell in line.cells if cell)[:200]}",
        )
    places: dict[str, int] = {}
    for place, key in enumerate(keys):
        if key in wished:
            _place(places, wished[key].member, place, line)
    given = set(places)
    for place, key in enumerate(keys):
        member = known.get(key)
        if member is not None and key not in wished and member not in given:
            _place(places, member, place, line)
    _require(places, kind, known, line)
    warnings = [*sheet.warnings]
    if at:
        warnings.append(f"What is above the headings in line {line.number} was left out")
    taken = set(places.values())
    others = [cell for place, cell in enumerate(line.cells) if cell and place not in taken]
    if others:
        warnings.append(f"Not taken: {', '.join(others[:_MOST_NAMED])[:200]}")
    rows = []
    for row in sheet.lines[at + 1 :]:
        if [_key(cell) for cell in row.cells] == list(keys):
            warnings.append(f"Line {row.number} repeats the headings, and was left out")
        else:
            rows.append(row)
    return Columns(
        {member: line.cells[place] for member, place in places.items()},
        places,
        {one.member: one.order for one in wished.values() if one.order is not None},
        rows,
        tuple(warnings),
    )


def _place(places: dict[str, int], member: str, place: int, line: Line) -> None:
    if member in places:
        raise Refused(
            f"Two columns are {member}: {line.cells[places[member]]} and {line.cells[place]}",
            f"Say which: map={line.cells[place]}:{member}",
        )
    places[member] = place


def _require(places: Mapping[str, int], kind: Kind, known: Mapping[str, str], line: Line) -> None:
    if kind is Kind.EVENTS:
        unknown = set(places) - set(known.values())
        if unknown:
            raise Refused(
                f"Invalid map: an event has no {min(unknown)}",
                f"Use {', '.join(dict.fromkeys(known.values()))}",
            )
        needed: Iterable[str] = ("name",)
        if not {"start_date", "starts_at"} & set(places):
            raise Refused("No column tells when an event starts", "Map one: map=Column:starts_at")
    else:
        needed = set(places) - set(NAMES) - {"event", "date", "checked_in_at", "checked_out_at"}
    if not set(needed) & set(places):
        raise Refused(
            f"No column tells {_NEEDED[kind]}",
            f"The columns are: {', '.join(cell for cell in line.cells if cell)[:200]}. "
            "Map one: map=Column:member",
        )


def _key(heading: str) -> str:
    """A heading in the form that is compared."""
    return "".join(one for one in heading.casefold() if one.isalnum())
