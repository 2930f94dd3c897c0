"""The alerts that are on, as they were kept; and what the store tells of what may be wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pony.orm import count, select
from pony.orm import max as highest
from pony.orm import min as lowest

from hub.domain.alerts import Alert
from hub.domain.delivery import Outcome, delivery_id_at, moment_of
from hub.record import events
from hub.store.store import Entities

_UNTAKEN = (Outcome.REFUSED.value, Outcome.FAILED.value)
_EVENTS_BEFORE = 3
"""Events that tell which sources are used at events."""


def every(db: Entities) -> list[Alert]:
    """The alerts that were kept."""
    rows = select((a.name, a.text, a.began_at, a.ended_at, a.begun, a.ended) for a in db.Alert)
    return [
        Alert(name, text, began, ended, frozenset(begun.split()), frozenset(told.split()))
        for name, text, began, ended, begun, told in rows.order_by(1)
    ]


def untaken(db: Entities, since: datetime, until: datetime) -> Mapping[str, int]:
    """How many deliveries were refused or failed, by source. Moments are naive and in UTC."""
    begin, end = delivery_id_at(since), delivery_id_at(until)
    outcomes = list(_UNTAKEN)
    return dict(
        select(
            (d.source, count())
            for d in db.Delivery
            if d.id >= begin and d.id < end and d.outcome in outcomes
        )
    )


def silent(db: Entities, now: datetime, patience: timedelta) -> Mapping[str, datetime | None]:
    """The sources of which nothing has come for as long as ``patience`` though an event is on for as
    long, and which were used at two of the last three events before it; when each was heard last, if it
    was within a day.
    """
    running = events.running(db, now)
    if not running or now - running[0] < patience:
        return {}
    used = Counter(
        source for begin, end in _before(db, running[0]) for source in _heard(db, begin, end)
    )
    heard = _heard(db, now - timedelta(days=1), now + timedelta(hours=1))
    return {
        source: heard.get(source)
        for source, number in sorted(used.items())
        if number >= 2 and ((last := heard.get(source)) is None or now - last >= patience)
    }


def oldest_delivery(db: Entities) -> datetime | None:
    """When the first delivery came that is kept: naive, in UTC."""
    found: str | None = lowest(d.id for d in db.Delivery)
    return None if found is None else moment_of(found)


def _before(db: Entities, at: datetime) -> Sequence[tuple[datetime, datetime]]:
    """When the last events were before one."""
    latest = at - events.USUAL_LENGTH
    found = select(
        (e.id, e.starts_at, e.ends_at)
        for e in db.Event
        if e.hidden_at is None and e.starts_at < latest
    )
    rows = found.order_by(-2).limit(_EVENTS_BEFORE)
    return [(begin, end or begin + events.USUAL_LENGTH) for _, begin, end in rows]


def _heard(db: Entities, begin: datetime, end: datetime) -> Mapping[str, datetime]:
    """When each source was heard last in a span of time."""
    first, last = delivery_id_at(begin), delivery_id_at(end)
    rows = select((d.source, highest(d.id)) for d in db.Delivery if d.id >= first and d.id < last)
    return {source: moment_of(identifier) for source, identifier in rows}
