"""Upkeep: what a hub does by itself beside its requests, on a thread of its own.

It empties old bodies, applies what waited for a student or an event that has appeared, and completes
what was begun to be forgotten.
"""

import logging
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from hub.config.settings import Settings
from hub.domain.captures import KEPT_FOR
from hub.domain.records import Change, Result
from hub.domain.timestamps import utc_now
from hub.errors import HubError, Refused
from hub.intake.tokens import Tokens
from hub.jobs import traces
from hub.jobs.replay import Replays
from hub.jobs.retention import empty_old_bodies
from hub.jobs.worker import Worker
from hub.record import captures as kept_captures
from hub.record import deliveries, events, students
from hub.store import captures, scratch
from hub.store.store import Store

_log = logging.getLogger(__name__)

_HOUR, _DAY = 3600.0, 86400.0
_TRY_EVERY = 2.0
_LOOK_EVERY = 60.0
"""Seconds after which it looks for what another process has left."""

_MOST_NAMED = 10_000


class Upkeep(Worker):
    """The thread, and the students and events that have appeared since it last looked. What came to the
    ``lasting`` sources keeps its body whatever its age.
    """

    def __init__(
        self,
        store: Store,
        replays: Replays,
        tokens: Tokens,
        settings: Settings,
        lasting: Collection[str] = (),
    ) -> None:
        super().__init__(store, "upkeep", "upkeep")
        self._replays = replays
        self._tokens = tokens
        self._days = settings.keep_bodies
        self._lasting = lasting
        self._applies = settings.apply_waiting
        self._appeared = _Appeared()
        self._clock = _Clock(timedelta(days=self._days))
        self._retention_due = time.monotonic()
        self._applying = threading.Lock()

    def tell(self, results: Sequence[Result]) -> None:
        """Have deliveries applied that wait for what these results made. Never waits."""
        if self._applies and results and self._appeared.add(results):
            self.wake()

    def apply_waiting(self) -> None:
        """Apply at once what waits for what has been told, if the setting says so."""
        if self._applies:
            self._apply_waiting()

    def _wait(self, seconds: float) -> None:
        """Wait, at most so long, for something to do; meanwhile a store that failed is tried."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._wake.wait(min(left, _TRY_EVERY)):
                self._wake.clear()
                return
            if self._store.has_failed:
                # A load balancer that is told of it sends nothing that could succeed.
                with suppress(HubError):
                    self._store.try_to_write()

    def do_what_is_due(self) -> float:
        """The seconds until there is something to do again, unless something appears."""
        is_due = time.monotonic() >= self._retention_due
        if is_due:
            # What another process has made is found now.
            self._appeared.add_all()
        if self._applies:
            self._apply_waiting()
        if is_due:
            self._retention_due = time.monotonic() + self._retention()
        self._complete_forgetting()
        self._tokens.keep_used()
        return max(0.0, min(_LOOK_EVERY, self._retention_due - time.monotonic()))

    def _apply_waiting(self) -> None:
        with self._applying:
            named = self._appeared.take()
            try:
                ready = self._replays.ready() if named is None else self._waiting_for(named)
                for identifier in ready:
                    if self._ending.is_set():
                        return
                    self._apply(identifier)
            except BaseException:
                self._appeared.add_all()
                raise

    def _apply(self, identifier: str) -> None:
        try:
            self._replays.replay(identifier)
        except Refused as refused:
            _log.info("delivery %s is not replayed: %d", identifier, refused.status)

    def _waiting_for(self, named: Collection[tuple[str, int]]) -> list[str]:
        if not named:
            return []
        with self._store.reading() as db:
            awaited = []
            for what, row in named:
                own = students if what == "student" else events
                awaited += [f"{what} {name}" for name in own.names_of(db, row)]
                if what == "event" and (event := events.named_and_starting(db, row)) is not None:
                    awaited += deliveries.waiting_near(db, *event)
            return deliveries.waiting_for(db, awaited)

    def _complete_forgetting(self) -> None:
        """Go on with the requests to forget somebody whose process has ended."""
        for request in traces.left_behind(self._store):
            claim = traces.claim(self._store, request.id)
            if claim is None:
                continue
            _log.info("request %d to forget a student is resumed", claim.request)
            found = traces.search(self._store, claim, lambda looked_at: None, self._go_on)
            if found is None:
                return
            _log.info(
                "request %d to forget a student is complete: %d deliveries were emptied; "
                "events that mention the student: %s",
                found.request,
                found.deliveries,
                ", ".join(map(str, found.events)) or "none",
            )

    def _go_on(self) -> bool:
        """Whether a long search goes on; what has appeared meanwhile does not wait for its end."""
        if self._applies and not self._ending.is_set():
            self._apply_waiting()
        return not self._ending.is_set()

    def _retention(self) -> float:
        """Empty old bodies, and remove old captures; the seconds until that is due again."""
        with self._store.reading() as db:
            ended = [one for one in kept_captures.every(db) if one.expires_at < _captured_until()]
        if ended:
            with self._store.writing() as tx:
                captures.remove_ended(tx, _captured_until())
        scratch.discard(scratch.place(self._store.address), only_old=True)
        with self._store.reading() as db:
            newest = deliveries.newest(db)
        if newest is None:
            return _HOUR
        if self._clock.is_doubtful(newest):
            _log.warning("the clock may be wrong; no body is emptied for its age for a day")
            return _DAY
        emptied = empty_old_bodies(
            self._store,
            self._days,
            utc_now(),
            lambda: not self._ending.is_set(),
            self._lasting,
        )
        if emptied:
            _log.info("emptied the bodies of %d deliveries, %d days old", emptied, self._days)
        return _HOUR


def _captured_until() -> datetime:
    """Captures that ended before this moment are kept no longer."""
    return utc_now() - KEPT_FOR


class _Appeared:
    """The students and events that have appeared, or all that are known, if they are too many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._named: set[tuple[str, int]] = set()
        # Deliveries may have become ready while no hub ran.
        self._all = True

    def add(self, results: Sequence[Result]) -> bool:
        """Add what results have made; whether there was something."""
        made = set(_made(results))
        with self._lock:
            self._named |= made
            if len(self._named) > _MOST_NAMED:
                self._named.clear()
                self._all = True
        return bool(made)

    def add_all(self) -> None:
        """Have every delivery looked at that waits."""
        with self._lock:
            self._all = True

    def take(self) -> set[tuple[str, int]] | None:
        """What has appeared since the last time; None for all."""
        with self._lock:
            named, everything = self._named, self._all
            self._named, self._all = set(), False
        return None if everything else named


class _Clock:
    """Whether the clock is reliable enough to empty old bodies by it.

    It is doubted for a day after it has jumped, and where it makes even the newest delivery old.
    """

    _JUMP = 3600.0

    def __init__(self, kept: timedelta) -> None:
        self._kept = kept
        self._offset = time.time() - time.monotonic()
        self._doubted = False

    def is_doubtful(self, newest: datetime) -> bool:
        """``newest`` is when the newest delivery was received, naive and in UTC."""
        offset = time.time() - time.monotonic()
        jumped = abs(offset - self._offset) > self._JUMP
        self._offset = offset
        idle = newest < utc_now() - self._kept
        self._doubted = jumped or (idle and not self._doubted)
        return self._doubted


def _made(results: Sequence[Result]) -> Iterator[tuple[str, int]]:
    """The students and events that are new, or have a new name or identifier."""
    for result in results:
        if result.attendance is None and result.change in (Change.CREATED, Change.UPDATED):
            if result.student is not None:
                yield "student", result.student.id
            if result.event is not None:
                yield "event", result.event.id
