"""Browsers from elsewhere: what a page of another site has its visitor's browser send is not taken.

A browser asks first (CORS preflight) before it sends JSON to another site. It does not ask for what a
form or a link could send as well; that is refused here by the headers that no page can forge (Fetch
Metadata, and ``Origin`` of RFC 6454).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from hub.errors import FromElsewhere
from hub.wire.body import is_json

_PORTS = {"http": 80, "https": 443}


class Browsers:
    """What is the hub's own: ``public_url`` if it is set, else whatever host a request names.

    ``allowed`` are the origins whose pages may post.
    """

    def __init__(self, public_url: str, allowed: tuple[str, ...]) -> None:
        self._own = _origin(public_url) if public_url else None
        self._allowed = frozenset(map(_origin, allowed))

    def require_own(
        self, method: str, headers: Mapping[str, str], *, takes_json: bool = True
    ) -> None:
        """Raise FromElsewhere for a request that a page of another site may have caused. A browser has
        asked before it sends JSON to another site: no need to look, where only that is taken.
        """
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None and origin is None:
            return  # no browser
        if takes_json and method == "POST" and is_json(headers.get("content-type", "")):
            return  # the browser has asked before
        if origin is not None:
            found = _origin(origin)
            if found in self._allowed:
                return
            if not self._is_own(found, headers):
                raise FromElsewhere()
        if site == "cross-site":
            raise FromElsewhere()

    def _is_own(self, origin: tuple[str, str, int | None], headers: Mapping[str, str]) -> bool:
        if self._own is not None:
            return origin == self._own
        scheme, host, port = origin
        # Whether its TLS ends here or before, the hub cannot know.
        return bool(host) and (host, port) == _origin(f"{scheme}://{headers.get('host', '')}")[1:]


def _origin(address: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; nothing of what is no address, such as ``null``."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return "", "", None
    return parts.scheme, parts.hostname or "", port or _PORTS.get(parts.scheme)
