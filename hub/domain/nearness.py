"""Nearness: how near in time an event must be, to be the one that is meant."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Nearness:
    """The rules of one source.

    window: how far an event may start from the moment of who names it by its name; None: however far.
    same_event: how far apart two starts of one name may be, to be one event.
    """

    window: timedelta | None = None
    same_event: timedelta = timedelta(hours=2)


def around(moment: datetime, reach: timedelta) -> tuple[datetime, datetime]:
    """From when to when, inclusive: as far as the calendar goes."""
    begin = moment - reach if moment - datetime.min > reach else datetime.min
    end = moment + reach if datetime.max - moment > reach else datetime.max
    return begin, end
