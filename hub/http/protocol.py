"""uvicorn's HTTP protocols with three things mended: idle and slow connections end, requests that offer
an upgrade keep their body, and malformed ones are answered in JSON.

httptools takes what follows the head of a request with ``Upgrade`` for another protocol, body or not
(uvicorn #2722), though a server may ignore the offer (RFC 9110, 7.8). Java's own client makes it with
each new connection. Such a connection goes to uvicorn's h11 protocol, which reads it right.
"""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT = 20
"""Seconds that the head of a request may take to arrive, from the connection or the last answer on."""

_MALFORMED = json.dumps(
    {"error": "Bad request", "details": "The request is not well-formed HTTP/1.1"}
).encode()


def _send_malformed(transport: asyncio.Transport) -> None:
    head = (
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
        f"content-length: {len(_MALFORMED)}\r\nconnection: close\r\n\r\n"
    )
    transport.write(head.encode() + _MALFORMED)
    transport.close()


class _OfferedUpgrade(H11Protocol):
    """For a connection whose client offers to upgrade it."""

    def send_400_response(self, msg: str) -> None:
        _send_malformed(self.transport)

    def _unsupported_upgrade_warning(self) -> None:
        """An offer that is not taken is nothing to warn of."""


class Protocol(HttpToolsProtocol):
    """For every other connection."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        between_requests = self.cycle is None or (
            self.cycle.response_complete and not self.cycle.more_body
        )
        if between_requests and b"\r\nupgrade:" in data.lower():
            self._hand_over(data)
        else:
            super().data_received(data)

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline and not self.transport.is_closing():
            self._expect_head()

    def send_400_response(self, msg: str) -> None:
        _send_malformed(self.transport)

    def _unsupported_upgrade_warning(self) -> None:
        # The offer came in pieces, so it was not handed over. What follows is no request of its own.
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _hand_over(self, data: bytes) -> None:
        self._head_arrived()
        self._unset_keepalive_if_required()
        self.connections.discard(self)
        other = _OfferedUpgrade(self.config, self.server_state, self.app_state, self.loop)
        other.connection_made(self.transport)
        self.transport.set_protocol(other)
        other.data_received(data)

    def _expect_head(self) -> None:
        self._head_arrived()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self._head_is_late)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        self.transport.close()
