"""The open connections of a server: how many there are, what they hold, and which are given up."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

HEAD_TIMEOUT = 20
"""Seconds that the head of a request may take to arrive, from the connection or the last answer on."""

WRITE_TIMEOUT = 20
"""Seconds that a client may take to read a part of its answer."""

_LOOK_EVERY = 1.0
_YOUNG = 1.0
"""Seconds for which a body is under way before its connection may be given up for another one."""

MOST_HELD = 32 * 1024 * 1024
"""Bytes of unfinished requests that all connections hold together."""

FREE_OF_EACH = 16 * 1024
"""Bytes that a connection may hold however much the others do, uncounted: check-ins are smaller."""


class Connection(Protocol):
    """What is asked of a connection."""

    def give_up(self) -> None:
        """Close it now; nobody is waiting for what it would do."""

    def look(self, now: float) -> None:
        """Give it up, if it has been waited for too long."""


class Connections:
    """Those of one server. They are its event loop's; times are in seconds (``time.monotonic``).

    Those that could make room for a new one are in three orders, the oldest first: the refused, which are
    still read for a moment; the idle; and those that wait for the rest of a body.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Connection] = set()
        self._refused: dict[Connection, None] = {}
        self._idle: dict[Connection, float] = {}
        self._receiving: dict[Connection, float] = {}
        self._following: set[Connection] = set()
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None

    def admit(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether there is room for a new one; the one that has idled longest makes room, if any does."""
        self._open.add(connection)
        if self._timer is None:
            self._timer = loop.call_later(_LOOK_EVERY, self._look, loop)
        if len(self._open) - len(self._following) <= self._most:
            return True
        victim = next(iter(self._refused), None) or next(iter(self._idle), None)
        if victim is None:
            victim, since = next(iter(self._receiving.items()), (None, 0.0))
            if victim is None or time.monotonic() - since < _YOUNG:
                return False
        self.leave(victim)
        victim.give_up()
        return True

    def leave(self, connection: Connection) -> None:
        """It is closed, or is about to be."""
        self._open.discard(connection)
        self._following.discard(connection)
        self._refused.pop(connection, None)
        self.serve(connection)

    def expect_head(self, connection: Connection) -> None:
        """It waits for the head of a request, which it has not done until now."""
        self._idle[connection] = time.monotonic()

    def expect_body(self, connection: Connection) -> None:
        """It waits for the rest of a body."""
        self._idle.pop(connection, None)
        self._receiving.setdefault(connection, time.monotonic())

    def refuse(self, connection: Connection) -> None:
        """It was refused, and is read on for a moment."""
        self.serve(connection)
        self._refused[connection] = None

    def serve(self, connection: Connection) -> None:
        """It waits for the hub."""
        self._idle.pop(connection, None)
        self._receiving.pop(connection, None)

    def follow(self, connection: Connection) -> None:
        """It follows a stream: it is no sender, and takes no place of one."""
        self.serve(connection)
        self._following.add(connection)

    def hold(self, size: int) -> bool:
        """Whether a connection may hold so many bytes beyond what is free; then it does."""
        if self._held + size > MOST_HELD:
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """So many bytes are held no more."""
        self._held -= size

    def idle_since(self, connection: Connection) -> float | None:
        """Since when it waits for a head; None if it does not."""
        return self._idle.get(connection)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = time.monotonic()
        for connection in list(self._open):
            connection.look(now)
        if self._open:
            self._timer = loop.call_later(_LOOK_EVERY, self._look, loop)
