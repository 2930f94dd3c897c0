"""Alerts: whoever runs the hub is told when something begins to be wrong, and when it is over; not in
between.
"""

import logging
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hub.config.settings import Settings
from hub.domain.alerts import Alert
from hub.domain.timestamps import utc_now
from hub.errors import NotDelivered, StoreUnavailable
from hub.intake.endpoint import Endpoint
from hub.jobs.conditions import Conditions
from hub.jobs.worker import Worker
from hub.record import alerts as kept
from hub.store import alerts as written
from hub.store.store import Store

if TYPE_CHECKING:
    from hub.jobs.channels import Channel

_log = logging.getLogger(__name__)

LOOK_EVERY = 30.0
"""Seconds between two looks."""

QUIET = 300.0
"""Seconds for which something must not have been seen, for it to be over: what comes and goes is told
once.
"""


class Alerts(Worker):
    """The thread that looks what is wrong, and tells it. What was told is kept in the store, so that a
    restart tells nobody again; while the store fails, it is kept here alone.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Sequence[Endpoint],
        lasting: Collection[str],
        settings: Settings,
    ) -> None:
        super().__init__(store, "alerts", "alerts")
        self._conditions = Conditions(store, endpoints, lasting, settings.alerts)
        self._channels = tuple(_channels(settings))
        self._names = frozenset(channel.name for channel in self._channels)
        self._known: dict[str, Alert] = {}
        self._seen: dict[str, float] = {}
        self._unkept: set[str] = set()
        self._is_loaded = False
        self._look_at = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._channels)

    def start(self) -> None:
        """Begin, if there is anybody to tell."""
        if self.is_wanted:
            super().start()

    def do_what_is_due(self) -> float:
        """Look, and tell; the seconds until there is more."""
        if not self._is_loaded:
            with self._store.reading() as db:
                self._known = {alert.name: alert for alert in kept.every(db)}
            self._is_loaded = True
        if time.monotonic() >= self._look_at:
            self._take(self._conditions.now(utc_now()))
            self._look_at = time.monotonic() + LOOK_EVERY
        is_told = self._tell()
        self._keep()
        if not is_told:
            return min(self._pause(), LOOK_EVERY)
        self._in_vain = 0
        return max(0.0, self._look_at - time.monotonic())

    def _take(self, wrong: Mapping[str, str]) -> None:
        """Take in what is wrong now."""
        now, moment = time.monotonic(), utc_now()
        for name, text in wrong.items():
            self._seen[name] = now
            known = self._known.get(name)
            if known is None:
                _log.warning("alert: %s: %s", name, text)
                self._set(Alert(name, text, moment))
            elif known.ended_at is not None and not known.ended:
                self._set(replace(known, ended_at=None))  # nobody was told that it had ended
        for name, alert in list(self._known.items()):
            if alert.ended_at is None and now - self._seen.setdefault(name, now) > QUIET:
                _log.info("alert: %s is over", name)
                self._set(replace(alert, ended_at=moment))

    def _tell(self) -> bool:
        """Tell what is not told yet; whether all of it was."""
        is_told = True
        for channel in self._channels:
            for alert, ended in list(self._untold(channel.name)):
                try:
                    channel.tell(alert, ended)
                except NotDelivered as error:
                    if not self._in_vain:
                        _log.warning("alerts are not told by %s yet: %s", channel.name, error)
                    is_told = False
                    break  # in order
                known = self._known[alert.name]
                told = {channel.name}
                self._set(
                    replace(known, ended=known.ended | told)
                    if ended
                    else replace(known, begun=known.begun | told)
                )
        for name, alert in list(self._known.items()):
            if alert.ended_at is not None and self._names <= alert.ended:
                del self._known[name]
                self._unkept.add(name)
        return is_told

    def _untold(self, channel: str) -> Iterator[tuple[Alert, bool]]:
        """What a channel has still to be told, in the order in which it happened: an alert, and whether
        it has ended.
        """
        known = self._known.values()
        happened = [(one.began_at, one, False) for one in known if channel not in one.begun]
        happened += [
            (one.ended_at, one, True)
            for one in known
            if one.ended_at is not None and channel not in one.ended
        ]
        for _, alert, ended in sorted(happened, key=lambda each: (each[0], each[2])):
            yield alert, ended

    def _set(self, alert: Alert) -> None:
        self._known[alert.name] = alert
        self._unkept.add(alert.name)

    def _keep(self) -> None:
        """Keep what has changed, as soon as the store takes it."""
        if not self._unkept:
            return
        try:
            with self._store.writing() as tx:
                for name in self._unkept:
                    alert = self._known.get(name)
                    if alert is None:
                        written.remove(tx, name)
                    else:
                        written.keep(tx, alert)
        except StoreUnavailable:
            return  # which it is told of itself
        self._unkept = set()


def _channels(settings: Settings) -> Iterator["Channel"]:
    if settings.alerts.webhook or settings.alerts.mail_to:
        from hub.jobs.channels import channels  # few hubs need what that loads

        yield from channels(settings.alerts, settings.public_url)
