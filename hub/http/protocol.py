"""uvicorn's HTTP protocols with three things mended: idle and slow connections end, requests that offer
an upgrade keep their body, and malformed ones are answered in JSON.

httptools takes what follows the head of a request with ``Upgrade`` for another protocol, body or not
(uvicorn #2722), though a server may ignore the offer (RFC 9110, 7.8). Java's own client makes it with
each new connection. So a head is looked at when it is whole, and the connection of one that makes the
offer goes to uvicorn's h11 protocol, which reads it right.
"""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 20
"""Seconds that the head of a request may take to arrive, from the connection or the last answer on."""

_LARGEST_HEAD = 65_536
_END_OF_HEAD = b"\r\n\r\n"

_MALFORMED = ("400 Bad Request", "Bad request", "The request is not well-formed HTTP/1.1")
_TOO_LONG = (
    "431 Request Header Fields Too Large",
    "Request head too large",
    f"The request line and the headers have at most {_LARGEST_HEAD} bytes",
)


class _HeadTimer:
    """Closes a connection on which a head was expected for too long.

    The loop's timer is left running while no head is expected: to stop it and to start another for each
    request would cost more than to look, every now and then, whether time is up.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._since: float | None = None
        self._handle: asyncio.TimerHandle | None = None

    def expect(self) -> None:
        """From now on, unless a head is expected already."""
        if self._since is None:
            self._since = self._loop.time()
            if self._handle is None:
                self._handle = self._loop.call_later(HEAD_TIMEOUT, self._look)

    def stop(self) -> None:
        """The head has arrived."""
        self._since = None

    def end(self) -> None:
        """No head will arrive."""
        if self._handle is not None:
            self._handle.cancel()

    def _look(self) -> None:
        self._handle = None
        if self._since is None:
            return
        left = self._since + HEAD_TIMEOUT - self._loop.time()
        if left > 0:
            self._handle = self._loop.call_later(left, self._look)
        else:
            self._transport.close()


def _refuse(transport: asyncio.Transport, why: tuple[str, str, str]) -> None:
    """Answer what is no request of the application's, and close the connection."""
    status, error, details = why
    body = json.dumps({"error": error, "details": details}).encode()
    head = (
        f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    transport.write(head.encode() + body)
    transport.close()


class _OfferedUpgrade(H11Protocol):
    """For a connection whose client offers to upgrade it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = _HeadTimer(self.loop, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        _refuse(self.transport, _MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        """An offer that is not taken is nothing to warn of."""

    def _watch(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._timer.expect()
        else:
            self._timer.stop()


class Protocol(HttpToolsProtocol):
    """For every other connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = _HeadTimer(self.loop, transport)
        self._timer.expect()
        self._head = b""
        self._in_message = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_message:
            super().data_received(data)
            return
        data = self._head + data
        end = data.find(_END_OF_HEAD)
        if end < 0 and _is_text(data):
            self._unset_keepalive_if_required()
            self._timer.expect()
            self._head = data
            if len(data) > _LARGEST_HEAD:
                _refuse(self.transport, _TOO_LONG)
            return
        self._head = b""
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and b"\r\nupgrade:" in data[:end].lower():
            self._hand_over(data)
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_message = True
        self._timer.expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._timer.stop()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Also where it came before the end of the body, which is then given as long as a head.
        if self.cycle.response_complete:
            self._timer.expect()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # The answer to the request before comes first, and is the last.
            self.cycle.keep_alive = False
        else:
            _refuse(self.transport, _MALFORMED)

    def _unsupported_upgrade_warning(self) -> None:
        # Behind another request, so it was seen too late. What follows is no request of its own.
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _hand_over(self, data: bytes) -> None:
        self._timer.end()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = _OfferedUpgrade(self.config, self.server_state, self.app_state, self.loop)
        other.connection_made(self.transport)
        self.transport.set_protocol(other)
        other.data_received(data)


def _is_text(head: bytes) -> bool:
    """Whether this may become a head: it begins with a method, or has not begun."""
    return head[:1].isalpha() or not head.strip()
