"""Tokens: what lets somebody read the record, or post to the sources that take the hub's tokens."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

PREFIX = "hub_"
"""How a token begins, so that one which was published by mistake is found."""


class Scope(StrEnum):
    """What a token may do."""

    COUNTS = "counts"
    READ = "read"
    POST = "post"
    DESK = "desk"
    METRICS = "metrics"
    ADMIN = "admin"


_INCLUDED = {
    Scope.READ: {Scope.COUNTS},
    Scope.DESK: {Scope.READ, Scope.COUNTS},
    Scope.ADMIN: set(Scope),
}


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is kept: the secret itself is not. Moments are naive and in UTC.

    ``sources`` are those that it may post to; none: all that take the hub's tokens.
    """

    id: int
    name: str
    digest: str
    scopes: frozenset[Scope]
    sources: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def may(self, scope: Scope, source: str | None = None) -> bool:
        """Whether it has a scope, or one that includes it; to post, for this source."""
        if not any(scope is own or scope in _INCLUDED.get(own, ()) for own in self.scopes):
            return False
        return source is None or not self.sources or source in self.sources

    def is_valid(self, now: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or now < self.expires_at


def new_token() -> str:
    """A new token: 32 random bytes."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What the store has of a token: SHA-256, in hex. It is random, so it needs no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def parse_lifetime(text: str) -> timedelta:
    """How long a token is valid, such as ``12h`` or ``30d``. Raises ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([hd])", text.strip(), re.ASCII)
    if match is None:
        raise ValueError("use a number of hours or days, such as 12h or 30d")
    return timedelta(**{"hours" if match[2] == "h" else "days": int(match[1])})
