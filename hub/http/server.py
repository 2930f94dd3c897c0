"""The HTTP server: uvicorn, with the hub's limits and its way of ending."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType

import uvicorn

from hub.api.serving import Serving
from hub.config.settings import Settings
from hub.errors import SettingError
from hub.http.app import Application
from hub.http.asgi import Adapter
from hub.http.connections import HEAD_TIMEOUT
from hub.http.protocol import configured
from hub.http.standby import Standby
from hub.http.streams import MOST
from hub.http.systemd import Notifier

ENDING = (signal.SIGTERM, signal.SIGINT)
"""The signals that end the server, with status 0."""

_BACKLOG = 2048
_GRACE = 0.7
"""Seconds after ``drain_timeout`` that the process may take to end."""

_NEWEST = 1.0
"""Seconds at the end for which a connection may have its first request on the way."""

_ACCEPTORS = 6
"""How often the event loop is given the listener. It takes one connection from each in a turn; under load
a turn is as long as a batch, so that a thousand new connections would wait for seconds.
"""

_OTHER_FILES = 100 + MOST
"""Open files beside the senders' connections, generously."""

_log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on ``host`` and ``port``. Raises SettingError where it cannot."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no host name"
        raise SettingError(f"host, port: cannot listen on {host}:{port}: {reason}") from None
    listener.set_inheritable(True)
    return listener


def serve(application: Application, settings: Settings, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; then refuse new requests, finish those in flight, for at most
    ``drain_timeout`` seconds, and return. After SIGTERM new requests are taken for the first
    ``drain_delay`` seconds of these, for whoever sends them to see ``/readyz`` first. Where a plugin
    hangs, and it cannot return, the process ends.
    """
    delay = min(settings.drain_delay, settings.drain_timeout / 2)
    newest = min(_NEWEST, (settings.drain_timeout - delay) / 4)
    _allow_files(settings.connection_limit + _OTHER_FILES)
    config = configured(
        settings,
        loop="none" if sys.platform == "win32" else "uvloop",
        backlog=_BACKLOG,
        timeout_keep_alive=HEAD_TIMEOUT,
        timeout_graceful_shutdown=settings.drain_timeout - delay - newest,
    )
    seconds = settings.drain_timeout + _GRACE
    server = _Server(config, seconds, delay, newest, application.serving)
    adapter = Adapter(application, settings, server.server_state.connections)
    adapter.aside.ending = lambda: server.should_exit
    server.end_streams = adapter.aside.streams.end
    config.app = adapter
    server.standby = Standby(application, adapter.lanes, listener, settings)
    application.serving.is_held_up = lambda: server.standby.is_needed
    application.serving.streams = lambda: adapter.aside.streams.open
    # For the moments before uvicorn has its own handlers, and after it, when it raises the signal
    # again: this hub ends by returning.
    for number in ENDING:
        signal.signal(number, server.handle_exit)
    server.standby.start()
    try:
        server.run(sockets=[listener, *(listener.dup() for _ in range(_ACCEPTORS - 1))])
    finally:
        server.standby.close()


class _Server(uvicorn.Server):
    """uvicorn, which tells the standby and systemd that it goes on, and ends in time whatever hangs: at
    most ``seconds`` after a signal. New requests are taken for ``delay`` seconds of these.
    """

    standby: Standby
    end_streams: Callable[[], None]

    def __init__(
        self,
        config: uvicorn.Config,
        seconds: float,
        delay: float,
        newest: float,
        serving: Serving,
    ) -> None:
        super().__init__(config)
        self._seconds = seconds
        self._delay = delay
        self._newest = newest
        self._serving = serving
        self._notifier = Notifier(os.environ)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called with a signal; in whatever the thread does just now. A second one does not wait."""
        if not self._serving.is_ending:
            self._serving.is_ending = True
            self._notifier.stopping()
            _after(self._seconds, _end)
            if sig == signal.SIGTERM and self._delay:
                _after(self._delay, self._take_no_more)
                return
        super().handle_exit(sig, frame)
        self.standby.close()  # the loop has no more ticks while it drains

    def _take_no_more(self) -> None:
        self.standby.close()
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, and say so."""
        await super().startup(sockets)
        self._notifier.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what would go on for ever, let those ask who have just connected, and end the rest."""
        self.end_streams()
        for listening in self.servers:
            listening.close()
        end = time.monotonic() + self._newest
        while time.monotonic() < end and self._has_new_ones():
            await asyncio.sleep(_NEWEST / 20)
        await super().shutdown(sockets)

    def _has_new_ones(self) -> bool:
        """Whether somebody has connected, and not asked yet: to close a connection is to lose what is
        on its way.
        """
        return any(getattr(one, "is_new", False) for one in self.server_state.connections)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        self.standby.beat()
        self._notifier.beat()
        return await super().on_tick(counter)


def _after(seconds: float, what: Callable[[], None]) -> None:
    """Have something done later, if the process still is there."""
    timer = threading.Timer(seconds, what)
    timer.daemon = True
    timer.start()


def _end() -> None:
    """End the process: something hangs, and Python cannot end a thread."""
    _log.error("something hangs; the hub ends without it")
    logging.shutdown()
    os._exit(0)


def _allow_files(wanted: int) -> None:
    """Have the system allow so many open files, if it may."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted and soft != resource.RLIM_INFINITY:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
