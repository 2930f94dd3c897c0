"""A webhook request as WSGI has it (PEP 3333): its headers, and those of them that may be kept."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hub.plugin.source import Source
from hub.wire.signatures import Authentication, told_headers

DELIVERY_ID = "hub.delivery_id"
"""The name under which an environ may have the id of its delivery."""

HEADERS = "hub.headers"
"""The name under which an environ may have its headers, with names in lower case."""

REMOVED = "[removed]"
_READ = (
    "content-type",
    "content-length",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "origin",
    "sec-fetch-site",
)
"""The headers that the hub itself reads, and that are no credentials."""

_LONGEST_REMEMBERED = 64


def headers_of(environ: Mapping[str, Any]) -> Mapping[str, str]:
    """The request's headers, with names in lower case."""
    given: Mapping[str, str] | None = environ.get(HEADERS)
    if given is not None:
        return given
    headers = {
        header_name(name): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[header_name(name)] = environ[name]
    return headers


class Kept:
    """Which headers of a source's requests are kept: those that the hub reads, those that its scheme and
    the source declare to be no credentials. Of a credential it is kept that there was one, of any other
    header nothing.
    """

    def __init__(self, source: Source, scheme: Authentication) -> None:
        self._credentials = frozenset(scheme.headers)
        declared = (*source.headers.values(), *source.keep_headers)
        names = (*_READ, *told_headers(scheme), *(name.lower() for name in declared))
        self._kept = frozenset(names) - self._credentials

    def of(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers, with names in lower case, as they may be kept."""
        return {
            name: value if name in self._kept else REMOVED
            for name, value in headers.items()
            if name in self._kept or name in self._credentials
        }


def header_name(variable: str) -> str:
    """The name of a header, in lower case, of the variable that WSGI has it in."""
    # What a stranger sends is remembered only where it is short.
    if len(variable) > _LONGEST_REMEMBERED:
        return _header_name.__wrapped__(variable)
    return _header_name(variable)


@lru_cache(maxsize=512)
def _header_name(variable: str) -> str:
    return variable.removeprefix("HTTP_").replace("_", "-").lower()
