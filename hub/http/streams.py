"""Streams: parts of pages, sent again when they are others. Who reads the same shares the work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from hub.api.stream import TYPE, Stream, event
from hub.errors import FAULTS
from hub.http.lanes import Lane
from hub.log import log_fault

MOST = 200
"""Streams that are open at once. They are no senders, and do not count against the limit of those."""

LANE = "live"
_PAUSE = 0.2
"""Seconds between two looks: what comes at the same time is told together."""

_REST = 80.0
"""How long is rested after a look while there are check-ins, in times of what it took."""

_LONGEST_REST = 10.0
_LOOK_EVERY = 1.0
"""Seconds after which it is looked again: another hub, or another thread, may have written."""

_SILENT_FOR = 15.0
"""Seconds after which a stream without news is sent a comment, so that nobody takes it for dead."""


class Streams:
    """The open streams of a server. All is the event loop's. ``is_busy`` says whether there are check-ins
    just now.
    """

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        self._is_busy = is_busy
        self._lane = Lane(LANE)
        self._groups: dict[str, _Group] = {}
        self._ending = False
        self.open = 0
        self._promised = 0

    @contextmanager
    def promised(self) -> Iterator[bool]:
        """Whether there is a place for one more, which is kept in the block."""
        has_place = not self._ending and self.open + self._promised < MOST
        self._promised += has_place
        try:
            yield has_place
        finally:
            self._promised -= has_place

    def stir(self) -> None:
        """Something may be new."""
        for group in self._groups.values():
            group.news.set()

    def end(self) -> None:
        """End them all: the server ends."""
        self._ending = True
        for group in self._groups.values():
            for reader in group.readers:
                reader.close()

    async def serve(
        self, stream: Stream, gone: asyncio.Future[Any], send: Callable[[Any], Any]
    ) -> None:
        """Send a stream until its reader has ``gone``, may read no more, or the server ends."""
        reader = _Reader(stream.is_open)
        group = self._groups.get(stream.key)
        if group is None:
            group = self._groups[stream.key] = _Group(stream)
            group.task = asyncio.ensure_future(self._look(group))
        group.readers.add(reader)
        self.open += 1
        gone.add_done_callback(lambda _: reader.close())
        try:
            await send(_START)
            reader.give(group.text)
            while True:
                piece = await reader.next(_SILENT_FOR)
                if reader.is_closed:
                    break
                body = b":\n\n" if piece is None else piece
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self.open -= 1
            group.readers.discard(reader)
            if not group.readers:
                self._forget(group)
                if group.task is not None:
                    group.task.cancel()

    def _forget(self, group: _Group) -> None:
        """Whoever comes now begins anew."""
        if self._groups.get(group.stream.key) is group:
            del self._groups[group.stream.key]

    async def _look(self, group: _Group) -> None:
        """Look what is new, for as long as anybody reads it."""
        while True:
            started = time.perf_counter()
            try:
                await self._lane.run(partial(group.look, tuple(group.readers)))
            except FAULTS as error:
                log_fault("a stream failed", error)
                self._forget(group)
                for reader in group.readers:
                    reader.close()
                return
            took = time.perf_counter() - started
            group.tell()
            await asyncio.sleep(_PAUSE)
            if self._is_busy():
                await asyncio.sleep(min(took * _REST, _LONGEST_REST))
            try:
                async with asyncio.timeout(_LOOK_EVERY):
                    await group.news.wait()
            except TimeoutError:
                pass
            group.news.clear()


class _Group:
    """Those who read the same."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.news = asyncio.Event()
        self._version, text = stream.told
        self.text = self._told = event(text)
        self.readers: set[_Reader] = set()
        self.task: asyncio.Task[None] | None = None

    def look(self, readers: Sequence[_Reader]) -> None:
        """What is new, and which of the readers may read no more; on the lane's thread."""
        told = self.stream.look(self._version)
        if told is not None:
            self._version, text = told
            self.text = event(text)
        for reader in readers:
            reader.is_barred = not reader.is_open()

    def tell(self) -> None:
        """Tell the readers what was found."""
        is_new = self.text != self._told
        self._told = self.text
        for reader in self.readers:
            if reader.is_barred:
                reader.close()
            elif is_new:
                reader.give(self.text)


class _Reader:
    """What one reader has still to be sent: the newest text alone."""

    def __init__(self, is_open: Callable[[], bool]) -> None:
        self.is_open = is_open
        self.is_barred = False
        self._text: bytes | None = None
        self._woken = asyncio.Event()
        self.is_closed = False

    def give(self, text: bytes) -> None:
        self._text = text
        self._woken.set()

    def close(self) -> None:
        self.is_closed = True
        self._woken.set()

    async def next(self, seconds: float) -> bytes | None:
        """The text to send; None where there is none for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return None
        self._woken.clear()
        text, self._text = self._text, None
        return text


_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-type", TYPE.encode()),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
    ],
}
