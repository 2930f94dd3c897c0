"""Who sends a request that comes through proxies: RFC 7239 (``Forwarded``) and ``X-Forwarded-For``.

Anyone may write these headers. So they are believed from a trusted proxy alone, and of what they tell
only the nearest address that is not a trusted proxy itself: each proxy adds the one that it was called
from.
"""

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

FORWARDED, X_FORWARDED_FOR = "HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR"
"""The two headers in a WSGI environ."""

_LONGEST = 4096
"""Characters of a header that are looked at, the last ones: a sender may write any number before them."""

_PIECE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_FOR = re.compile(r'(?:^|;)\s*for=("(?:[^"\\]|\\.)*"|[^;"\s]*)\s*(?=;|$)', re.IGNORECASE)
_NODE = re.compile(r"\[([^\]]+)\](?::[\w.-]+)?|([^:]+)(?::[\w.-]+)?")


class Proxies:
    """The proxies that are trusted, by their networks."""

    def __init__(self, trusted: Collection[Network] = ()) -> None:
        self._trusted = tuple(trusted)

    def sender_of(self, environ: Mapping[str, Any]) -> str:
        """The address that a request (a WSGI environ, PEP 3333) was sent from.

        Where both headers are there and tell of different senders, the sender has made one of them up,
        and nobody knows which: then it is the proxy's own address.
        """
        peer: str = environ.get("REMOTE_ADDR", "")
        if not self._trusted or not self._is_trusted(_address(peer)):
            return peer
        told = set()
        if (text := environ.get(X_FORWARDED_FOR)) is not None:
            told.add(self._nearest(peer, text[-_LONGEST:].split(",")))
        if (text := environ.get(FORWARDED)) is not None:
            told.add(self._nearest(peer, _nodes(text[-_LONGEST:])))
        return told.pop() if len(told) == 1 else peer

    def _nearest(self, peer: str, nodes: Sequence[str]) -> str:
        """The nearest address that is not trusted; else the farthest that was read."""
        found = peer
        for node in reversed(nodes):
            address = _address(node.strip())
            if address is None:  # unknown, or hidden by the proxy before
                break
            found = str(address)
            if not self._is_trusted(address):
                break
        return found

    def _is_trusted(self, address: Address | None) -> bool:
        return address is not None and any(
            address in network for network in self._trusted if network.version == address.version
        )


def read_network(text: str) -> Network:
    """A network such as ``10.0.0.0/8``, or one address. Raises ValueError."""
    return ipaddress.ip_network(text.strip())


def _nodes(text: str) -> list[str]:
    """Whom each element of a ``Forwarded`` header is for; '' for one that does not tell."""
    found = []
    for piece in _PIECE.findall(text):
        node = _FOR.search(piece.strip())
        found.append(re.sub(r"\\(.)", r"\1", node[1].strip('"')) if node else "")
    return found


def _address(node: str) -> Address | None:
    """The address of a node (RFC 7239, 6), which may have a port. IPv4 as IPv6 has it is IPv4."""
    try:
        found: Address = ipaddress.ip_address(node)
    except ValueError:
        match = _NODE.fullmatch(node)
        try:
            found = ipaddress.ip_address((match[1] or match[2]) if match else "")
        except ValueError:
            return None
    return getattr(found, "ipv4_mapped", None) or found
