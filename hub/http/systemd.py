"""What systemd and a service tell each other: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from hub.errors import SettingError

_FIRST = 3
"""The number of the first file that a service is given."""


class Notifier:
    """Tells a service's manager how it is, where there is one. Never raises: a hub goes on without."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._every = _watched(environment)
        self._told = float("-inf")

    def ready(self) -> None:
        """It takes connections."""
        self._tell("READY=1")

    def stopping(self) -> None:
        """It ends."""
        self._tell("STOPPING=1")

    def beat(self) -> None:
        """It goes on. May be called often."""
        if self._every is not None and time.monotonic() - self._told >= self._every:
            self._told = time.monotonic()
            self._tell("WATCHDOG=1")

    def _tell(self, what: str) -> None:
        if self._address and hasattr(socket, "AF_UNIX"):
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto(what.encode(), self._address)


def _watched(environment: Mapping[str, str]) -> float | None:
    """Seconds after which to say again that it goes on, a third of those after which it is taken for
    dead; None if nobody listens.
    """
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        return int(environment.get("WATCHDOG_USEC", "")) / 3e6
    except ValueError:
        return None


def inherited(environment: Mapping[str, str]) -> socket.socket | None:
    """The socket that a unit of the type ``socket`` listens on, and gives its service; None if there is
    none. Raises SettingError for anything else that it may give.
    """
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    if environment.get("LISTEN_FDS") != "1":
        raise SettingError("The socket unit has several sockets; give the hub one ListenStream")
    listener = socket.socket(fileno=_FIRST)
    is_stream = listener.type == socket.SOCK_STREAM
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or not is_stream:
        raise SettingError("The socket unit must listen on an address and a port (ListenStream)")
    listener.setblocking(True)
    os.set_inheritable(_FIRST, False)
    return listener
