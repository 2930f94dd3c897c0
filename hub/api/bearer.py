"""A bearer token (RFC 6750), compared in constant time; whoever guesses is slowed down."""

import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hub.errors import TooManyAttempts, Unauthenticated

_FREE_GUESSES = 5
_LONGEST_WAIT = 60.0
_FORGOTTEN_AFTER = 600.0
_MOST_ADDRESSES = 1000


@dataclass(frozen=True, slots=True)
class _Guesses:
    count: int
    last: float
    blocked_until: float


class BearerToken:
    """The one token that opens something. Safe to use from several threads.

    After five wrong tokens an address has to wait before another of its guesses is heard: a second, then
    two, four, and so on up to a minute; after ten minutes without a wrong one it starts anew.
    """

    def __init__(self, token: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = token.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._guesses: dict[str, _Guesses] = {}

    def verify(self, authorization: str, address: str) -> None:
        """Check an ``Authorization`` header. Raises Unauthenticated or TooManyAttempts."""
        scheme, _, given = authorization.partition(" ")
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self._token)
        if right and scheme.lower() == "bearer":
            return  # whatever wrong ones came from its address
        now = self._clock()
        with self._lock:
            known = self._guesses.get(address)
            if known is not None and known.blocked_until > now:
                raise TooManyAttempts(known.blocked_until - now)
        if not authorization:
            raise Unauthenticated(
                "Missing Authorization header", "Send: Authorization: Bearer <token>"
            )
        with self._lock:
            self._remember(address, now)
        raise Unauthenticated(
            "Invalid admin token", "Send: Authorization: Bearer <HUB_ADMIN_TOKEN>"
        )

    def _remember(self, address: str, now: float) -> None:
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
