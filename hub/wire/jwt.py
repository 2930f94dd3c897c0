"""JSON Web Tokens (RFC 7519) as credentials and as bodies, checked by PyJWT; their keys (RFC 7517)."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hub.errors import InvalidPayload, Unauthenticated
from hub.wire.hmacs import OverRequest, require_keys
from hub.wire.request import Place, Request, with_body
from hub.wire.signatures import require_secret

_ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_SYMMETRIC = ("HS256", "HS384", "HS512")
_LEEWAY = 60
_MOST_KEYS = 100


class KeySet:
    """The public keys at an address, as they were fetched last; none before that. Safe to use from
    several threads. It is filled beside the way of the deliveries (``hub.jobs.keysets``).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._keys: Mapping[str, Any] = {}
        self.is_known = False
        self.wake: Callable[[], object] = lambda: None

    def take(self, document: Mapping[str, Any]) -> None:
        """Use these keys from now on. Raises ValueError for what is no set of keys."""
        keys = keys_of(document)
        with self._lock:
            self._keys, self.is_known = keys, True

    def find(self, kid: str) -> Any | None:
        """The key of this id; the only one, for an empty id. An unknown one has the set fetched again."""
        with self._lock:
            keys = self._keys
        if not kid and len(keys) == 1:
            return next(iter(keys.values()))
        if kid not in keys:
            self.wake()
        return keys.get(kid)


def keys_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The public keys of a JWKS document, by id. Raises ValueError."""
    import jwt

    members = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(members, list) or len(members) > _MOST_KEYS:
        raise ValueError("it is no JWKS document: it has no array keys")
    found = {}
    for one in members:
        # A shared secret has no place in a document that anyone may read.
        if isinstance(one, dict) and one.get("kty") in ("RSA", "EC", "OKP"):
            try:
                found[str(one.get("kid", ""))] = jwt.PyJWK(one).key
            except (jwt.PyJWTError, ValueError, TypeError):
                continue
    if not found:
        raise ValueError("it has no public key that can be used")
    return found


@dataclass(frozen=True)
class Jwt(OverRequest):
    """A JSON Web Token: in the header Authorization after ``Bearer``, at another place, or as the body.

    place: ``body``, or a place (``hub.wire.request``).
    audience, issuer: what ``aud`` and ``iss`` must be; '' for any.
    algorithms: those that are taken; ``none`` never is.
    jwks: where the sender's public keys are, an ``https`` address, or the path of a file; '' where the
        secret is the key: a text for HS256, for the others a public key in PEM, whose lines are written
        as one, with a backslash and n between them.
    It needs the extra ``keys``.
    """

    place: str = "Authorization"
    prefix: str = "Bearer "
    audience: str = ""
    issuer: str = ""
    algorithms: Sequence[str] = ("RS256",)
    jwks: str = ""
    scheme: str = "jwt"
    keys: KeySet | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        require_keys()
        known = {*_ASYMMETRIC, *(() if self.jwks else _SYMMETRIC)}
        if unknown := set(self.algorithms) - known:
            raise ValueError(
                f"algorithms: {min(unknown)} cannot be used; use {', '.join(sorted(known))}"
            )
        if len({one in _SYMMETRIC for one in self.algorithms}) != 1:
            # A public key must never be taken for a shared secret.
            raise ValueError("algorithms: name those of shared secrets, or those of public keys")
        if self.place != "body":
            Place.of(self.place)
        keys = None
        if self.jwks.startswith(("https://", "http://")):
            keys = KeySet(self.jwks)
        elif self.jwks:
            keys = KeySet("")
            keys.take(json.loads(Path(self.jwks).read_text("utf-8")))
        object.__setattr__(self, "keys", keys)

    @property
    def places(self) -> tuple[Place, ...]:  # type: ignore[override]
        """See ``RequestAuthentication.places``."""
        return () if self.place == "body" else (Place.of(self.place),)

    def hidden(self, request: Request) -> Request:
        """A request whose body says the same and proves nothing."""
        if self.place != "body":
            return request
        body, _, signature = request.body.rpartition(b".")
        return replace(request, body=body + b".[removed]") if signature else request

    @property
    def needs_secret(self) -> bool:
        """Whether it is checked with a secret of the hub's, rather than with keys of the sender's."""
        return not self.jwks

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        token = self._token(request)
        if token.count(".") != 2:
            raise Unauthenticated("Invalid token", "It is no JSON Web Token")
        if self.keys is None:
            require_secret(secrets)
            keys: list[Any] = [one.replace("\\n", "\n") for one in secrets]
        else:
            keys = [self._key(token)]
        if not any(self._fits(token, key) for key in keys):
            why = "Its signature, time, audience or issuer is wrong"
            raise Unauthenticated("Invalid token", why)

    def _token(self, request: Request) -> str:
        if self.place == "body":
            return request.body.decode("latin-1").strip().strip('"')
        place = Place.of(self.place)
        found = place.in_(request)
        if found is None or not found.strip():
            raise Unauthenticated(f"Missing {place.told}", "It has a JSON Web Token")
        return found.strip().removeprefix(self.prefix)

    def _key(self, token: str) -> Any:
        import jwt

        assert self.keys is not None
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated("Invalid token", "It is no JSON Web Token") from None
        key = self.keys.find(kid if isinstance(kid, str) else "")
        if key is None and not self.keys.is_known:
            raise Unauthenticated(
                "Invalid token", "The sender's keys could not be fetched yet; send it again later"
            )
        if key is None:
            raise Unauthenticated("Invalid token", "The sender has no key of this id")
        return key

    def _fits(self, token: str, key: Any) -> bool:
        import jwt

        try:
            jwt.decode(
                token,
                key,
                algorithms=list(self.algorithms),
                audience=self.audience or None,
                issuer=self.issuer or None,
                leeway=_LEEWAY,
                options={"verify_aud": bool(self.audience), "verify_iss": bool(self.issuer)},
            )
        # A hostile token leaves the library as some error.
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, AttributeError):
            return False
        return True

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """See ``RequestSigner.sign_request``. For public keys, ``secret`` is the private one, in PEM."""
        import jwt

        claims: dict[str, Any] = {"iat": now.replace(tzinfo=UTC)}
        if self.place == "body":
            claims |= json.loads(claims_of(request.body))
        claims |= {"aud": self.audience} if self.audience else {}
        claims |= {"iss": self.issuer} if self.issuer else {}
        algorithm = self.algorithms[0]
        headers = {"kid": "trial"} if self.jwks else None
        token = jwt.encode(claims, secret, algorithm=algorithm, headers=headers)
        if self.place == "body":
            return with_body(request, token.encode())
        return Place.of(self.place).put(request, self.prefix + token)


def claims_of(body: bytes) -> bytes:
    """The claims of a token, as JSON, unproven. Raises InvalidPayload."""
    parts = body.strip().strip(b'"').split(b".")
    if len(parts) != 3:
        raise InvalidPayload("Invalid token payload", "The body is no JSON Web Token")
    try:
        return base64.b64decode(
            parts[1] + b"=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True
        )
    except ValueError:
        raise InvalidPayload("Invalid token payload", "Its claims are no Base64") from None


def unsigned(claims: bytes) -> bytes:
    """A token with these claims that nothing proves."""
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=")
    return header + b"." + base64.urlsafe_b64encode(claims).rstrip(b"=") + b"."
