"""The hub as an ASGI application: what is ready at the same moment goes through it as one batch.

All check-ins are handled on the event loop's thread (measured: threads make this work several times
slower). While one batch is on its way to the disk the next requests arrive, and share the next one.
The API of the kept deliveries, which may be slow, has a thread of its own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from hub import answers
from hub.answers import Answer
from hub.domain.delivery import new_delivery_id
from hub.errors import RequestTimeout
from hub.http import admin
from hub.http.app import Hub
from hub.http.batch import Request, Response, run
from hub.pipeline import DELIVERY_ID

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LARGEST_BATCH = 256


class Adapter:
    """An ASGI application in front of a hub.

    ``connections``, if given, is the server's set of open ones: beyond the configured limit, requests
    are answered 503 and their connection is closed.
    """

    def __init__(self, hub: Hub, connections: Collection[object] = ()) -> None:
        self._hub = hub
        self._limit = hub.settings.body_limit
        self._timeout = hub.settings.body_timeout
        self._connections = connections
        self._aside = ThreadPoolExecutor(1, "deliveries")
        self._waiting: list[tuple[Request, asyncio.Future[Response]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if len(self._connections) > self._hub.settings.connection_limit:
            await _send(send, _direct(answers.unavailable()))
            return
        environ = _environ(scope)
        try:
            async with asyncio.timeout(self._timeout):
                body = await self._body(environ, receive)
        except TimeoutError:
            details = f"The body did not arrive within {self._timeout} seconds"
            late = RequestTimeout("Request timeout", details)
            await _send(send, _direct(answers.refusal(late)))
            return
        except asyncio.CancelledError:  # the server ends, and waits no longer
            await _send(send, _direct(answers.unavailable()))
            return
        if body is None:
            return
        # Ids are in the order in which deliveries are taken, not in that of their first bytes.
        environ[DELIVERY_ID] = new_delivery_id()
        loop = asyncio.get_running_loop()
        if environ["PATH_INFO"].startswith(admin.PATH):
            request = Request(environ, body)
            (response,) = await loop.run_in_executor(self._aside, run, self._hub, [request])
            await _send(send, response)
            return
        if not self._waiting:
            loop.call_soon(self._tick)
        answered: asyncio.Future[Response] = loop.create_future()
        self._waiting.append((Request(environ, body), answered))
        await _send(send, await answered)

    async def _body(self, environ: dict[str, Any], receive: Receive) -> bytes | None:
        """The body, or as much of it as shows that it is over the limit; None if the client left."""
        length = environ.get("CONTENT_LENGTH", "")
        if (
            length.isascii()
            and length.isdigit()
            and (len(length) > 15 or int(length) > self._limit)
        ):
            return b""  # refused by its length, unread
        parts: list[bytes] = []
        size = 0
        while size <= self._limit:
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
            environ["CONTENT_LENGTH"] = str(len(body))
        return body

    def _tick(self) -> None:
        batch = self._waiting[:_LARGEST_BATCH]
        self._waiting = self._waiting[_LARGEST_BATCH:]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._tick)
        try:
            responses = run(self._hub, [request for request, _ in batch])
        except BaseException as error:
            for _, answered in batch:
                if not answered.done():
                    answered.set_exception(error)
            raise
        for (_, answered), response in zip(batch, responses, strict=True):
            if not answered.done():
                answered.set_result(response)


def _environ(scope: Scope) -> dict[str, Any]:
    """The WSGI environ (PEP 3333) of an ASGI scope, without its input."""
    server = scope.get("server") or ("localhost", 80)
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
    }
    for raw_name, raw_value in scope["headers"]:
        if b"_" in raw_name:
            continue  # in an environ it would be another header's double
        name = _variable(raw_name)
        value = raw_value.decode("latin-1")
        environ[name] = f"{environ[name]},{value}" if name in environ else value
    return environ


_VARIABLES: dict[bytes, str] = {}


def _variable(raw_name: bytes) -> str:
    name = _VARIABLES.get(raw_name)
    if name is None:
        upper = raw_name.decode("latin-1").upper().replace("-", "_")
        name = upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{upper}"
        if len(_VARIABLES) < 1024:
            _VARIABLES[raw_name] = name
    return name


def _direct(answer: Answer) -> Response:
    """An answer that the application has no part in; the connection is not used again."""
    headers = [
        ("content-type", "application/json"),
        ("connection", "close"),
        ("x-delivery-id", new_delivery_id()),
    ]
    headers += list(answer.headers.items())
    body = answer.body.encode()
    return Response(answer.status, [*headers, ("content-length", str(len(body)))], body)


async def _send(send: Send, response: Response) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
