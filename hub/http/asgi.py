"""The hub as an ASGI application: what is ready at the same moment goes through it as one batch.

All check-ins are handled on the event loop's thread (measured: threads make this work several times
slower). While one batch is on its way to the disk the next requests arrive, and share the next one.
What may be slow (``Route.lane``) is answered on threads beside it (``hub.http.lanes``).

A large body may take a hundred times as long as a check-in, and a client that does not wait for its
answers may send without end. Both have a queue of their own, and a quarter of the time while there are
others.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Collection
from typing import Any

from hub.config.settings import Settings
from hub.domain.delivery import new_delivery_id
from hub.errors import RequestTimeout
from hub.http.app import Application
from hub.http.aside import Aside, Receive, Scope, Send, direct, send_response
from hub.http.batch import Request, Response, run
from hub.http.lanes import Lanes
from hub.http.protocol import LEAVE, PIPELINED
from hub.intake import answers
from hub.intake.request import DELIVERY_ID, HEADERS

_LARGEST_BATCH = 256
_MOST_BYTES = 1024 * 1024
"""Bytes of bodies in a batch: what they become in memory is many times as large."""

_LIGHT = 16 * 1024
"""Bytes of a body that is sure to be read fast."""

_REST = 3.0
"""How long the others have the thread to themselves after a heavy request, in times of what that took."""

_QUIET = 1.0
"""Seconds without any other request after which heavy ones need not leave them time."""

_MOST_LARGE = 2
"""Files over the limit of other bodies that are received at once."""

_MODEST_FOR = 32
_SHORTEST_WAIT, _LONGEST_WAIT = 0.0004, 0.002


_Waiting = tuple[Request, "asyncio.Future[Response]"]


class Adapter:
    """An ASGI application in front of the WSGI one.

    Its limits are those of the settings. ``connections``, if given, is the server's set of open ones.
    """

    def __init__(
        self, application: Application, settings: Settings, connections: Collection[object] = ()
    ) -> None:
        self._application = application
        self._body_limit = settings.body_limit
        self._import_limit = settings.import_limit
        files = (route.path for route in application.routes if route.takes_files)
        self._of_files = tuple({path.partition("<")[0] for path in files})
        self._large = 0
        self._timeout = settings.body_timeout
        self._connections = connections
        self.lanes = Lanes(application.routes)
        self.aside = Aside(application)
        self._expected = self._last = 1
        self._modest = 0
        self._patience = self._wait_until = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._heavy: deque[_Waiting] = deque()
        self._heavy_from = self._light_at = 0.0
        self._heavy_timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        loop = asyncio.get_running_loop()
        deadline = _Deadline(loop, self._timeout)
        limit = self._limit_of(environ)
        is_large = limit > self._body_limit and _may_be_larger(environ, self._body_limit)
        if is_large and self._large >= _MOST_LARGE:
            # Whoever sends files has them in the memory of the hub.
            deadline.cancel()
            await send_response(send, direct(answers.unavailable()))
            return
        self._large += is_large
        try:
            body = await self._body(environ, receive, limit)
        except asyncio.CancelledError:
            if deadline.has_passed:
                details = f"The body did not arrive within {self._timeout} seconds"
                late = answers.refusal(RequestTimeout("Request timeout", details))
            else:  # the server ends, and waits no longer
                late = answers.unavailable()
            await send_response(send, direct(late))
            return
        finally:
            self._large -= is_large
            deadline.cancel()
        if body is None:
            return
        # Ids are in the order in which deliveries are taken, not in that of their first bytes.
        environ[DELIVERY_ID] = new_delivery_id()
        request = Request(environ, body)
        lane = self.lanes.of(environ["PATH_INFO"])
        if lane is not None:
            leave = scope.get("state", {}).get(LEAVE) or _stay
            await self.aside.answer(lane, request, receive, send, leave)
            return
        answered: asyncio.Future[Response] = loop.create_future()
        is_light = len(body) <= _LIGHT and PIPELINED not in scope.get("state", ())
        if not is_light:
            self._heavy.append((request, answered))
            self._expect_heavy(loop)
        else:
            if not self._waiting:
                self._wait_until = time.perf_counter() + self._patience
                loop.call_soon(self._tick)
            self._waiting.append((request, answered))
        await send_response(send, await answered)

    def _limit_of(self, environ: dict[str, Any]) -> int:
        """The largest body of a request, in bytes."""
        takes_files = environ["PATH_INFO"].startswith(self._of_files)
        return max(self._body_limit, self._import_limit) if takes_files else self._body_limit

    async def _body(self, environ: dict[str, Any], receive: Receive, limit: int) -> bytes | None:
        """The body, or as much of it as shows that it is over the limit; None if the client left."""
        length = environ.get("CONTENT_LENGTH", "")
        if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limit):
            return b""  # refused by its length, unread
        parts: list[bytes] = []
        size = 0
        while size <= limit:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            part = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if not message.get("more_body"):
                break
        body = b"".join(parts)
        if "CONTENT_LENGTH" not in environ:
            environ["CONTENT_LENGTH"] = environ[HEADERS]["content-length"] = str(len(body))
        return body

    def _expect(self, served: int) -> None:
        """Set how many requests the next batch waits for, after a batch of ``served``.

        It waits for as many as came in this batch and in the one before it together: senders who take
        turns in two batches can share one. If fewer came than were waited for, it waits for some time
        only for as many as came in the last batch.
        """
        if served < self._expected:
            self._modest = _MODEST_FOR
        others = 0 if self._modest else self._last
        self._modest = max(0, self._modest - 1)
        senders = len(self._connections) - self.aside.streams.open
        most = min(max(senders, 0) or _LARGEST_BATCH, _LARGEST_BATCH)
        self._expected = min(served + others, most)
        self._last = served

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        started = self._light_at = time.perf_counter()
        if len(self._waiting) < self._expected and started < self._wait_until:
            loop.call_soon(self._tick)
            return
        batch = self._next_batch()
        if self._waiting:
            loop.call_soon(self._tick)
        self._answer(batch)
        self.aside.look_again(started)
        self._expect(len(batch))
        took = time.perf_counter() - started
        self._patience = min(max(_SHORTEST_WAIT, took / 8), _LONGEST_WAIT)

    def _expect_heavy(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the next heavy request answered when its time has come."""
        if self._heavy and self._heavy_timer is None:
            wait = max(0.0, self._heavy_from - time.perf_counter())
            self._heavy_timer = loop.call_later(wait, self._answer_heavy, loop)

    def _answer_heavy(self, loop: asyncio.AbstractEventLoop) -> None:
        self._heavy_timer = None
        started = time.perf_counter()
        try:
            self._answer([self._heavy.popleft()])
        finally:
            ended = time.perf_counter()
            if ended - self._light_at < _QUIET:
                self._heavy_from = ended + _REST * (ended - started)
            self._expect_heavy(loop)

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._waiting and len(batch) < _LARGEST_BATCH and size <= _MOST_BYTES:
            batch.append(self._waiting.popleft())
            size += len(batch[-1][0].body)
        return batch

    def _answer(self, batch: list[_Waiting]) -> None:
        self._application.serving.batch_sizes.add(len(batch))
        try:
            responses = run(self._application, [request for request, _ in batch])
        except BaseException as error:
            for _, answered in batch:
                if not answered.done():
                    answered.set_exception(error)
            raise
        for (_, answered), response in zip(batch, responses, strict=True):
            if not answered.done():
                answered.set_result(response)


def _stay() -> None:
    """A connection of a server that does not count them."""


def _may_be_larger(environ: dict[str, Any], limit: int) -> bool:
    """Whether a body may have more bytes than ``limit``: it says so, or does not say."""
    length = environ.get("CONTENT_LENGTH", "")
    return not length.isdigit() or len(length) > 15 or int(length) > limit


class _Deadline:
    """Cancels the task that made it after some seconds (``asyncio.timeout`` costs several times more)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._task = asyncio.current_task(loop)
        self._handle = loop.call_later(seconds, self._pass)
        self.has_passed = False

    def cancel(self) -> None:
        self._handle.cancel()

    def _pass(self) -> None:
        self.has_passed = True
        if self._task is not None:
            self._task.cancel()


def environ_of(scope: Scope) -> dict[str, Any]:
    """The WSGI environ (PEP 3333) of an ASGI scope, without its input."""
    server = scope.get("server") or ("localhost", 80)
    headers: dict[str, str] = {}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        HEADERS: headers,
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # in an environ it would be another header's double
        name, variable = _NAMES.get(raw_name) or _names(raw_name)
        value = raw_value.decode("latin-1")
        if name in headers:
            value = f"{headers[name]},{value}"
        environ[variable] = headers[name] = value
    return environ


_NAMES: dict[bytes, tuple[str, str]] = {}
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 500, 64
"""Names of headers that are remembered, and bytes of one: strangers send any number of any length."""


def _names(raw_name: bytes) -> tuple[str, str]:
    """A header's name in lower case, and that of its variable (PEP 3333)."""
    name = raw_name.decode("latin-1").lower()
    upper = name.upper().replace("-", "_")
    names = name, upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"
    if len(raw_name) <= _LONGEST_REMEMBERED and len(_NAMES) < _MOST_REMEMBERED:
        _NAMES[raw_name] = names
    return names
