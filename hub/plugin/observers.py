"""Observers: plugins that see committed deliveries, on a thread of their own, off the answer's way."""

import logging
import queue
import threading
import time

from hub.domain.delivery import CommittedDelivery
from hub.plugin.plugins import Plugins

_log = logging.getLogger(__name__)
_CAPACITY = 10_000


class Observers:
    """A bounded queue of committed deliveries and the one thread that shows them to the plugins.

    When the plugins are too slow for it, deliveries are dropped from the queue (they stay in the
    store), counted in ``dropped``, and the log says so.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._queue: queue.Queue[CommittedDelivery | None] = queue.Queue(_CAPACITY)
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self.dropped = 0

    def tell(self, delivery: CommittedDelivery) -> None:
        """Have the delivery shown soon. Never waits."""
        if not self._plugins.observed:
            return
        with self._starting:
            # Started late, so that a server may fork its workers after it made the hub.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="observers", daemon=True)
                self._thread.start()
        try:
            self._queue.put_nowait(delivery)
        except queue.Full:
            self.dropped += 1
            _log.warning("observers are too slow; delivery %s is not shown", delivery.delivery.id)

    def close(self, seconds: float) -> None:
        """Let the observers see what waits for them, for at most ``seconds``."""
        if self._thread is not None:
            end = time.monotonic() + seconds
            try:
                self._queue.put(None, timeout=seconds)
            except queue.Full:
                return
            self._thread.join(max(0, end - time.monotonic()))

    def _run(self) -> None:
        while (delivery := self._queue.get()) is not None:
            self._plugins.observe(delivery)
