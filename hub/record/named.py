"""Whom and what people mean: a student by any identifier, an event by its id or its name, a time."""

import re
from datetime import date, datetime, time, timedelta, tzinfo

from pony.orm import select

from hub.domain.identifiers import Identifier, event_id, student_identifier
from hub.domain.timestamps import parse_timestamp, to_utc
from hub.errors import Refused
from hub.record.roster import merged_events, merged_students
from hub.record.search import require_text
from hub.store.store import Entities

_ID = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


def students(db: Entities, text: str, name: str = "student") -> tuple[int, ...]:
    """The ids of the students that ``text`` means: an A-number, an e-mail, ``<kind>:<value>`` or
    ``id:<n>``; none where there is none. Raises Refused for text that can name nobody.
    """
    require_text(text, name)
    kind, separator, value = text.strip().partition(":")
    if not value.strip() if separator else not kind:
        raise Refused(f"Invalid {name}: use an A-number, an e-mail, <kind>:<value> or id:<number>")
    if separator and kind == "id":
        if not _ID.fullmatch(value):
            raise Refused(f"Invalid {name}: after id: there is a whole number")
        number = int(value)
        found = select(s.id for s in db.Student if s.id == number and s.forgotten_at is None)
        return tuple(merged_students(db).groups(found))
    meant = Identifier(kind, value) if separator else student_identifier(text)
    kind, key = meant.kind, meant.key
    owners = select(i.student.id for i in db.StudentIdentifier if i.kind == kind and i.value == key)
    return tuple(merged_students(db).groups(owners))


def events(db: Entities, text: str, name: str = "event") -> tuple[int, ...]:
    """The ids of the events that ``text`` means: an id, or a name, and then all events of that name."""
    require_text(text, name)
    if not text.strip():
        raise Refused(f"Invalid {name}: use an id, or a name")
    if (number := event_id(text)) is not None:
        found = tuple(select(e.id for e in db.Event if e.id == number))
        if found:
            return tuple(merged_events(db).groups(found))
    named = list(select(e.id for e in db.Event if e.name == text).order_by(1))
    if not named:
        named = list(
            select(i.event.id for i in db.EventIdentifier if i.kind == "name" and i.value == text)
        )
    return tuple(sorted(merged_events(db).groups(named)))


def since(text: str, zone: tzinfo, name: str = "from") -> datetime:
    """From when on: a date in ``zone``, or a moment. Naive, in UTC. Raises Refused."""
    return _begin(text, zone, name)[0]


def until(text: str, zone: tzinfo, name: str = "to") -> datetime:
    """Before when: the end of a date in ``zone``, or a moment. Naive, in UTC. Raises Refused."""
    return _begin(text, zone, name)[1]


def _begin(text: str, zone: tzinfo, name: str) -> tuple[datetime, datetime]:
    """The begin and the end of what a text means."""
    try:
        if _DATE.fullmatch(text.strip()):
            day = date.fromisoformat(text.strip())
            return midnight(day, zone), midnight_after(day, zone)
        moment = to_utc(parse_timestamp(text), zone)
        return moment, moment
    except ValueError:
        raise Refused(
            f"Invalid {name}: use a date such as 2026-11-12, or an ISO 8601 date and time",
            "In a URL, + is %2B",
        ) from None


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins in ``zone``: naive, in UTC; the first moment that there is where it is before."""
    try:
        return to_utc(datetime.combine(day, time()), zone)
    except ValueError:
        return datetime.min if day.year == 1 else datetime.max


def midnight_after(day: date, zone: tzinfo) -> datetime:
    """When a day ends in ``zone``."""
    return datetime.max if day == date.max else midnight(day + timedelta(days=1), zone)
