"""Sending: every committed check-in is sent to every target, at least once.

What has to be sent is in the store (``hub.store.outbox``), so nothing is lost when the hub ends, however
it ends. Each target has a thread of its own. Several hubs over one store share the work: what one of them
has claimed, the others leave alone for a while.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta, tzinfo
from typing import Any

from hub.domain.timestamps import utc_now
from hub.errors import FAULTS, HubError, NotDelivered
from hub.jobs.worker import SCHEDULE, Worker, close_all
from hub.log import log_fault
from hub.plugin.target import Target
from hub.record.pending import Waiting, check_in, counts, next_due
from hub.store import outbox
from hub.store.outbox import Due
from hub.store.store import Store

_log = logging.getLogger(__name__)

_JITTER = 0.1
_PAGE = 20
_LEASE = timedelta(minutes=2)
_LONG = 30.0
_LOOK_EVERY = 5.0
"""Seconds after which a target looks for what another hub, or another process, has left."""


class Senders:
    """The targets of a hub, and their threads."""

    def __init__(self, store: Store, targets: Sequence[Target], zone: tzinfo) -> None:
        self._senders = [_Sender(store, target, zone) for target in targets]

    def start(self) -> None:
        """Begin, unless it has begun; in the process that serves, after a server has forked it."""
        for sender in self._senders:
            sender.start()

    def wake(self) -> None:
        """There is something to send. Never waits."""
        for sender in self._senders:
            sender.wake()

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """By target: how many this hub has sent, and failed to send, since it started; how many the store
        had to send, and had given up, when the target last looked; and for how many seconds it has been
        sending one.
        """
        return {sender.target.name: sender.counters() for sender in self._senders}

    def close(self, seconds: float) -> None:
        """End the threads, waiting for them at most ``seconds`` in all."""
        close_all(self._senders, seconds)


class _Sender(Worker):
    """Sends one target what is due, until it is told to end."""

    def __init__(self, store: Store, target: Target, zone: tzinfo) -> None:
        super().__init__(store, f"target {target.name}", f"target {target.name}")
        self.target = target
        self._zone = zone
        self._busy: tuple[float, int] | None = None
        self._told = 0
        self._counted = 0.0
        self._counts = dict.fromkeys(("sent", "failed", "waiting", "given_up"), 0)

    def wake(self) -> None:
        super().wake()
        busy = self._busy
        if busy is not None and busy[1] != self._told and time.monotonic() - busy[0] > _LONG:
            self._told = busy[1]
            _log.warning(
                "target %s: send takes longer than %.0f s; nothing else is sent to it meanwhile",
                self.target.name,
                _LONG,
            )

    def counters(self) -> dict[str, int]:
        busy = self._busy
        seconds = 0 if busy is None else int(time.monotonic() - busy[0])
        return {**self._counts, "sending_for": seconds}

    def do_what_is_due(self) -> float:
        """Send a page of it, up to the first that fails; the seconds until there is more."""
        now = utc_now()
        name = self.target.name
        with self._store.reading() as db:
            due = next_due(db, name)
        if due is None or due > now:
            self._count()
            return _LOOK_EVERY if due is None else min(_LOOK_EVERY, (due - now).total_seconds())
        with self._store.writing() as tx:
            claimed = outbox.claim(tx, name, now, now + _LEASE, _PAGE)
        enough = time.monotonic() + _LEASE.total_seconds() / 2
        for number, one in enumerate(claimed):
            if self._ending.is_set() or time.monotonic() > enough:
                self._release(claimed[number:])
                break
            if not self._send(one):
                self._release(claimed[number + 1 :])
                self._count()
                return self._pause()
        self._count()
        self._in_vain = 0
        return 0.0

    def _send(self, one: Due) -> bool:
        """Send one, and settle it at once; whether it has arrived."""
        # As it is now: who was forgotten meanwhile is not told of.
        with self._store.reading() as db:
            found = check_in(db, one.id, self._zone)
        self._busy = time.monotonic(), one.id
        try:
            if found is not None:
                self.target.send(found)
        except FAULTS as error:
            with self._store.writing() as tx:
                outbox.failed(tx, one.id, one.attempts + 1, _due_after(one.attempts, error))
            self._counts["failed"] += 1
            self._tell(one, found.id if found else "?", error)
            return False
        finally:
            self._busy = None
        with self._store.writing() as tx:
            outbox.sent(tx, one.id)
        self._counts["sent"] += 1
        return True

    def _release(self, rest: Sequence[Due]) -> None:
        now = utc_now()
        with self._store.writing() as tx:
            for one in rest:
                outbox.released(tx, one.id, now)

    def _tell(self, one: Due, message: str, error: BaseException) -> None:
        what = f"target {self.target.name}: {message} is not delivered, attempt {one.attempts + 1}"
        if one.attempts >= len(SCHEDULE):
            what += ", and given up"
        if isinstance(error, NotDelivered):
            _log.warning("%s: %s", what, error)
        else:
            log_fault(what, error)

    def _count(self) -> None:
        """Look how much there is, every few seconds: it takes longer the more there is."""
        if time.monotonic() < self._counted + _LOOK_EVERY and self._counts["waiting"] > _PAGE:
            return
        self._counted = time.monotonic()
        with suppress(HubError), self._store.reading() as db:
            own = counts(db).get(self.target.name, Waiting())
            self._counts |= {"waiting": own.waiting, "given_up": own.given_up}


def _due_after(attempts: int, error: BaseException) -> Any:
    """When a check-in that was tried ``attempts`` times before is due again; None: never."""
    if attempts >= len(SCHEDULE):
        return None
    wait = SCHEDULE[attempts] * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311
    if isinstance(error, NotDelivered) and error.retry_after is not None:
        wait = max(wait, min(timedelta(seconds=error.retry_after), SCHEDULE[-1]))
    return utc_now() + wait
