"""Method, path and query of a kept request. They stand among its headers, under names that no header can
have (as HTTP/2 has them, RFC 9113, 8.3), and not at all where they are those of a plain POST.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_METHOD, _PATH, _QUERY, _PART = ":method", ":path", ":query", ":part:"
_NONE: Mapping[str, str] = MappingProxyType({})

Pairs = tuple[tuple[str, str], ...]


class RequestLine(NamedTuple):
    """``parts`` are those of the path that the source has named."""

    method: str = "POST"
    path: str = ""
    query: str = ""
    parts: Mapping[str, str] = _NONE


def joined(headers: Mapping[str, str], line: RequestLine) -> Pairs:
    """The headers of a request, and its line among them."""
    pairs = tuple(headers.items())
    if line.method != "POST":
        pairs += ((_METHOD, line.method),)
    if line.path:
        pairs += ((_PATH, line.path),)
    if line.query:
        pairs += ((_QUERY, line.query),)
    return pairs + tuple((f"{_PART}{name}", part) for name, part in line.parts.items())


def parted(kept: Mapping[str, str]) -> tuple[dict[str, str], RequestLine]:
    """The headers of a request alone, and its line."""
    headers = {name: value for name, value in kept.items() if not name.startswith(":")}
    parts = {
        name.removeprefix(_PART): part for name, part in kept.items() if name.startswith(_PART)
    }
    line = RequestLine(
        kept.get(_METHOD, "POST"),
        kept.get(_PATH, ""),
        kept.get(_QUERY, ""),
        MappingProxyType(parts),
    )
    return headers, line
