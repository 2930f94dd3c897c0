"""Dates and times as people write them in tables: ISO 8601, 3/14/2026 6:05 PM, 14.3.2026 18:05."""

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from enum import Enum

from hub.domain.timestamps import parse_timestamp
from hub.errors import Refused

_DATE = re.compile(r"(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})", re.ASCII)
_TIME = re.compile(
    r"(\d{1,2})(?::(\d\d))?(?::(\d\d)(?:[.,]\d+)?)?\s*([AaPp])?\.?(?:[Mm]\.?)?", re.ASCII
)


class Order(Enum):
    """In which order a date has its parts."""

    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


def order_of(values: Iterable[str]) -> Order | None:
    """The order of the dates that have one of two: one that all of them allow, and a date shows. None
    where none has to be known, or none can be. Raises Refused where two dates show different ones.
    """
    shown: dict[Order, str] = {}
    for value in values:
        match = _DATE.match(value.strip())
        if match is None or len(match[1]) > 2 or (len(match[4]) < 4 and match[2] == "-"):
            continue
        first, second = int(match[1]), int(match[3])
        if match[2] == "." or first > 12:
            shown.setdefault(Order.DAY_FIRST, value)
        elif second > 12:
            shown.setdefault(Order.MONTH_FIRST, value)
    if len(shown) > 1:
        both = " and ".join(value.strip()[:20] for value in shown.values())
        raise Refused(f"The dates are in two orders: {both}", "Write them as 2026-11-12")
    return next(iter(shown), None)


def is_in_doubt(value: str) -> bool:
    """Whether a date may be read in two orders."""
    match = _DATE.match(value.strip())
    if match is None or len(match[1]) > 2 or match[2] == ".":
        return False
    first, second = int(match[1]), int(match[3])
    return first <= 12 and second <= 12 and first != second


def read_date(text: str, order: Order | None) -> date:
    """Raises ValueError for what is no date, or one that may be read in two orders."""
    text = text.strip()
    match = _DATE.match(text)
    if match is None:
        raise ValueError("it is no date such as 2026-11-12")
    first, separator, second, third = match[1], match[2], int(match[3]), match[4]
    if len(first) == 4:
        return date(int(first), second, int(third))
    year = int(third) + (2000 if len(third) <= 2 else 0)
    if separator == ".":
        return date(year, second, int(first))
    if order is None:
        if is_in_doubt(text):
            raise ValueError("its day and its month may be either way")
        order = Order.DAY_FIRST if int(first) > 12 else Order.MONTH_FIRST
    if order is Order.DAY_FIRST:
        return date(year, second, int(first))
    return date(year, int(first), second)


def read_time(text: str) -> time:
    """Raises ValueError for what is no time of a day."""
    match = _TIME.fullmatch(text.strip())
    if match is None or (match[2] is None and match[4] is None):
        raise ValueError("it is no time such as 18:05")
    hour, half = int(match[1]), (match[4] or "").lower()
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("it is no time such as 6:05 PM")
        hour = hour % 12 + (12 if half == "p" else 0)
    return time(hour, int(match[2] or 0), int(match[3] or 0))


def read_moment(text: str, order: Order | None, day: date | None) -> datetime:
    """A moment: aware where it has an offset. A time alone is on ``day``. Raises ValueError."""
    text = text.strip()
    match = _DATE.match(text)
    if match is None:
        at = read_time(text)
        if day is None:
            raise ValueError("it has no date")
        return datetime.combine(day, at)
    try:
        return parse_timestamp(text)
    except ValueError:
        pass
    rest = text[match.end() :].strip(" ,T")
    day = read_date(match[0], order)
    return datetime.combine(day, read_time(rest) if rest else time())
