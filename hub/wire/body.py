"""The raw body of a WSGI request: within its limit, whole, and of a content type that is taken."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from hub.errors import InvalidPayload, PayloadTooLarge, Refused, UnsupportedMediaType

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9!#$&^_.-]+\+json)")
_LONGEST_REMEMBERED = 100
_CHARSET = re.compile(r"\s*charset\s*=\s*\"?([^\s\";]*)\"?\s*")


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The body, of at most ``limit`` bytes. Nothing beyond the limit is read.

    Raises PayloadTooLarge over the limit, Refused for a length that is no number or not the body's.
    """
    length = environ.get("CONTENT_LENGTH") or ""
    if length:
        if not (length.isascii() and length.isdigit()):
            raise Refused("Invalid Content-Length header", "It must be a number of bytes")
        if len(length) > 15 or int(length) > limit:
            raise _too_large(limit)
        body: bytes = environ["wsgi.input"].read(int(length))
        if len(body) < int(length):
            raise InvalidPayload(
                "Invalid JSON payload",
                f"The body ended after {len(body)} of the {length} bytes that Content-Length names",
            )
        return body
    if environ.get("HTTP_TRANSFER_ENCODING"):
        # Servers that hand a chunked body over decoded mark its end (PEP 3333's successor key).
        if not environ.get("wsgi.input_terminated"):
            raise Refused("Length required", "Send the body with a Content-Length header")
        return _read_to_end(environ["wsgi.input"], limit)
    return b""


def _read_to_end(stream: Any, limit: int) -> bytes:
    body = b""
    while chunk := stream.read(limit + 1 - len(body)):
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return body


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge("Payload too large", f"A body has at most {limit} bytes")


def require_json(content_type: str) -> None:
    """Raise UnsupportedMediaType unless ``content_type`` is empty or JSON in UTF-8."""
    problem = _problem_of(content_type)
    if problem:
        raise UnsupportedMediaType("Unsupported content type", problem)


def require_type(content_type: str, media_types: Sequence[str]) -> None:
    """Raise UnsupportedMediaType unless ``content_type`` is empty, or one of some types and in UTF-8."""
    media_type, *parameters = content_type.lower().split(";")
    if media_type.strip() and media_type.strip() not in media_types:
        wanted = " or ".join(media_types)
        raise UnsupportedMediaType("Unsupported content type", f"Send the payload as {wanted}")
    if not _are_utf8(parameters):
        raise UnsupportedMediaType("Unsupported content type", _IN_UTF8)


def is_json(content_type: str) -> bool:
    """Whether a content type is there, and is JSON in UTF-8."""
    return bool(content_type.strip()) and _problem_of(content_type) is None


def _problem_of(content_type: str) -> str | None:
    # What a stranger sends is remembered only where it is short.
    if len(content_type) > _LONGEST_REMEMBERED:
        return _problem.__wrapped__(content_type)
    return _problem(content_type)


@lru_cache(maxsize=128)
def _problem(content_type: str) -> str | None:
    if not content_type.strip():
        return None
    media_type, *parameters = content_type.lower().split(";")
    if not _JSON_TYPE.fullmatch(media_type.strip()):
        return "Send the payload as application/json"
    return None if _are_utf8(parameters) else _IN_UTF8


_IN_UTF8 = "Send the payload in UTF-8"


def _are_utf8(parameters: Sequence[str]) -> bool:
    charsets = (_CHARSET.fullmatch(parameter) for parameter in parameters)
    return all(found is None or found[1] in ("utf-8", "utf8") for found in charsets)
