"""A webhook request as WSGI has it (PEP 3333): its headers, and those of them that may be kept."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

DELIVERY_ID = "hub.delivery_id"
"""The name under which an environ may have the id of its delivery."""

HEADERS = "hub.headers"
"""The name under which an environ may have its headers, with names in lower case."""

REMOVED = "[removed]"
_SECRET_WORDS = ("auth", "cookie", "secret", "token", "signature", "password", "api-key")


def headers_of(environ: Mapping[str, Any]) -> Mapping[str, str]:
    """The request's headers, with names in lower case."""
    given: Mapping[str, str] | None = environ.get(HEADERS)
    if given is not None:
        return given
    headers = {
        _header_name(name): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[_header_name(name)] = environ[name]
    return headers


def without_secrets(headers: Mapping[str, str], credentials: tuple[str, ...]) -> dict[str, str]:
    """The headers as they may be kept: ``credentials``, and what looks like one, are removed."""
    return {
        name: REMOVED if name in credentials or _is_secret(name) else value
        for name, value in headers.items()
    }


@lru_cache(maxsize=512)
def _header_name(variable: str) -> str:
    return variable.removeprefix("HTTP_").replace("_", "-").lower()


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRET_WORDS)
