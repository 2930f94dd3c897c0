"""Fetching a document from a sender's server, without trusting that server, its name or what it answers.

The address is looked up once, and the connection goes to what was found and looked at: an answer of DNS
that changes, or a name that means this machine, gets nobody into a private network. A redirect is
followed on the same host alone. All of it has one time limit, and the document a limit of size.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from hub.errors import HubError
from hub.version import __version__

TIME_LIMIT = 10.0
"""Seconds for one document: the look-up, the connection, redirects and the body together."""

SIZE_LIMIT = 1_048_576
"""Bytes of a document."""

_MOST_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PIECE = 65_536
_LATER = frozenset({408, 425, 429})
"""Statuses below 500 of which the server says that it may do better later."""


class NotFetched(HubError):
    """A document could not be fetched. The text says why, without secrets. ``is_away``: it is the server
    that is away, or has enough to do; any other document of it would not have come either.
    """

    def __init__(self, why: str, is_away: bool = False) -> None:
        super().__init__(why)
        self.is_away = is_away


def get(
    url: str,
    headers: Mapping[str, str],
    *,
    private: bool = False,
    time_limit: float = TIME_LIMIT,
    size_limit: int = SIZE_LIMIT,
) -> bytes:
    """The document at ``url``. ``private``: it may be in a private network, and need not be https.

    Raises NotFetched.
    """
    request = _Request(private, time_limit, size_limit)
    watchdog = threading.Timer(time_limit, request.give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        return request.get(url, headers)
    except NotFetched:
        if request.is_over:
            raise NotFetched(f"it took more than {time_limit:g} s", is_away=True) from None
        raise
    except (http.client.InvalidURL, ValueError) as error:
        raise NotFetched(f"its address cannot be asked for ({type(error).__name__})") from None
    except (OSError, http.client.HTTPException) as error:
        # The socket has the same limit, and may be the first to see it.
        if request.is_over or isinstance(error, TimeoutError):
            raise NotFetched(f"it took more than {time_limit:g} s", is_away=True) from None
        raise NotFetched(f"no answer ({type(error).__name__})", is_away=True) from None
    finally:
        watchdog.cancel()
        request.close()


class _Request:
    def __init__(self, private: bool, time_limit: float, size_limit: int) -> None:
        self._private = private
        self._time_limit = time_limit
        self._size_limit = size_limit
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self.is_over = False

    def give_up(self) -> None:
        """Have whoever waits for the server wait no longer."""
        self.is_over = True
        self._cut()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()

    def get(self, url: str, headers: Mapping[str, str]) -> bytes:
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._open(url, headers)
            if response.status not in _REDIRECTS:
                return self._body(response)
            there = urljoin(url, response.headers.get("Location") or "")
            if urlsplit(there)[:2] != urlsplit(url)[:2]:
                raise NotFetched("it redirects to another host")
            url = there
            self.close()
        raise NotFetched(f"it redirects more than {_MOST_REDIRECTS} times")

    def _open(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname or "@" in parts.netloc:
            raise NotFetched("its address is no https address")
        if parts.scheme == "http" and not self._private:
            raise NotFetched("its address must begin with https")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = self._address(parts.hostname, port)
        self._connection = _connection(
            parts.scheme, parts.hostname, port, address, self._time_limit
        )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        sent = {"Accept": "application/json", "User-Agent": f"attendance-hub/{__version__}"}
        self._connection.request("GET", path, headers={**sent, **headers})
        if self.is_over:
            self._cut()
        self._response = self._connection.getresponse()
        return self._response

    def _address(self, host: str, port: int) -> str:
        """The address that a host has now. Raises NotFetched for one that must not be asked."""
        found = _looked_up(host, port, self._time_limit)
        if not self._private and not all(_is_public(one) for one in found):
            raise NotFetched("its host is in a private network (fetch_private allows that)")
        # IPv4 first: a small machine often has no route for the other.
        return min(found, key=lambda one: (":" in one, one))

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.status != 200:
            away = response.status >= 500 or response.status in _LATER
            raise NotFetched(f"it answered {response.status}", is_away=away)
        pieces: list[bytes] = []
        size = 0
        while piece := response.read1(_PIECE):
            size += len(piece)
            if size > self._size_limit:
                raise NotFetched(f"it has more than {self._size_limit} bytes")
            pieces.append(piece)
            if self.is_over:
                break
        if self.is_over:
            raise NotFetched("it took too long")
        if response.length:
            raise NotFetched("no answer (it breaks off)", is_away=True)
        return b"".join(pieces)

    def _cut(self) -> None:
        own = getattr(self._connection, "sock", None)
        if own is not None:
            with suppress(OSError):
                own.shutdown(socket.SHUT_RDWR)


def _looked_up(host: str, port: int, seconds: float) -> set[str]:
    """The addresses of a host. A look-up cannot be ended, so a thread of its own waits for it."""
    found: list[set[str] | OSError] = []

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.append({str(info[4][0]) for info in infos})
        except (OSError, UnicodeError) as error:
            found.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=look_up, name="look up", daemon=True)
    thread.start()
    thread.join(seconds)
    if not found:
        raise NotFetched("its host is not found in time", is_away=True)
    if isinstance(found[0], OSError):
        raise found[0]
    return found[0]


def _is_public(address: str) -> bool:
    """Whether an address is one of the public internet (RFC 6890)."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if any(found in network for network in _NOT_PUBLIC if network.version == found.version):
        return False
    inner = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None)
    return found.is_global and not found.is_multicast and (inner is None or inner.is_global)


_NOT_PUBLIC = tuple(
    ipaddress.ip_network(one)
    for one in (
        "::/96",  # IPv4 written as IPv6
        "::ffff:0:0:0/96",
        "64:ff9b::/32",  # translated to IPv4 (RFC 6052, RFC 8215)
        "fec0::/10",
        "192.0.0.0/24",
        "168.63.129.16/32",  # what a cloud has for its own machines
    )
)


def _connection(
    scheme: str, host: str, port: int, address: str, seconds: float
) -> http.client.HTTPConnection:
    """A connection to an address that was looked at, for a host by its name."""

    def dial(*_: object, **__: object) -> socket.socket:
        return socket.create_connection((address, port), timeout=seconds)

    connection: http.client.HTTPConnection
    if scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=seconds)
    connection._create_connection = dial  # type: ignore[attr-defined]
    return connection
