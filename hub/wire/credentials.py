"""Credentials that are shown rather than computed: a secret anywhere in a request, Basic (RFC 7617).

They are only as safe as the connection: use them over TLS.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.errors import Unauthenticated
from hub.wire.hmacs import OverRequest
from hub.wire.request import Place, Request
from hub.wire.signatures import INVALID, require_secret


@dataclass(frozen=True)
class SecretIn(OverRequest):
    """The secret itself, at a place of the request: ``query:token``, ``form:token``, ``path:token``,
    ``json:/verification_token`` or a header; after ``prefix``.
    """

    place: str
    prefix: str = ""
    scheme: str = "secret"

    def __post_init__(self) -> None:
        Place.of(self.place)

    @property
    def places(self) -> tuple[Place, ...]:  # type: ignore[override]
        """See ``RequestAuthentication.places``."""
        return (Place.of(self.place),)

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        require_secret(secrets)
        place = Place.of(self.place)
        found = place.all_in(request)
        if not found or not found[0].strip():
            raise Unauthenticated(
                f"Missing {place.told}", "This endpoint takes it with each request"
            )
        if len(found) > 1:
            raise Unauthenticated("Invalid secret", f"{place.told} comes twice")
        given = place.encoded(found[0])
        matches = [hmac.compare_digest((self.prefix + one).encode(), given) for one in secrets]
        if not any(matches):
            raise Unauthenticated("Invalid secret", f"Look at {place.told}")

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """See ``RequestSigner.sign_request``."""
        place, text = Place.of(self.place), self.prefix + secret
        if place.kind == "header":
            text = text.encode().decode("latin-1")
        return place.put(request, text)


@dataclass(frozen=True)
class Basic(OverRequest):
    """Basic authentication. The secret is ``user:password``, or with ``user`` the password alone."""

    user: str = ""
    scheme: str = "basic"

    @property
    def places(self) -> tuple[Place, ...]:  # type: ignore[override]
        """See ``RequestAuthentication.places``."""
        return (Place("header", "authorization"),)

    def check_secret(self, secret: str) -> None:
        """See ``Authentication.check_secret``."""
        if not self.user and ":" not in secret:
            raise ValueError("a secret of Basic is written as user:password")

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        require_secret(secrets)
        kind, _, digits = request.headers.get("authorization", "").strip().partition(" ")
        challenge = {"WWW-Authenticate": 'Basic realm="attendance-hub"'}
        if not kind:
            how = "Send a user and a password (Basic)"
            raise Unauthenticated("Missing Authorization header", how, headers=challenge)
        try:
            given = base64.b64decode(digits.strip(), validate=True)
        except ValueError:
            given = b""
        matches = [hmac.compare_digest(self._pair(secret), given) for secret in secrets]
        if kind.lower() != "basic" or not any(matches):
            raise Unauthenticated(INVALID, "User or password is wrong", headers=challenge)

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """See ``RequestSigner.sign_request``."""
        return self.places[0].put(request, f"Basic {base64.b64encode(self._pair(secret)).decode()}")

    def _pair(self, secret: str) -> bytes:
        return (f"{self.user}:{secret}" if self.user else secret).encode()


@dataclass(frozen=True)
class Known(OverRequest):
    """A name, at a place of the request, that must be one of ``names``: a device's serial number. It is
    no secret: let such devices reach the hub by a network of their own.
    """

    place: str
    names: Collection[str]
    scheme: str = "known"
    places: tuple[Place, ...] = ()
    needs_secret: bool = False

    def __post_init__(self) -> None:
        Place.of(self.place)

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        place = Place.of(self.place)
        given = place.in_(request)
        if not given:
            raise Unauthenticated(f"Missing {place.told}", "It names the device")
        if given not in self.names:
            raise Unauthenticated(f"Unknown {place.told}", "List the device in the configuration")


BASIC = Basic()
