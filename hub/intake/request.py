"""A webhook request as WSGI has it (PEP 3333), and what of it may be kept."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from hub.plugin.source import Source
from hub.wire.hmacs import hidden_places
from hub.wire.jwt import Jwt
from hub.wire.request import REMOVED, Request, without_others
from hub.wire.signatures import Authentication, told_headers

DELIVERY_ID = "hub.delivery_id"
"""The name under which an environ may have the id of its delivery."""

HEADERS = "hub.headers"
"""The name under which an environ may have its headers, with names in lower case."""

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

UNREADABLE = b"[removed: it could not be read, and may have had a credential in it]"
"""What is kept in place of such a body."""

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
        gained = (place.name for place in source.places.values() if place.kind == "header")
        declared = (*gained, *source.body.headers, *source.keep_headers)
        names = (*_READ, *told_headers(scheme), *(name.lower() for name in declared))
        self._kept = frozenset(names) - self._credentials
        self._places = tuple(dict.fromkeys((*source.credential_places, *hidden_places(scheme))))
        self._query = source.kept_query
        self._hidden = scheme.hidden if isinstance(scheme, Jwt) else None

    def whole(self, request: Request) -> Request:
        """A request as it may be kept, and as the source may see it: without its credentials."""
        for place in self._places:
            request = place.removed_from(request)
        return request if self._hidden is None else self._hidden(request)

    def is_readable(self, request: Request) -> bool:
        """Whether what may be a credential in the body can be found: else nothing of that is kept."""
        return not any(place.is_hidden_in(request) for place in self._places)

    def query(self, request: Request) -> str:
        """The part of its query that may be kept."""
        return without_others(request.query, self._query)

    def of(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers, with names in lower case, as they may be kept."""
        return {
            name: value if name in self._kept else REMOVED
            for name, value in headers.items()
            if name in self._kept or name in self._credentials
        }


def request_of(
    environ: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes,
    parts: Mapping[str, str],
    public_url: str,
) -> Request:
    """The request whole, as its sender wrote it. Behind a proxy its URL begins as ``public_url`` does."""
    host = headers.get("host") or environ.get("SERVER_NAME", "")
    base = public_url.rstrip("/") or f"{environ.get('wsgi.url_scheme', 'http')}://{host}"
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return Request(
        method=environ["REQUEST_METHOD"],
        path=quote(path.encode("latin-1", "replace"), safe="/:@!$&'()*+,;=~-._"),
        query=environ.get("QUERY_STRING", ""),
        headers=headers,
        body=body,
        parts={name: _text(part) for name, part in parts.items()},
        base=base,
    )


def _text(part: str) -> str:
    """A part of a path, which WSGI hands over as latin-1, as text."""
    return part.encode("latin-1", "replace").decode("utf-8", "replace").replace("\0", "\ufffd")


def header_name(variable: str) -> str:
    """The name of a header, in lower case, of the variable that WSGI has it in."""
    # What a stranger sends is remembered only where it is short.
    if len(variable) > _LONGEST_REMEMBERED:
        return _header_name.__wrapped__(variable)
    return _header_name(variable)


@lru_cache(maxsize=512)
def _header_name(variable: str) -> str:
    return variable.removeprefix("HTTP_").replace("_", "-").lower()
