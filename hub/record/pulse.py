"""The pulse of sources: when each was heard last, how much of what came when, whether it is silent."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import pairwise

from pony.orm import count, select
from pony.orm import max as highest

from hub.domain.delivery import delivery_id_at, moment_of
from hub.domain.timestamps import calendar_date
from hub.store.store import Entities

_USUAL = timedelta(days=28)
_FEWEST = 3
_LONGER = 1.5
_SHORTEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pulse:
    """A source: its last delivery (naive, UTC; None: there is none within four weeks), its deliveries by
    day and outcome, and whether it is silent for longer than it has been before.
    """

    source: str
    last: datetime | None
    days: Sequence[tuple[date, Counter[str]]]
    is_silent: bool


def every(
    db: Entities,
    sources: Sequence[str],
    now: datetime,
    days: int,
    zone: tzinfo,
    files: Sequence[str] = (),
) -> list[Pulse]:
    """The pulses of sources over the last ``days``, in ``zone``. ``now`` is naive and in UTC. Of
    ``files``, the sources of imports, each file counts once; of other batches also each row.
    """
    whole = list(files)
    begin = delivery_id_at(now - _USUAL)
    # Those that share seven digits of their ids came within a quarter of an hour or so.
    rows = select(
        (d.source, d.outcome, d.id[:7], count(), highest(d.id))
        for d in db.Delivery
        if d.id >= begin and (d.of_delivery is None or d.source not in whole)
    )
    heard: dict[str, set[datetime]] = defaultdict(set)
    last: dict[str, datetime] = {}
    by_day: dict[str, dict[date, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for source, outcome, prefix, number, newest in rows:
        at = moment_of(newest)
        heard[source].add(moment_of(prefix.ljust(12, "0")))
        last[source] = max(at, last.get(source, at))
        by_day[source][calendar_date(at, zone)][outcome] += number
    today = calendar_date(now, zone)
    shown = [today - timedelta(days=ago) for ago in reversed(range(days))]
    return [
        Pulse(
            source,
            last.get(source),
            [(day, by_day[source][day]) for day in shown],
            _is_silent(sorted(heard[source]), now),
        )
        for source in sources
    ]


def _is_silent(heard: Sequence[datetime], now: datetime) -> bool:
    """Whether it is longer since the last time than half as long again as the longest pause so far."""
    if len(heard) < _FEWEST:
        return False
    longest = max(later - earlier for earlier, later in pairwise(heard))
    return now - heard[-1] > max(longest * _LONGER, _SHORTEST)
