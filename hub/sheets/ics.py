"""Calendars (iCalendar, RFC 5545), by icalendar and recurring-ical-events: each occurrence is a row."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

from hub.sheets.sheet import MissingExtra, Unreadable

MOST_EVENTS = 5000
ENDLESS_FOR = timedelta(days=400)
"""How long from now on a calendar is followed where a rule in it has no end."""

_LONGEST = timedelta(days=3660)
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def is_calendar(body: bytes, content_type: str) -> bool:
    """Whether a body is a calendar."""
    start = body.lstrip(b"\xef\xbb\xbf \r\n")[:15].upper()
    return content_type.startswith("text/calendar") or start == b"BEGIN:VCALENDAR"


def read(
    body: bytes, zone: tzinfo, now: datetime
) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """The events of a calendar, as members, in the order of their starts; and warnings. ``now`` is naive
    and in UTC; what has no zone is in ``zone``.

    Raises Unreadable, and MissingExtra without the libraries.
    """
    try:
        import icalendar
        import recurring_ical_events
    except ImportError:
        raise MissingExtra("A calendar", "ics") from None
    try:
        calendar = icalendar.Calendar.from_ical(body)
    except (ValueError, IndexError, KeyError, TypeError):
        raise Unreadable("The file is no calendar", "Export it again, as .ics") from None
    endless = [
        str(one.get("SUMMARY", ""))[:100]
        for one in calendar.walk("VEVENT")
        if (rule := one.get("RRULE")) is not None and not {"COUNT", "UNTIL"} & set(rule)
    ]
    until = now.replace(tzinfo=UTC) + (ENDLESS_FOR if endless else _LONGEST)
    warnings = tuple(
        f"{name} repeats without an end; it was taken until {until.date()}" for name in endless[:10]
    )
    found: list[Mapping[str, Any]] = []
    try:
        for one in recurring_ical_events.of(calendar).between(_FIRST, until):
            found.append(_members(one, zone))
            if len(found) > MOST_EVENTS:
                raise Unreadable(
                    f"The calendar has more than {MOST_EVENTS} events", "Export a part of it"
                )
    except (ValueError, KeyError, TypeError, OverflowError):
        raise Unreadable("The file is no calendar", "Export it again, as .ics") from None
    return sorted(found, key=lambda one: (one["starts_at"], one["name"])), warnings


def _members(event: Any, zone: tzinfo) -> Mapping[str, Any]:
    starts_at = _moment(event["DTSTART"].dt, zone)
    end = event.get("DTEND")
    found: dict[str, Any] = {
        "name": str(event.get("SUMMARY", "")).strip() or "Event",
        "starts_at": starts_at,
        "description": str(event.get("DESCRIPTION", "")).strip(),
        "location": str(event.get("LOCATION", "")).strip(),
    }
    if end is not None:
        found["ends_at"] = _moment(end.dt, zone)
    if event.get("UID"):
        recurrence = event.get("RECURRENCE-ID")
        own = _moment(recurrence.dt, zone) if recurrence is not None else starts_at
        found["identifiers"] = {"ics": f"{event['UID']}/{own}"[:254]}
    return found


def _moment(value: date | datetime, zone: tzinfo) -> str:
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    aware = value if value.tzinfo is not None else value.replace(tzinfo=zone)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
