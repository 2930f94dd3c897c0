"""Observers: plugins that see committed deliveries, each on a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from hub.domain.delivery import CommittedDelivery
from hub.errors import FAULTS
from hub.log import log_fault
from hub.plugin.hooks import Hooks

_log = logging.getLogger(__name__)

CAPACITY = 10_000
"""Deliveries that may wait for one observer."""

MOST_BYTES = 16 * 1024 * 1024
"""Bytes of bodies that may wait for one observer."""

TIME_LIMIT = 10.0
"""Seconds an observer may be busy with one delivery before it is shown the next ones elsewhere."""

_MOST_HANGING = 3
_LOOK_EVERY = 1.0


class Observers:
    """A bounded queue and a thread for each plugin that observes, and one thread that watches these."""

    def __init__(self, hooks: Hooks) -> None:
        self._observers = [_Observer(hooks, plugin) for plugin in hooks.observers()]
        self._starting = threading.Lock()
        self._watched = False
        self._ending = threading.Event()

    def tell(self, delivery: CommittedDelivery) -> None:
        """Have the delivery shown soon. Never waits."""
        if not self._observers:
            return
        if not self._watched:
            self._watch()
        for observer in self._observers:
            observer.tell(delivery)

    def counters(self) -> Mapping[str, Mapping[str, int]]:
        """By plugin: how many deliveries it has seen, failed on, taken too long for, was not shown, and
        how many wait for it.
        """
        return {observer.plugin: observer.counters() for observer in self._observers}

    def close(self, seconds: float) -> None:
        """Let the observers see what waits for them, for at most ``seconds`` in all."""
        self._ending.set()
        end = time.monotonic() + seconds
        for observer in self._observers:
            observer.end()
        for observer in self._observers:
            observer.join(max(0.0, end - time.monotonic()))

    def _watch(self) -> None:
        with self._starting:
            # Started late, so that a server may fork its workers after it made the hub.
            if not self._watched:
                threading.Thread(target=self._look, name="observers", daemon=True).start()
                self._watched = True

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            for observer in self._observers:
                observer.look()


class _Observer:
    """One plugin's queue, the thread that shows it what is there, and what came of it.

    Python cannot end a thread. One that hangs is left alone, and another takes over its queue; when too
    many hang, deliveries are dropped until one comes back.
    """

    def __init__(self, hooks: Hooks, plugin: str) -> None:
        self._hooks = hooks
        self.plugin = plugin
        self._queue: queue.Queue[CommittedDelivery | None] = queue.Queue(CAPACITY)
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("seen", "failed", "timed_out", "dropped"), 0)
        self._bytes = 0
        self._worker: _Worker | None = None
        self._hanging: list[_Worker] = []

    def tell(self, delivery: CommittedDelivery) -> None:
        with self._lock:
            if self._worker is None and not self._is_given_up():
                self._start()
            size = len(delivery.delivery.body)
            is_full = self._worker is None or self._bytes + size > MOST_BYTES
            self._bytes += 0 if is_full else size
        try:
            if is_full:
                raise queue.Full
            self._put(delivery, size)
        except queue.Full:
            self.count("dropped")
            _log.warning(
                "plugin %s observes too slowly; delivery %s is not shown to it",
                self.plugin,
                delivery.delivery.id,
            )

    def show(self, delivery: CommittedDelivery) -> None:
        """Show a delivery to the plugin; what it raises is logged with its name."""
        try:
            self._hooks.show_committed(self.plugin, delivery)
        except FAULTS as error:
            self.count("failed")
            what = f"delivery_committed failed for delivery {delivery.delivery.id}"
            log_fault(f"plugin {self.plugin}: {what}", error)
        self.count("seen")

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def counters(self) -> dict[str, int]:
        with self._lock:
            return {**self._counts, "waiting": self._queue.qsize()}

    def look(self) -> None:
        """Abandon a thread that hangs, and start another."""
        with self._lock:
            worker = self._worker
            delivery = worker.hangs_on() if worker is not None else None
            if worker is None or delivery is None:
                return
            self._counts["timed_out"] += 1
            worker.is_left = True
            self._hanging = [one for one in self._hanging if one.is_alive()] + [worker]
            self._worker = None
            if not self._is_given_up():
                self._start()
        _log.warning(
            "plugin %s: delivery_committed takes longer than %.0f s for delivery %s",
            self.plugin,
            TIME_LIMIT,
            delivery,
        )

    def end(self) -> None:
        with self._lock:
            if self._worker is None:
                return
        with suppress(queue.Full):  # it is too slow to see all of it in time anyway
            self._queue.put_nowait(None)

    def join(self, seconds: float) -> None:
        worker = self._worker
        if worker is not None:
            worker.join(seconds)

    def take(self) -> CommittedDelivery | None:
        delivery = self._queue.get()
        if delivery is not None:
            with self._lock:
                self._bytes -= len(delivery.delivery.body)
        return delivery

    def _put(self, delivery: CommittedDelivery, size: int) -> None:
        try:
            self._queue.put_nowait(delivery)
        except queue.Full:
            with self._lock:
                self._bytes -= size
            raise

    def _is_given_up(self) -> bool:
        return sum(one.is_alive() for one in self._hanging) >= _MOST_HANGING

    def _start(self) -> None:
        self._worker = _Worker(self)
        self._worker.start()


class _Worker(threading.Thread):
    """Shows an observer what is in its queue, until it is told to end, or is left for hanging."""

    def __init__(self, observer: _Observer) -> None:
        super().__init__(name=f"observer {observer.plugin}", daemon=True)
        self._observer = observer
        self._busy: tuple[float, str] | None = None
        self.is_left = False

    def hangs_on(self) -> str | None:
        """The delivery that it has been busy with for longer than the limit."""
        busy = self._busy
        if busy is None or time.monotonic() - busy[0] < TIME_LIMIT:
            return None
        return busy[1]

    def run(self) -> None:
        while not self.is_left and (delivery := self._observer.take()) is not None:
            self._busy = time.monotonic(), delivery.delivery.id
            self._observer.show(delivery)
            self._busy = None
