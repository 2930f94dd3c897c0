"""What is answered beside the check-ins: on the thread of a lane, at once, piece by piece, or later."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any

from hub.api.stream import MAY_STREAM
from hub.api.stream import Streams as Opens
from hub.api.waiting import AGAIN, FIRST, LAST, LOOK_EVERY, MAY_WAIT, NotYet
from hub.domain.delivery import new_delivery_id
from hub.errors import FAULTS
from hub.http.app import Application
from hub.http.batch import Request, Response, begin, response_of
from hub.http.lanes import Lane
from hub.http.streams import Streams
from hub.intake import answers
from hub.intake.answers import Answer
from hub.log import log_fault

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger(__name__)

_BUSY_FOR = 0.25
"""Seconds after a check-in for which a file leaves time to those that follow."""

_MANY = 20
"""Batches of check-ins in a second with which streams leave time to them."""

_REST = 9.0
"""How long a file rests after each piece while there are check-ins, in times of what that took."""

_SHORTEST_PAUSE = 0.2
"""Seconds between two looks of one who waits: what comes at the same time is told together."""


class Aside:
    """Answers requests on lanes. Files have a lane of their own, which each has for one piece at a time.

    ``ending`` says whether the server ends: who waits is answered then.
    """

    def __init__(self, application: Application) -> None:
        self.streams = Streams(self._is_loaded)
        self.ending: Callable[[], bool] = lambda: False
        self._application = application
        self._files = Lane("files")
        self._changed = asyncio.Event()
        self._waiting = 0
        self._checked_in_at = self._second = float("-inf")
        self._batches = self._batches_before = 0

    def look_again(self, now: float) -> None:
        """There were check-ins: whoever waits for a change looks again."""
        self._checked_in_at = now
        if now - self._second > 1:
            self._second, self._batches_before, self._batches = now, self._batches, 0
        self._batches += 1
        self.streams.stir()
        if self._waiting:
            self._changed.set()
            self._changed = asyncio.Event()

    def _is_busy(self) -> bool:
        return time.perf_counter() - self._checked_in_at < _BUSY_FOR

    def _is_loaded(self) -> bool:
        """Whether there are many check-ins just now: not those of one door alone."""
        return self._is_busy() and max(self._batches, self._batches_before) > _MANY

    async def answer(
        self,
        lane: Lane,
        request: Request,
        receive: Receive,
        send: Send,
        leave: Callable[[], None] = lambda: None,
    ) -> None:
        """Answer a request on its lane. ``leave`` is called where it becomes a stream: its connection is
        that of no sender any more.
        """
        try:
            with self.streams.promised() as may_stream:
                request.environ[MAY_STREAM] = may_stream
                response = await self._response(lane, request, receive)
        except Opens as opens:
            leave()
            gone = asyncio.ensure_future(receive())
            try:
                await self.streams.serve(opens.stream, gone, send)
            finally:
                gone.cancel()
            return
        except asyncio.CancelledError:  # the server ends, and waits no longer
            may_be = request.environ["REQUEST_METHOD"] == "POST"
            response = direct(answers.unavailable(may_be_recorded=may_be))
        if response is None:
            return
        if request.environ["REQUEST_METHOD"] == "POST":
            self.streams.stir()
        if response.rest is None:
            await send_response(send, response)
        else:
            await self._send_file(response, receive, send)

    async def _response(self, lane: Lane, request: Request, receive: Receive) -> Response | None:
        """The answer; None where the one who waited for it has left."""
        end: float | None = None
        asked = FIRST
        gone: asyncio.Future[Any] | None = None
        self._waiting += 1
        try:
            while True:
                request.environ[MAY_WAIT] = asked
                changed, looked_at = self._changed, time.monotonic()
                try:
                    response: Response = await lane.run(partial(self._begin, request))
                    return response
                except NotYet as not_yet:
                    end = looked_at + not_yet.seconds if end is None else end
                gone = gone or asyncio.ensure_future(receive())
                await self._pause(changed, gone, min(end - time.monotonic(), LOOK_EVERY))
                if gone.done():
                    return None
                is_over = self.ending() or time.monotonic() >= end
                asked = LAST if is_over else AGAIN
        finally:
            self._waiting -= 1
            if gone is not None:
                gone.cancel()

    def _begin(self, request: Request) -> Response:
        """Answer a request, on its lane's thread. At the end nobody begins to look."""
        environ = request.environ
        is_new = environ[MAY_WAIT] == FIRST and environ["REQUEST_METHOD"] == "GET"
        if is_new and self.ending():
            return direct(answers.unavailable())
        return begin(self._application, request)

    async def _pause(
        self, changed: asyncio.Event, gone: asyncio.Future[Any], seconds: float
    ) -> None:
        """Wait for a change, for one who waits to leave, or for the time to be over."""
        first = min(_SHORTEST_PAUSE, max(0.0, seconds))
        await asyncio.wait({gone}, timeout=first)
        waits = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait(
                {waits, gone},
                timeout=max(0.0, seconds - first),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waits.cancel()

    async def _send_file(self, response: Response, receive: Receive, send: Send) -> None:
        """Send a file, each piece once the one before it has been taken. While there are check-ins it
        rests between pieces. A reader that has left ends it, and so does a fault: the file then breaks
        off, as HTTP has it (no last chunk).
        """
        rest = response.rest
        assert rest is not None
        gone = asyncio.ensure_future(receive())
        await send(_start(response))
        try:
            while True:
                started = time.perf_counter()
                piece = await self._files.run(partial(next, rest, None))
                took = time.perf_counter() - started
                if piece is None or gone.done():
                    break
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                if self._is_busy():
                    await asyncio.sleep(took * _REST)
            await send({"type": "http.response.body", "body": b""})
        except asyncio.CancelledError:
            _log.warning("a file breaks off: the hub ends")
        except FAULTS as error:
            log_fault("a file breaks off", error)
        finally:
            gone.cancel()
            close = getattr(rest, "close", None)
            if close is not None:
                with suppress(*FAULTS):
                    close()


def direct(answer: Answer) -> Response:
    """An answer that the application has no part in; the connection is not used again."""
    response = response_of(answer, new_delivery_id())
    response.headers.append(("Connection", "close"))
    return response


async def send_response(send: Send, response: Response) -> None:
    """Send an answer that is whole."""
    await send(_start(response))
    await send({"type": "http.response.body", "body": response.body})


def _start(response: Response) -> dict[str, Any]:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    return {"type": "http.response.start", "status": response.status, "headers": headers}
