"""The threads beside the deliveries: each does what is due, waits for more, and ends when it is told
to.
"""

import logging
import threading
import time
from collections.abc import Iterable
from datetime import timedelta

from hub.errors import FAULTS, HubError
from hub.log import log_fault
from hub.store.store import Store

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""The waits after the first, second, … time that one thing was tried in vain (Standard Webhooks, "Retry
schedule", a little slower at the beginning). After the last it is given up.
"""

RETRY_AFTER = 5.0
"""Seconds until it goes on after something went wrong with the work itself."""

LONGEST_PAUSE = 60.0
"""Seconds, at the most, between two tries while a server is away."""


class Worker:
    """A thread that does what is due, again and again; a subclass says what that is.

    ``name`` is the thread's, ``what`` begins the lines of the log. Its connection to the store is
    closed at its end.
    """

    def __init__(self, store: Store, name: str, what: str) -> None:
        self._store = store
        self._name = name
        self._what = what
        self._in_vain = 0
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def do_what_is_due(self) -> float:
        """Do some of it; the seconds until there is more."""
        raise NotImplementedError

    def start(self) -> None:
        """Begin, unless it has begun; in the process that serves, after a server has forked it."""
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def wake(self) -> None:
        """There is something to do. Never waits."""
        self._wake.set()

    def end(self) -> None:
        """Have it end. Never waits."""
        self._ending.set()
        self._wake.set()

    def join(self, seconds: float) -> None:
        """Wait for its end, at most ``seconds``."""
        if self._thread is not None:
            self._thread.join(seconds)

    def close(self, seconds: float) -> None:
        """End it, waiting at most ``seconds``."""
        self.end()
        self.join(seconds)

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wait(self._seconds_until_more())
        self._store.close()

    def _wait(self, seconds: float) -> None:
        """Wait, at most so long, for something to do. While a server is away, what is new is nothing to
        do: it would be tried in vain as well.
        """
        (self._ending if self._in_vain else self._wake).wait(seconds)
        self._wake.clear()

    def _seconds_until_more(self) -> float:
        try:
            return self.do_what_is_due()
        except HubError as error:
            # By the name of its subject, as its other lines are.
            logging.getLogger(type(self).__module__).warning("%s is put off: %s", self._what, error)
        except FAULTS as error:
            log_fault(f"{self._what} failed", error)
        return RETRY_AFTER

    def _pause(self) -> float:
        """A server was asked in vain: the seconds until it is asked again."""
        self._in_vain += 1
        return min(LONGEST_PAUSE, 2.0 ** min(self._in_vain - 1, 10))


def close_all(workers: Iterable[Worker], seconds: float) -> None:
    """End workers, waiting for them at most ``seconds`` in all."""
    workers = list(workers)
    end = time.monotonic() + seconds
    for one in workers:
        one.end()
    for one in workers:
        one.join(max(0.0, end - time.monotonic()))
