"""Moments: read from what senders write, kept as naive datetimes in UTC, written with ``Z``.

The accepted form is RFC 3339's, a little wider: seconds may be absent, and so may the offset (the
moment is then in the hub's time zone). ``+00:00Z``, which ``datetime.isoformat() + "Z"`` makes of an
aware datetime, means its offset.
"""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo

_FORM = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?"
    r"(?:([Zz])|([+-])(\d\d)(?::?(\d\d))?[Zz]?)?",
    re.ASCII,
)


def parse_timestamp(text: str) -> datetime:
    """The moment that ``text`` means: aware if it has an offset, else naive.

    Digits of a second beyond the sixth are dropped. Raises ValueError, saying why, for anything else
    than an ISO 8601 date and time that exists (a leap second has no place in a calendar of datetimes).
    """
    match = _FORM.fullmatch(text.strip(" "))
    if match is None:
        raise ValueError("it is not an ISO 8601 date and time")
    year, month, day, hour, minute, second, fraction, utc, sign, hours, minutes = match.groups()
    offset: tzinfo | None = None
    if utc:
        offset = UTC
    elif sign:
        if int(hours) > 23 or int(minutes or 0) > 59:
            raise ValueError("its offset is out of range")
        ahead = timedelta(hours=int(hours), minutes=int(minutes or 0))
        offset = timezone(ahead if sign == "+" else -ahead)
    microsecond = int((fraction or "0").ljust(6, "0")[:6])
    return datetime(
        int(year),
        int(month),
        int(day),
        int(hour),
        int(minute),
        int(second or 0),
        microsecond,
        tzinfo=offset,
    )


def parse_unix_seconds(seconds: float) -> datetime:
    """The moment ``seconds`` after 1970-01-01T00:00:00Z. Raises ValueError for one out of range."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("it is out of range") from error


def to_utc(moment: datetime, zone: tzinfo) -> datetime:
    """``moment`` as a naive datetime in UTC; a naive ``moment`` is taken to be in ``zone``.

    Raises ValueError where the moment, in UTC or in ``zone``, leaves the years 1 to 9999.
    """
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)
    try:
        in_utc = aware.astimezone(UTC)
        in_utc.astimezone(zone)
    except (OverflowError, ValueError) as error:
        raise ValueError("it is outside the years 1 to 9999") from error
    return in_utc.replace(tzinfo=None)


def utc_now() -> datetime:
    """The present moment, naive, in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def calendar_date(moment: datetime, zone: tzinfo) -> date:
    """The calendar date in ``zone`` of a naive moment in UTC."""
    try:
        return moment.replace(tzinfo=UTC).astimezone(zone).date()
    except OverflowError:  # stored when the hub was in another zone
        return moment.date()


def parse_utc(text: str) -> datetime:
    """The naive moment in UTC that ``format_utc`` wrote so. Raises ValueError for anything else."""
    return datetime.fromisoformat(text.removesuffix("Z"))


def format_utc(moment: datetime) -> str:
    """A naive moment in UTC in RFC 3339 form: whole seconds, or as many digits as it has (3 or 6)."""
    if moment.microsecond == 0:
        return moment.isoformat(timespec="seconds") + "Z"
    exact = moment.microsecond % 1000 == 0
    return moment.isoformat(timespec="milliseconds" if exact else "microseconds") + "Z"
