"""Fetching: what deliveries wait for is fetched beside their way, and they are attempted again with it.

Each source that fetches has a thread, on which one document comes after the other, the oldest delivery
first. What was fetched is kept with the delivery, so that no later attempt needs the network.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from hub.domain.delivery import moment_of
from hub.domain.timestamps import utc_now
from hub.errors import Refused
from hub.intake.endpoint import Endpoint
from hub.jobs import outbound
from hub.jobs.outbound import NotFetched
from hub.jobs.replay import Replays
from hub.jobs.worker import SCHEDULE, Worker, close_all
from hub.record import deliveries as kept_deliveries
from hub.record import pending
from hub.store import deliveries, fetching
from hub.store.fetching import Due
from hub.store.store import Store
from hub.wire.strict_json import parse_any

_log = logging.getLogger(__name__)

_GIVEN_UP_AFTER = timedelta(days=3)
"""After which a server that is away is not asked any more."""

_PAGE = 20
_LEASE = timedelta(minutes=10)
_LOOK_EVERY = 5.0


class Fetchers:
    """What fetches for each of the sources that want it."""

    def __init__(self, store: Store, replays: Replays, endpoints: Sequence[Endpoint]) -> None:
        self.every = [
            Fetcher(store, replays, one) for one in endpoints if one.source.fetch is not None
        ]

    def start(self) -> None:
        """Begin, unless it has begun; in the process that serves."""
        for one in self.every:
            one.start()

    def counters(self) -> Mapping[str, Mapping[str, int | bool]]:
        """What each source has had fetched since the start, what was not fetched, and whether its
        server is away.
        """
        return {one.endpoint.source.name: one.counters() for one in self.every}

    def wake(self, source: str) -> None:
        """Look for what a source wants fetched. Never waits."""
        for one in self.every:
            if one.endpoint.source.name == source:
                one.wake()

    def close(self, seconds: float) -> None:
        """End, waiting at most ``seconds`` in all; a document that comes just now is asked for again
        after the next start.
        """
        close_all(self.every, seconds)


class Fetcher(Worker):
    """The thread of one source."""

    def __init__(self, store: Store, replays: Replays, endpoint: Endpoint) -> None:
        name = endpoint.source.name
        super().__init__(store, f"fetch {name}", f"source {name}: fetching")
        self.endpoint = endpoint
        self._replays = replays
        self._source = name
        self._fetched = self._failed = 0

    def counters(self) -> Mapping[str, int | bool]:
        """What was fetched since the start, what was not, and whether the server is away."""
        away = self._in_vain > 0
        return {"fetched": self._fetched, "failed": self._failed, "server_away": away}

    def do_what_is_due(self) -> float:
        """Fetch a page of it; the seconds until there is more."""
        now = utc_now()
        with self._store.reading() as db:
            due = pending.next_fetch(db, self._source)
        if due is None or due > now:
            return _LOOK_EVERY if due is None else min(_LOOK_EVERY, (due - now).total_seconds())
        with self._store.writing() as tx:
            claimed = fetching.claim(tx, self._source, now, now + _LEASE, _PAGE)
        suspect: Due | None = None
        for number, one in enumerate(claimed):
            if self._ending.is_set():
                self._release(claimed[number:], now)
                return 0.0
            try:
                self._fetch(one)
            except NotFetched as error:
                self._tell(one, error)
                if not error.is_away:
                    self._put_off(one, error)
                elif suspect is None and number + 1 < len(claimed):
                    suspect = one  # is it this document, or the server?
                else:
                    return self._wait_for_server([suspect, *claimed[number:]], error)
                continue
            self._in_vain = 0
            if suspect is not None:
                self._put_off(suspect, NotFetched("the server gives others, and not this one"))
                suspect = None
        if suspect is not None:
            self._release([suspect], now)
        return 0.0

    def _fetch(self, one: Due) -> None:
        """Fetch what one delivery waits for, keep it, and attempt that again. Raises NotFetched."""
        with self._store.reading() as db:
            kept = kept_deliveries.find(db, one.delivery)
        if kept is None or kept.emptied is not None or kept.waiting is None:
            self._done(one)
            return
        if kept.delivery.fetched is None:
            document = outbound.get(
                one.url, self._headers(one.headers), private=self.endpoint.fetches_privately
            )
            try:
                parse_any(document)
            except Refused as refused:
                raise NotFetched(f"it is no JSON: {refused.details}") from None
            with self._store.writing() as tx:
                deliveries.set_fetched(tx, one.delivery, document)
            self._fetched += 1
        self._attempt(one)

    def _attempt(self, one: Due) -> None:
        try:
            self._replays.replay(one.delivery)
        except Refused as refused:
            _log.info("delivery %s is not replayed: %d", one.delivery, refused.status)
        self._done(one)

    def _done(self, one: Due) -> None:
        with self._store.writing() as tx:
            fetching.done(tx, one.delivery)

    def _headers(self, given: Mapping[str, str]) -> Mapping[str, str]:
        secret = self.endpoint.fetch_secret
        return {name: value.replace("{secret}", secret) for name, value in given.items()}

    def _put_off(self, one: Due, error: NotFetched) -> None:
        """Have one document asked for later; or no more, and the delivery kept as refused."""
        if one.attempts < len(SCHEDULE):
            due_at = utc_now() + SCHEDULE[one.attempts]
            with self._store.writing() as tx:
                fetching.failed(tx, one.delivery, one.attempts + 1, due_at)
            return
        self._give_up(one, error)

    def _give_up(self, one: Due, error: NotFetched) -> None:
        """A replay has it asked for again."""
        self._done(one)
        why = Refused("What the payload names could not be fetched", f"The last time {error}")
        self._replays.refuse(one.delivery, why)

    def _wait_for_server(self, rest: Sequence[Due | None], error: NotFetched) -> float:
        """The server is away: nothing is counted against the documents, which keep their order. Those
        that have waited too long are given up.
        """
        too_old = utc_now() - _GIVEN_UP_AFTER
        waiting = [one for one in rest if one is not None]
        for one in waiting:
            if moment_of(one.delivery) < too_old:
                self._give_up(one, error)
        self._release(waiting, utc_now())
        return self._pause()

    def _release(self, rest: Sequence[Due], at: datetime) -> None:
        with self._store.writing() as tx:
            for one in rest:
                fetching.released(tx, one.delivery, at)

    def _tell(self, one: Due, error: NotFetched) -> None:
        self._failed += 1
        what = "source %s: what delivery %s waits for is not fetched: %s"
        _log.warning(what, self._source, one.delivery, error)
