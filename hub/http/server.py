"""The HTTP server: uvicorn, with the hub's limits and its way of ending."""

import signal
import socket
import sys

import uvicorn

from hub.config.settings import Settings
from hub.errors import SettingError
from hub.http.app import Application
from hub.http.asgi import Adapter
from hub.http.protocol import Protocol

ENDING = (signal.SIGTERM, signal.SIGINT)
"""The signals that end the server, with status 0."""

_BACKLOG = 2048


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
    ``drain_timeout`` seconds, and return.
    """
    config = uvicorn.Config(
        app="",
        http=Protocol,
        loop="none" if sys.platform == "win32" else "uvloop",
        ws="none",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=settings.drain_timeout,
    )
    server = uvicorn.Server(config)
    config.app = Adapter(application, settings, server.server_state.connections)

    def end(*_: object) -> None:
        server.should_exit = True

    # For the moments before uvicorn has its own handlers, and after it, when it raises the signal
    # again: this hub ends by returning.
    for number in ENDING:
        signal.signal(number, end)
    server.run(sockets=[listener])
