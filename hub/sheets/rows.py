"""Rows of a file as payloads of the source that takes them: JSON objects, moments in ISO 8601."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any, TypeVar

from hub.domain.timestamps import calendar_date, format_utc, to_utc
from hub.errors import Refused
from hub.sheets.columns import MOMENTS, NAMES, Columns, Kind
from hub.sheets.moments import Order, is_in_doubt, order_of, read_date, read_moment
from hub.sheets.sheet import Line

Made = TypeVar("Made", date, datetime)

_OF_ATTENDANCE = frozenset({"event", "date", "checked_in_at", "checked_out_at"})


@dataclass(frozen=True, slots=True)
class Meeting:
    """The event of a whole file: its id, and its start, naive and in UTC."""

    id: int
    starts_at: datetime


class Rows:
    """Makes the rows of one file payloads. ``zone`` is that of moments without an offset.

    Raises Refused for a file whose dates are in two orders, or may be.
    """

    def __init__(
        self, columns: Columns, kind: Kind, zone: tzinfo, meeting: Meeting | None = None
    ) -> None:
        self._columns = columns
        self._kind = kind
        self._zone = zone
        self._meeting = meeting
        values = [
            line.cells[place]
            for member, place in columns.places.items()
            if member in MOMENTS and member not in columns.orders
            for line in columns.rows
            if place < len(line.cells)
        ]
        self._order = order_of(values)
        if self._order is None:
            self._require_no_doubt(values)

    def _require_no_doubt(self, values: list[str]) -> None:
        doubtful = next((value for value in values if is_in_doubt(value)), None)
        if doubtful is None:
            return
        heading = next(
            self._columns.headings[member] for member in self._columns.places if member in MOMENTS
        )
        member = next(member for member in self._columns.places if member in MOMENTS)
        raise Refused(
            f"It cannot be known whether {doubtful.strip()[:20]} has its day or its month first",
            f"Say it: map={heading}:{member}:dmy or map={heading}:{member}:mdy",
        )

    def payload(self, line: Line) -> dict[str, Any]:
        """A row as a payload. Raises Refused for one that cannot be read."""
        given = {
            member: line.cells[place]
            for member, place in self._columns.places.items()
            if place < len(line.cells) and line.cells[place]
        }
        make = {
            Kind.STUDENTS: self._student,
            Kind.EVENTS: self._event,
            Kind.ATTENDANCES: self._attendance,
        }[self._kind]
        return {"kind": self._kind.value, "data": make(given)}

    def _student(self, given: Mapping[str, str]) -> dict[str, Any]:
        return {"identifiers": _identifiers(given, NAMES), **_names(given)}

    def _event(self, given: Mapping[str, str]) -> dict[str, Any]:
        if "name" not in given:
            raise Refused("The row has no name of an event")
        begin = self._moment(given, "starts_at", "start_date", "start_time", None)
        if begin is None:
            raise Refused("The row does not tell when the event starts")
        end = self._moment(given, "ends_at", "end_date", "end_time", begin)
        found: dict[str, Any] = {"name": given["name"], "starts_at": _utc(begin, self._zone)}
        if end is not None:
            found["ends_at"] = _utc(end, self._zone)
        for name in ("event_type", "description", "location"):
            if name in given:
                found[name] = given[name]
        if "points" in given:
            try:
                found["points"] = int(given["points"])
            except ValueError:
                raise Refused("points is no whole number") from None
        return found

    def _attendance(self, given: Mapping[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {"identifiers": _identifiers(given, NAMES | _OF_ATTENDANCE)}
        day = None
        if self._meeting is not None:
            found["event"] = self._meeting.id
            day = calendar_date(self._meeting.starts_at, self._zone)
        elif "event" in given:
            found["event"] = given["event"]
        else:
            raise Refused("The row names no event", "Have a column for it, or give event=")
        if "date" in given:
            day = self._read("date", read_date, given["date"])
        came = self._moment(given, "checked_in_at", "", "", day)
        left = self._moment(given, "checked_out_at", "", "", came or day)
        if came is not None:
            found["checked_in_at"] = _utc(came, self._zone)
        elif self._meeting is None and day is not None:
            found["on"] = day.isoformat()
        if left is not None:
            found["checked_out_at"] = _utc(left, self._zone)
        return found

    def _moment(
        self, given: Mapping[str, str], whole: str, dated: str, timed: str, base: date | None
    ) -> datetime | None:
        """A moment from one column, or from one for the date and one for the time."""
        day = base.date() if isinstance(base, datetime) else base
        if whole in given:
            return self._read(
                whole, lambda text, order: read_moment(text, order, day), given[whole]
            )
        if dated not in given and (timed not in given or day is None):
            return None
        if dated in given:
            text = given[dated]
            if timed not in given:
                return self._read(dated, lambda one, order: read_moment(one, order, None), text)
            day = self._read(dated, read_date, text)
        return self._read(timed, lambda text, order: read_moment(text, order, day), given[timed])

    def _read(self, member: str, read: Callable[[str, Order | None], Made], text: str) -> Made:
        try:
            return read(text, self._order_of(member))
        except ValueError as error:
            raise Refused(f"{self._columns.headings[member]}: {error}") from None

    def _order_of(self, member: str) -> Order | None:
        return self._columns.orders.get(member, self._order)


def _identifiers(given: Mapping[str, str], others: frozenset[str]) -> dict[str, str]:
    found = {kind: value for kind, value in given.items() if kind not in others}
    if not found:
        raise Refused("The row has nothing that tells who it is")
    return found


def _names(given: Mapping[str, str]) -> dict[str, str]:
    """First and last name; of a whole name, ``Example, Ada`` or ``Ada Example``."""
    found = {name: given[name] for name in NAMES - {"name"} if name in given}
    whole = given.get("name", "").strip()
    if whole and "first_name" not in found and "last_name" not in found:
        last, comma, first = whole.partition(",")
        if not comma:
            first, _, last = whole.rpartition(" ")
            first, last = (first, last) if first else (last, "")
        found |= {"first_name": first.strip(), "last_name": last.strip()}
    return {name: value for name, value in found.items() if value}


def _utc(moment: datetime, zone: tzinfo) -> str:
    try:
        return format_utc(to_utc(moment, zone))
    except ValueError as error:
        raise Refused(f"A moment of the row: {error}") from None
