"""What may be wrong with a hub: looked at anew each time, from its store and its own counters."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from hub.config.settings import AlertSettings
from hub.domain.timestamps import format_utc
from hub.errors import HubError
from hub.intake.endpoint import UNAUTHENTICATED, Endpoint
from hub.record import alerts, pending
from hub.store.space import space
from hub.store.store import Entities, Store

_SIGNATURES_WITHIN = timedelta(minutes=15)
_WRONG = 5
"""Requests without a right credential within that time of which nobody need know."""

_REFUSED_WITHIN = timedelta(minutes=30)
_USUAL_OF = timedelta(days=7)
_FEW, _TIMES = 20, 3
"""Refusals within that time of which nobody need know; and how many times the usual number are many."""


class Conditions:
    """What is wrong now: a text for each, by its name. ``lasting`` sources are the hub's own."""

    def __init__(
        self,
        store: Store,
        endpoints: Sequence[Endpoint],
        lasting: Collection[str],
        settings: AlertSettings,
    ) -> None:
        self._store = store
        self._endpoints = [one for one in endpoints if one.source.name not in lasting]
        self._settings = settings
        self._wrong: deque[tuple[datetime, Mapping[str, int]]] = deque()

    def now(self, now: datetime) -> Mapping[str, str]:
        """What is wrong at a moment: naive, in UTC."""
        found = dict(self._signatures(now))
        if not self._store.is_reachable():
            return {**found, "store-failing": "The store does not take check-ins; the log says why"}
        try:
            with self._store.reading() as db:
                found |= self._in_store(db, now)
            found |= self._disk()
        except HubError:  # it has failed meanwhile, which the next look tells
            pass
        return found

    def _signatures(self, now: datetime) -> Mapping[str, str]:
        """Sources to which too many requests come without a right credential."""
        counts = {
            one.source.name: one.counters.by_outcome().get(UNAUTHENTICATED, 0)
            for one in self._endpoints
        }
        self._wrong.append((now, counts))
        while now - self._wrong[0][0] > _SIGNATURES_WITHIN:
            self._wrong.popleft()
        before = self._wrong[0][1]
        return {
            f"signatures-failing {source}": f"{number - before[source]} requests to {source} had no "
            "right credential within 15 minutes; the log has their addresses"
            for source, number in counts.items()
            if number - before[source] > _WRONG
        }

    def _in_store(self, db: Entities, now: datetime) -> Mapping[str, str]:
        found = {}
        names = {one.source.name for one in self._endpoints}
        patience = timedelta(minutes=self._settings.silent_after)
        for source, last in alerts.silent(db, now, patience).items():
            if source in names:
                heard = "for a day" if last is None else f"since {format_utc(last)}"
                found[f"source-silent {source}"] = (
                    f"An event is on, and nothing has come from {source} {heard}"
                )
        recent = alerts.untaken(db, now - _REFUSED_WITHIN, now + timedelta(hours=1))
        if any(number > _FEW for number in recent.values()):
            usual = alerts.untaken(db, now - _USUAL_OF, now - _REFUSED_WITHIN)
            for source, number in recent.items():
                expected = usual.get(source, 0) * (_REFUSED_WITHIN / _USUAL_OF)
                if number > _FEW and number > _TIMES * expected:
                    found[f"refusals {source}"] = (
                        f"{number} deliveries of {source} were refused or failed within 30 minutes; "
                        f"usual are {expected:.0f}"
                    )
        for target, one in pending.counts(db).items():
            if one.given_up:
                found[f"outbox-given-up {target}"] = (
                    f"{one.given_up} check-ins are not sent on to {target} any more; when it is back: "
                    f"attendance-hub outbox --retry {target}"
                )
        return {**found, **self._backup(db, now)}

    def _backup(self, db: Entities, now: datetime) -> Mapping[str, str]:
        if not self._settings.backup_after:
            return {}
        last, first = pending.last_backup(db), alerts.oldest_delivery(db)
        since = last or first
        if since is None or now - since <= timedelta(hours=self._settings.backup_after):
            return {}
        said = f"The last backup is of {format_utc(last)}" if last else "There is no backup"
        return {"backup-old": f"{said}; make one with: attendance-hub backup FILE"}

    def _disk(self) -> Mapping[str, str]:
        _, free, disk = space(self._store)
        if free is None or not disk or free / disk * 100 >= self._settings.disk_below:
            return {}
        return {"disk-low": f"{free / disk:.0%} of the store's disk are free ({free} bytes)"}
