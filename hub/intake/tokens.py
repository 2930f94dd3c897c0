"""Who may: the hub's tokens as bearer tokens (RFC 6750). Whoever guesses is slowed down."""

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope, Token, digest
from hub.errors import Forbidden, StoreUnavailable, TooManyAttempts, Unauthenticated
from hub.record import tokens as kept_tokens
from hub.store import tokens as written
from hub.store.store import Store

ADMIN = "HUB_ADMIN_TOKEN"
"""What the token of the configuration is called."""

LET_IN = "hub.token"
"""The name under which an environ may have a token: whoever is logged in has shown it before."""

_FRESH_FOR = 0.9
"""Seconds after which tokens are read again: what is made or revoked takes effect within one."""

_USED_AGAIN = 60.0
"""Seconds within which it is not kept again that a token was used."""

_FREE_GUESSES = 5
_LONGEST_WAIT = 60.0
_FORGOTTEN_AFTER = 600.0
_MOST_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class _Guesses:
    count: int
    last: float
    blocked_until: float


class Guard:
    """Slows down whoever sends wrong tokens. Safe to use from several threads.

    After five wrong ones an address has to wait before another of its guesses is heard: a second, then
    two, four, and so on up to a minute; after ten minutes without a wrong one it starts anew.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._guesses: dict[str, _Guesses] = {}

    def require_heard(self, address: str) -> None:
        """Raise TooManyAttempts while the guesses of an address are not heard."""
        now = self._clock()
        with self._lock:
            known = self._guesses.get(address)
            if known is not None and known.blocked_until > now:
                raise TooManyAttempts(known.blocked_until - now)

    def wrong(self, address: str) -> None:
        """A wrong token came from an address."""
        now = self._clock()
        with self._lock:
            known = self._guesses.pop(address, None)
            if known is not None and now - known.last > _FORGOTTEN_AFTER:
                known = None
            count = known.count + 1 if known else 1
            # The exponent is bounded because a float is.
            wait = min(_LONGEST_WAIT, 2.0 ** min(count - _FREE_GUESSES, 10))
            blocked_until = now + wait if count >= _FREE_GUESSES else now
            self._guesses[address] = _Guesses(count, now, blocked_until)
            if len(self._guesses) > _MOST_ADDRESSES:
                del self._guesses[next(iter(self._guesses))]


class Tokens:
    """The tokens of a hub: that of its configuration (''; none), and those in its store. Safe to use from
    several threads.
    """

    def __init__(self, store: Store, admin_token: str, guard: Guard | None = None) -> None:
        self._store = store
        self._guard = guard or Guard()
        self._admin: Token | None = None
        if admin_token:
            scopes = frozenset({Scope.ADMIN})
            own = digest(admin_token)
            self._admin = Token(0, ADMIN, own, scopes, (), datetime.min, None, None)
        self._lock = threading.Lock()
        self._known: Mapping[str, Token] = {}
        self._read_at = float("-inf")
        self._used: dict[int, datetime] = {}

    def require(
        self, authorization: str, address: str, scope: Scope | None, source: str | None = None
    ) -> Token:
        """The token of an ``Authorization`` header, which may do what is asked (to post, to ``source``;
        None: anything).

        Raises Unauthenticated, TooManyAttempts, Forbidden.
        """
        kind, _, given = authorization.partition(" ")
        token = self._find(given.strip()) if kind.lower() == "bearer" else None
        if token is None:  # a right one is let in whatever wrong ones came from its address
            bearer = {"WWW-Authenticate": "Bearer"}
            how = "Send: Authorization: Bearer <token>"
            if not authorization:
                raise Unauthenticated("Missing token", how, headers=bearer)
            self._guard.require_heard(address)
            self._guard.wrong(address)
            raise Unauthenticated("Invalid token", how, headers=bearer)
        return self._used_for(token, scope, source)

    def require_of(
        self, environ: Mapping[str, Any], scope: Scope, source: str | None = None
    ) -> Token:
        """The token of a request (a WSGI environ, PEP 3333), as ``require`` has it."""
        let_in: Token | None = environ.get(LET_IN)
        if let_in is not None:
            return self._used_for(let_in, scope, source)
        authorization = environ.get("HTTP_AUTHORIZATION", "")
        return self.require(authorization, environ.get("REMOTE_ADDR", ""), scope, source)

    def log_in(self, given: str, address: str) -> Token:
        """The token that was typed. Raises Unauthenticated, TooManyAttempts."""
        return self.require(f"Bearer {given}", address, None)

    def find(self, identifier: int, digest: str) -> Token | None:
        """The token with this id and digest, if it still opens anything."""
        if self._admin is not None and identifier == self._admin.id:
            return self._admin if hmac.compare_digest(digest, self._admin.digest) else None
        token = self._now().get(digest)
        valid = token is not None and token.id == identifier and token.is_valid(utc_now())
        return token if valid else None

    def digest_of(self, identifier: int) -> str | None:
        """The digest of the token with this id."""
        if self._admin is not None and identifier == self._admin.id:
            return self._admin.digest
        found = (one.digest for one in self._now().values() if one.id == identifier)
        return next(found, None)

    def is_any(self) -> bool:
        """Whether there is a token at all."""
        return self._admin is not None or bool(self._now())

    def read_again(self) -> None:
        """Have what was made or revoked take effect at once."""
        self._read_at = float("-inf")

    def _used_for(self, token: Token, scope: Scope | None, source: str | None) -> Token:
        """A token that may do what is asked. Raises Forbidden."""
        if scope is not None and not token.may(scope, source):
            raise Forbidden(_lacks(token, scope, source))
        if token.id:
            with self._lock:
                self._used[token.id] = utc_now()
        return token

    def keep_used(self) -> None:
        """Keep when the tokens were used last. Raises StoreUnavailable."""
        with self._lock:
            used, self._used = self._used, {}
        last = {token.id: token.last_used_at for token in self._known.values()}
        due = {
            token: at
            for token, at in used.items()
            if (before := last.get(token)) is None or (at - before).total_seconds() > _USED_AGAIN
        }
        if not due:
            return
        try:
            with self._store.writing() as tx:
                for token, at in due.items():
                    written.used(tx, token, at)
        except StoreUnavailable:
            with self._lock:
                self._used = {**due, **self._used}
            raise

    def _find(self, given: str) -> Token | None:
        own = digest(given)
        if self._admin is not None and hmac.compare_digest(own, self._admin.digest):
            return self._admin
        token = self._now().get(own)
        return token if token is not None and token.is_valid(utc_now()) else None

    def _now(self) -> Mapping[str, Token]:
        if time.monotonic() - self._read_at > _FRESH_FOR:
            with self._lock:
                if time.monotonic() - self._read_at > _FRESH_FOR:
                    self._read()
        return self._known

    def _read(self) -> None:
        try:
            with self._store.reading() as db:
                self._known = {token.digest: token for token in kept_tokens.every(db)}
        except StoreUnavailable:
            # Those of before: nothing can be read or recorded with them now.
            if not self._known:
                raise
        self._read_at = time.monotonic()


def _lacks(token: Token, scope: Scope, source: str | None) -> str:
    if source is not None and token.may(scope):
        return f"It may post to {', '.join(token.sources)}"
    return f"It needs the scope {scope}"
