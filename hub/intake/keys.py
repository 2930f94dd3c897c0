"""Idempotency keys: what a delivery calls itself, so that it is known when it comes again."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hub.errors import Refused
from hub.wire.signatures import Authentication, signed_id

_MAX_LENGTH = 255
_HEADERS = ("idempotency-key", "webhook-id")


@dataclass(frozen=True, slots=True)
class Key:
    """What a delivery calls itself: by an id that its scheme signs, by a header that anyone may write, or
    by what its source derives from the payload. A sender's key is bound to its body, a derived one not.

    The three are kept apart, so that nobody takes a key of another's who has signed it.
    """

    value: str
    origin: Literal["signed", "sender", "source"]

    @property
    def derived(self) -> bool:
        """Whether the source has made it, not the sender."""
        return self.origin == "source"

    @property
    def stored(self) -> str:
        """The key as the store has it."""
        return f"{self.origin}:{self.value}"


def senders_key(headers: Mapping[str, str], scheme: Authentication) -> Key | None:
    """The key that the sender gave: the id that the scheme signs, if it does; else ``Idempotency-Key``,
    or ``webhook-id`` of Standard Webhooks.

    Raises Refused for one that is too long.
    """
    signed = signed_id(scheme, headers)
    for name in _HEADERS if signed is None else (signed,):
        value = headers.get(name, "").strip()
        if len(value) > _MAX_LENGTH:
            raise Refused(f"Invalid {name} header", f"It has at most {_MAX_LENGTH} characters")
        if value:
            return Key(value, "sender" if signed is None else "signed")
    return None


def derived_key(value: str | None) -> Key | None:
    """The key that the source derived from the payload."""
    return Key(value, "source") if value is not None else None


def digest(body: bytes) -> str:
    """What tells a body from another one: SHA-256, in hex."""
    return hashlib.sha256(body).hexdigest()
