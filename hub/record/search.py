"""Which kept deliveries are meant: filters as people write them, and pages of what they find."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from hub.domain.delivery import KeptDelivery, Outcome, is_delivery_id
from hub.domain.timestamps import parse_timestamp, to_utc, utc_now
from hub.errors import Refused
from hub.record import deliveries, events, students
from hub.record.deliveries import Wanted
from hub.store.store import Entities

MAX_LIMIT = 500
"""The most deliveries in a page."""

REPLAYABLE = (Outcome.REFUSED, Outcome.FAILED, Outcome.IGNORED)
"""The outcomes that a replay may improve; the others are in the record."""

_WAITING = "waiting"
_AGO = re.compile(r"([0-9]{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a search is narrowed to; None narrows nothing. ``since`` is naive and in UTC."""

    outcomes: tuple[Outcome, ...] | None = None
    status: int | None = None
    source: str | None = None
    since: datetime | None = None
    student: str | None = None
    event: str | None = None
    waiting: bool = False
    awaited: str | None = None
    error: str | None = None
    of: str | None = None

    def replayable(self) -> "Filters":
        """These filters, narrowed to deliveries that a replay may improve."""
        asked = REPLAYABLE if self.outcomes is None else self.outcomes
        return replace(self, outcomes=tuple(one for one in asked if one in REPLAYABLE))

    @property
    def is_empty(self) -> bool:
        """Whether every delivery is meant."""
        return self == Filters()

    def wanted(self, db: Entities, with_body: bool = False) -> Wanted:
        """What the store is asked: a student or an event is found by each of their names."""
        return Wanted(
            outcomes=self.outcomes,
            status=self.status,
            source=self.source,
            since=self.since,
            students=tuple(students.names(db, self.student)) if self.student else None,
            events=tuple(events.names(db, self.event)) if self.event else None,
            with_body=with_body,
            waiting=self.waiting,
            awaited=self.awaited,
            error=self.error,
            of=self.of,
        )


NAMES = ("status", "source", "since", "student", "event", "waiting_for", "error", "of")
"""The filters, as the command's options and the API's parameters are called."""


def filters(given: Mapping[str, str], zone: tzinfo) -> Filters:
    """The filters that ``given`` has by name. Raises Refused for one that cannot be read.

    status: an outcome, ``waiting``, or the HTTP status of the answer. since: a date, an ISO 8601 date
    and time (in ``zone`` where it has no offset), or a time ago such as ``90m``, ``36h``, ``7d``.
    student: an A-number, an e-mail, or ``<kind>:<value>``. event: an id or a name. waiting_for: as
    deliveries are shown with it. error: the sentence that they were refused with. of: the
    delivery that they are rows of.
    """
    for name in NAMES:
        require_text(given.get(name, ""), name)
    found = Filters(
        source=given.get("source") or None,
        student=given.get("student") or None,
        event=given.get("event") or None,
        awaited=given.get("waiting_for") or None,
        error=given.get("error") or None,
        of=given.get("of") or None,
        since=_since(given["since"], zone) if given.get("since") else None,
    )
    status = given.get("status", "")
    if status == _WAITING:
        return replace(found, waiting=True)
    if status in list(Outcome):
        return replace(found, outcomes=(Outcome(status),))
    if re.fullmatch(r"[1-5][0-9][0-9]", status, re.ASCII):
        return replace(found, status=int(status))
    if status:
        words = ", ".join([*Outcome, _WAITING])
        raise Refused(f"Unknown status: use one of {words}, or an HTTP status such as 404")
    return found


def require_text(text: str, name: str) -> None:
    """Raise Refused for text that no store could have."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(f"Invalid {name}: it is not UTF-8") from None
    if "\0" in text:
        raise Refused(f"Invalid {name}: it has a NUL character")


def read_limit(text: str) -> int:
    """A page's size. Raises Refused."""
    return read_number(text, "limit", MAX_LIMIT)


def read_number(text: str, name: str, most: int) -> int:
    """A parameter that is a number from 1 to ``most``, which is below 10,000. Raises Refused."""
    if re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) and 1 <= int(text) <= most:
        return int(text)
    raise Refused(f"Invalid {name}: use a whole number from 1 to {most}")


def read_cursor(text: str) -> str:
    """A cursor: the id of the delivery that the next page begins after. Raises Refused."""
    if text and not is_delivery_id(text):
        raise Refused("Invalid cursor: use the next member of the page before")
    return text


def page(
    db: Entities, wanted: Wanted, limit: int, cursor: str = ""
) -> tuple[list[KeptDelivery], str | None]:
    """A page of deliveries, the newest first, and the cursor of the next page, if there is one."""
    found = deliveries.page(db, wanted, limit + 1, before=cursor)
    if len(found) <= limit:
        return found, None
    return found[:limit], found[limit - 1].delivery.id


def _since(text: str, zone: tzinfo) -> datetime:
    if ago := _AGO.fullmatch(text.strip()):
        try:
            return utc_now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            return datetime.min
    try:
        written = f"{text.strip()}T00:00" if len(text.strip()) == 10 else text
        return to_utc(parse_timestamp(written), zone)
    except ValueError:
        raise Refused(
            "Invalid since: use a date, an ISO 8601 date and time (in a URL, + is %2B), or a time ago "
            "such as 36h or 7d"
        ) from None
