"""Idempotency keys: what a delivery calls itself, so that it is known when it comes again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from hub.errors import Refused

_MAX_LENGTH = 255
_HEADERS = ("idempotency-key", "webhook-id")


@dataclass(frozen=True, slots=True)
class Key:
    """What a delivery calls itself. A sender's key is bound to its body; a derived one is not."""

    value: str
    derived: bool

    @property
    def stored(self) -> str:
        """The key as the store has it."""
        return f"{'source' if self.derived else 'sender'}:{self.value}"


def senders_key(headers: Mapping[str, str]) -> Key | None:
    """The key that the sender gave (``Idempotency-Key``, or ``webhook-id`` of Standard Webhooks).

    Raises Refused for one that is too long.
    """
    for name in _HEADERS:
        value = headers.get(name, "").strip()
        if len(value) > _MAX_LENGTH:
            raise Refused(f"Invalid {name} header", f"It has at most {_MAX_LENGTH} characters")
        if value:
            return Key(value, derived=False)
    return None


def derived_key(value: str | None) -> Key | None:
    """The key that the source derived from the payload."""
    return Key(value, derived=True) if value is not None else None


def digest(body: bytes) -> str:
    """What tells a body from another one: SHA-256, in hex."""
    return hashlib.sha256(body).hexdigest()
