"""Lanes: the threads on which routes are answered beside the check-ins, one a lane."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from hub.api.route import Route


class Lane:
    """A thread that does one thing after the other. The process does not wait for it at its end: what it
    does may hang.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    async def run(self, job: Callable[[], Any]) -> Any:
        """What ``job`` returns, or raises, on the lane's thread."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def settle(result: Any, error: BaseException | None) -> None:
            if not done.done():
                done.set_result(result) if error is None else done.set_exception(error)

        def work() -> None:
            result, error = None, None
            if not done.cancelled():
                try:
                    result = job()
                except BaseException as raised:
                    error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle, result, error)

        self._jobs.put(work)
        self._start()
        return await done

    def _start(self) -> None:
        with self._starting:
            # Started late: a server may fork after it has made the application.
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._jobs.get()()


class Lanes:
    """The lanes of an application's routes, by path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        lanes: dict[str, Lane] = {}
        self._paths: dict[str, Lane] = {}
        self._folders: dict[str, Lane] = {}
        for route in routes:
            if route.lane:
                lane = lanes.setdefault(route.lane, Lane(route.lane))
                folder, has_parts, _ = route.path.partition("<")
                self._paths |= {route.path: lane, f"{route.path}/": lane}
                if has_parts:
                    self._folders[folder] = lane

    def of(self, path: str) -> Lane | None:
        """The lane on which a path is answered; None for the thread of the check-ins."""
        lane = self._paths.get(path)
        if lane is not None:
            return lane
        for name, own in self._folders.items():
            if path.startswith(name):
                return own
        return None
