"""uvicorn's HTTP protocol behind a gate: it is given one whole, measured message at a time.

What comes before it (``hub.http.framing``) refuses what could be read in two ways. What is around it
(``hub.http.connections``) bounds what all connections hold, and gives up those that neither read nor
write.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from hub.config.settings import Settings
from hub.http.connections import FREE_OF_EACH, HEAD_TIMEOUT, WRITE_TIMEOUT, Connections
from hub.http.framing import Framing, Malformed
from hub.intake.answers import RETRY_AFTER

PIPELINED = "hub.pipelined"
"""The name in a scope's state under which a request came that did not wait for the answer before."""

LEAVE = "hub.leave"
"""The name in a scope's state of what is called when the connection is that of no sender any more."""

_FLUSH_TIMEOUT = 3.0
_MOST_DISCARDED = 16 * 1024 * 1024
"""Bytes of a body that are read on after its request was answered, for the client to see the answer."""

_LINGER = 1.0
_MOST_LINGERED = 256 * 1024
"""Seconds, and bytes, for which a connection is read on after a refusal."""

_WRITE_BUFFER = 16 * 1024

_FULL = (
    "503 Service Unavailable",
    "Temporarily unavailable",
    "Nothing was recorded; send the same delivery again",
)


def configured(settings: Settings, **own: Any) -> Config:
    """A server's configuration: this protocol, the hub's limits, and what is the server's ``own``;
    nothing of uvicorn's that the hub does itself.
    """
    protocol = partial(
        Protocol,
        all_connections=Connections(settings.connection_limit),
        largest_body=max(settings.body_limit, settings.import_limit),
    )
    return Config(
        app="",
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        **own,
    )


class Protocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        all_connections: Connections,
        largest_body: int,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._all = all_connections
        self._framing = Framing(largest_body)
        self._rest = b""
        self._size = self._held = 0
        self._is_received = self._is_pipelined = False
        self._writes_since: float | None = None
        self._closes_since: float | None = None
        self._closes_in = _FLUSH_TIMEOUT
        self._lingers = _MOST_LINGERED
        self._discards_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=_WRITE_BUFFER)
        if self._all.admit(self, self.loop):
            self._all.expect_head(self)
        else:
            self._refuse(*_FULL)

    @property
    def is_new(self) -> bool:
        """Whether it has not asked for anything yet."""
        cycle: object = self.cycle
        return cycle is None and self._closes_since is None

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.leave(self)
        self._release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._closes_since is not None or self.transport.is_closing():
            self._linger(len(data))
            return
        if self._is_received or self._rest:
            # The next request, while this one is being answered: it waits for its turn.
            self._size += len(data)
            if self._hold():
                self._rest += data
                self.flow.pause_reading()
            return
        self._take(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][LEAVE] = self._leave
        if self._is_pipelined:
            self.scope["state"][PIPELINED] = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._closes_since = time.monotonic()
        elif self._is_received:
            self._next()
        else:
            # It was answered before its end, which has still to come.
            self._discards_since = time.monotonic()
            self._release()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._writes_since = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._writes_since = None

    def send_400_response(self, msg: str) -> None:
        self._refuse("400 Bad Request", "Bad request", "The request is not well-formed HTTP/1.1")

    def give_up(self) -> None:
        """See ``Connections``."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self._close()

    def look(self, now: float) -> None:
        """See ``Connections``."""
        if self._closes_since is not None:
            if now - self._closes_since > self._closes_in:
                self.transport.abort()
            return
        idle = self._all.idle_since(self)
        if self._writes_since is not None and now - self._writes_since > WRITE_TIMEOUT:
            self.transport.abort()
        elif any(
            since is not None and now - since > HEAD_TIMEOUT
            for since in (idle, self._discards_since)
        ):
            self._close()

    def _take(self, data: bytes) -> None:
        """Give the parser what is of the message that is being read."""
        try:
            forward, rest, has_ended = self._framing.take(data)
        except Malformed as malformed:
            self._refuse(malformed.status, malformed.error, malformed.details)
            return
        self._size += len(data)
        if self._size > FREE_OF_EACH and not self._hold():
            return
        if has_ended:
            self._is_received = True
            self._all.serve(self)
            if rest:
                self._rest = rest
                self.flow.pause_reading()
        elif not self._framing.in_head:
            self._all.expect_body(self)
        if forward:
            super().data_received(forward)
        if has_ended and self.cycle is not None and self.cycle.response_complete:
            # It was answered before its end.
            self._next()

    def _next(self) -> None:
        """The message is read, and answered: go on with the one that follows."""
        self._is_received = False
        self._discards_since = None
        self._release()
        self._all.expect_head(self)
        self._is_pipelined = bool(self._rest.strip(b"\r\n"))
        if self._rest:
            # In a turn of its own: a client that sends many does not keep the others waiting.
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        rest, self._rest = self._rest, b""
        if rest and self._closes_since is None and not self.transport.is_closing():
            self._take(rest)
            if not self._is_received:
                self.flow.resume_reading()

    def _hold(self) -> bool:
        """Account for the bytes that came; refuse them if there are too many."""
        if self._discards_since is not None:
            if self._size <= _MOST_DISCARDED:
                return True
            self._close()
            return False
        if self._size <= FREE_OF_EACH:
            return True
        if self._all.hold(self._size - self._held):
            self._held = self._size
            return True
        self._refuse(*_FULL)
        return False

    def _release(self) -> None:
        if self._held:
            self._all.release(self._held)
        self._held = self._size = 0

    def _leave(self) -> None:
        """It is a stream from now on, and closed after it."""
        self.cycle.keep_alive = False
        self._all.follow(self)

    def _close(self) -> None:
        if self._closes_since is None:
            self._closes_since = time.monotonic()
        self.transport.close()

    def _linger(self, size: int) -> None:
        """Read on for a moment, after a refusal: to close a connection with something unread is to reset
        it, and the client would not see why.
        """
        self._lingers -= size
        if self._lingers < 0:
            self.transport.abort()

    def _refuse(self, status: str, error: str, details: str) -> None:
        """Answer what is no request of the application's, and close the connection."""
        if self._closes_since is not None or self.transport.is_closing():
            return
        is_answered = self.cycle is None or self.cycle.response_complete
        if not is_answered and (self.cycle.response_started or self._is_received):
            # The answer to the request before comes first, and is the last.
            self.cycle.keep_alive = False
            self._rest = b""
            self._all.serve(self)
            return
        self._all.refuse(self)
        body = json.dumps({"error": error, "details": details}).encode()
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n"
        )
        if status.startswith("503"):
            head += f"retry-after: {RETRY_AFTER}\r\n"
        self.transport.write(f"{head}\r\n".encode() + body)
        self._closes_since = time.monotonic()
        self._closes_in = _LINGER
        self._lingers = _MOST_DISCARDED if status.startswith("413") else _MOST_LINGERED
        self._release()
        self._rest = b""
        self.transport.write_eof()
        self.flow.resume_reading()
