"""Moments in captured payloads, in whatever form they are: read, and written in the same form."""

import re
from datetime import UTC, datetime
from typing import Any

from hub.domain.timestamps import parse_timestamp, to_utc


def read_moment(value: Any, form: str) -> datetime:
    """The moment of a value of a form (``Member.moment``), naive; local where its offset is not told."""
    if form == "iso":
        return to_utc(parse_timestamp(value), UTC)
    if "%" in form:
        return to_utc(datetime.strptime(value, form), UTC)
    seconds = int(value) if isinstance(value, str) else value
    moment = datetime.fromtimestamp(seconds / 1000 if "milli" in form else seconds, tz=UTC)
    return moment.replace(tzinfo=None)


def write_moment(value: Any, form: str, moment: datetime) -> Any:
    """Another moment, written as ``value`` is."""
    if form == "iso":
        return _iso(value.strip(), moment)
    if "%" in form:
        zone = datetime.strptime(value, form).tzinfo
        local = moment.replace(tzinfo=UTC).astimezone(zone) if zone else moment
        return local.strftime(form)
    seconds = int(moment.replace(tzinfo=UTC).timestamp()) * (1000 if "milli" in form else 1)
    return str(seconds) if isinstance(value, str) else type(value)(seconds)


def _iso(text: str, moment: datetime) -> str:
    zone = parse_timestamp(text).tzinfo
    local = moment.replace(tzinfo=UTC).astimezone(zone) if zone else moment
    match = re.fullmatch(r"\d{4}-\d\d-\d\d(.)\d\d:\d\d(:\d\d)?([.,]\d+)?(.*)", text)
    assert match is not None
    separator, seconds, fraction, offset = match.groups()
    fraction = re.sub(r"\d", "0", fraction or "")
    rest = f":{local:%S}{fraction}{offset}" if seconds else offset
    return f"{local:%Y-%m-%d}{separator}{local:%H:%M}{rest}"
