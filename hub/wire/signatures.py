"""Authentication: the signature schemes that a source can require. Constant time, over raw bytes.

The HMAC schemes are those of RFC 2104 with SHA-256, as GitHub and OneTap send them; Standard Webhooks
is the specification of that name (standardwebhooks.com), checked by its own library.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, runtime_checkable

from hub.domain.timestamps import format_utc, parse_timestamp, parse_unix_seconds, to_utc
from hub.errors import NotConfigured, Unauthenticated

TOLERANCE = timedelta(minutes=5)
"""How far a signed timestamp may be from the hub's clock (Standard Webhooks, "Verifying webhooks")."""


@runtime_checkable
class Authentication(Protocol):
    """A way to prove where a request comes from.

    ``scheme`` is its name in the configuration; ``headers`` are those that carry credentials, in
    lower case, and are never stored.
    """

    @property
    def scheme(self) -> str: ...

    @property
    def headers(self) -> tuple[str, ...]: ...

    def check_secret(self, secret: str) -> None:
        """Raise ValueError, without repeating the secret, if it cannot be one of this scheme."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """Raise Unauthenticated unless one of ``secrets`` made the request's credential.

        ``headers`` has lower-case names; ``now`` is naive and in UTC. Raises NotConfigured where
        there is no secret.
        """


@runtime_checkable
class Signer(Protocol):
    """What a scheme that can sign too has beside ``Authentication``, for who tries a source."""

    def sign(self, body: bytes, secret: str, now: datetime, identifier: str) -> Mapping[str, str]:
        """The headers with which a request of this body proves where it comes from.

        ``now`` is naive and in UTC; ``identifier`` names the request, where the scheme signs one.
        """


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name.lower(), "").strip()
    if not value:
        raise Unauthenticated(f"Missing {name} header", "This endpoint takes signed requests only")
    return value


def require_secret(secrets: Sequence[str]) -> None:
    """Raise NotConfigured where there is none."""
    if not secrets:
        raise NotConfigured("Signature verification is not configured")


INVALID = "Invalid signature"


@dataclass(frozen=True, slots=True)
class Open:
    """No authentication: anyone who reaches the endpoint may post."""

    scheme: str = "none"
    headers: tuple[str, ...] = ()

    def check_secret(self, secret: str) -> None:
        """Any secret will do; none is used."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """Accept every request."""

    def sign(self, body: bytes, secret: str, now: datetime, identifier: str) -> dict[str, str]:
        """See ``Signer.sign``: there is nothing to prove."""
        return {}


BODY, TIMESTAMP_BODY, ID_TIMESTAMP_BODY = "body", "timestamp.body", "id.timestamp.body"
"""What a signature may be made over: the raw body, or other headers' values and a dot before it."""


@dataclass(frozen=True, slots=True)
class HmacSha256:
    """An HMAC-SHA256 in a header, such as ``<header>: sha256=<hex digest>``.

    header: the one with the digest, with ``prefix`` before it or bare.
    signed: what it is made over: ``body``, ``timestamp.body`` or ``id.timestamp.body``. A timestamp that
        is signed must be within the tolerance.
    timestamp_header: ISO 8601, or seconds or milliseconds since 1970.
    encoding: ``hex`` or ``base64``.
    """

    scheme: str
    header: str
    timestamp_header: str | None = None
    id_header: str | None = None
    signed: str = BODY
    encoding: str = "hex"
    prefix: str = "sha256="

    def __post_init__(self) -> None:
        if self.signed not in (BODY, TIMESTAMP_BODY, ID_TIMESTAMP_BODY):
            raise ValueError("signed: use body, timestamp.body or id.timestamp.body")
        if self.encoding not in ("hex", "base64"):
            raise ValueError("encoding: use hex or base64")
        for header, what in ((self.timestamp_header, "timestamp"), (self.id_header, "id")):
            if header is None and what in self.signed.split("."):
                raise ValueError(f"{what}_header: name it, since {self.signed} is signed")

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    @property
    def signed_id_header(self) -> str | None:
        """The header with the id, where the signature is made over it."""
        return self.id_header if "id" in self.signed.split(".") else None

    def check_secret(self, secret: str) -> None:
        """Any text is a secret of this scheme."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """See ``Authentication.verify``."""
        require_secret(secrets)
        given = _header(headers, self.header).removeprefix(self.prefix)
        parts = [_header(headers, name) for name in self._signed_headers]
        if TIMESTAMP_BODY in self.signed:
            check_tolerance(parts[-1], now)
        # WSGI hands header bytes over as latin-1; back to the bytes, to sign and compare those.
        before = [part.encode("latin-1", "replace") for part in parts]
        digits = (given.lower() if self.encoding == "hex" else given).encode("latin-1", "replace")
        signed = b".".join((*before, body))
        matches = [hmac.compare_digest(self._digest(secret, signed), digits) for secret in secrets]
        if not any(matches):
            raise Unauthenticated(INVALID)

    def sign(self, body: bytes, secret: str, now: datetime, identifier: str) -> dict[str, str]:
        """See ``Signer.sign``."""
        values = {self.id_header: identifier, self.timestamp_header: format_utc(now)}
        headers = {name: values[name] for name in self._signed_headers}
        signed = b".".join((*(value.encode() for value in headers.values()), body))
        return {**headers, self.header: self.prefix + self._digest(secret, signed).decode()}

    @property
    def _signed_headers(self) -> tuple[str, ...]:
        """The headers whose values are signed, in that order."""
        names = {"id": self.id_header, "timestamp": self.timestamp_header}
        return tuple(name for part in self.signed.split(".") if (name := names.get(part)))

    def _digest(self, secret: str, signed: bytes) -> bytes:
        digest = hmac.new(secret.encode(), signed, hashlib.sha256)
        if self.encoding == "hex":
            return digest.hexdigest().encode()
        return base64.b64encode(digest.digest())


_DIGITS_OF_MILLISECONDS = 13


def check_tolerance(timestamp: str, now: datetime, tolerance: timedelta = TOLERANCE) -> None:
    """Raise Unauthenticated unless a moment of signing is near ``now``: ISO 8601, or seconds or
    milliseconds since 1970.
    """
    try:
        if timestamp.isascii() and timestamp.isdigit():
            seconds = (
                int(timestamp) / 1000
                if len(timestamp) >= _DIGITS_OF_MILLISECONDS
                else int(timestamp)
            )
            sent = parse_unix_seconds(seconds)
        else:
            sent = parse_timestamp(timestamp)
        difference = abs(now - to_utc(sent, UTC))
    except (ValueError, OverflowError):
        raise Unauthenticated(INVALID, "The signature's timestamp is not ISO 8601") from None
    if difference > tolerance:
        raise Unauthenticated(INVALID, "The signature's timestamp is outside the tolerance")


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """The secret in a header, after ``prefix``. Only as safe as the connection: use it over TLS."""

    header: str = "X-Webhook-Secret"
    scheme: str = "shared-secret"
    prefix: str = ""

    @property
    def headers(self) -> tuple[str, ...]:
        return (self.header.lower(),)

    def check_secret(self, secret: str) -> None:
        """Any text is a secret of this scheme."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """See ``Authentication.verify``."""
        require_secret(secrets)
        # WSGI hands header bytes over as latin-1; back to the bytes, to compare those.
        given = _header(headers, self.header).encode("latin-1", "replace")
        wanted = [(self.prefix + secret).encode() for secret in secrets]
        matches = [hmac.compare_digest(secret, given) for secret in wanted]
        if not any(matches):
            raise Unauthenticated(INVALID)

    def sign(self, body: bytes, secret: str, now: datetime, identifier: str) -> dict[str, str]:
        """See ``Signer.sign``."""
        return {self.header: (self.prefix + secret).encode().decode("latin-1")}


@dataclass(frozen=True, slots=True)
class StandardWebhooks:
    """Standard Webhooks: ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature``."""

    scheme: str = "standard-webhooks"
    headers: tuple[str, ...] = ("webhook-signature",)
    timestamp_header: str = "webhook-timestamp"
    signed_id_header: str = "webhook-id"

    def check_secret(self, secret: str) -> None:
        """A secret is Base64, with or without ``whsec_`` before it."""
        from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

        try:
            # The library itself skips over what is no Base64.
            digits = secret.removeprefix("whsec_").rstrip("=")
            base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
            Webhook(secret)
        except (ValueError, EmptyWebhookSecretError):
            raise ValueError("a Standard Webhooks secret is Base64, often after 'whsec_'") from None

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """See ``Authentication.verify``. The library reads the clock itself."""
        from standardwebhooks.webhooks import Webhook, WebhookVerificationError

        require_secret(secrets)
        credentials = {
            name: _header(headers, name)
            for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
        }
        for secret in secrets:
            try:
                Webhook(secret).verify(body, credentials, json_parse=False)
                return
            # A malformed credential leaves the library as some ValueError.
            except (WebhookVerificationError, ValueError):
                continue
        raise Unauthenticated(INVALID)

    def sign(self, body: bytes, secret: str, now: datetime, identifier: str) -> dict[str, str]:
        """See ``Signer.sign``."""
        from standardwebhooks.webhooks import Webhook

        moment = now.replace(tzinfo=UTC)
        return {
            "webhook-id": identifier,
            "webhook-timestamp": str(int(moment.timestamp())),
            # The scheme's library knows text only: no signature of other bytes is right.
            "webhook-signature": Webhook(secret).sign(
                identifier, moment, body.decode("utf-8", "replace")
            ),
        }


@dataclass(frozen=True, slots=True)
class WhenSigned:
    """Another scheme, checked where the credential is there; a request without one passes.

    For the time in which a sender moves to signing its requests.
    """

    inner: Authentication

    @property
    def scheme(self) -> str:
        return self.inner.scheme

    @property
    def headers(self) -> tuple[str, ...]:
        return self.inner.headers

    def check_secret(self, secret: str) -> None:
        """See the inner scheme."""
        self.inner.check_secret(secret)

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """See ``Authentication.verify``."""
        if self.is_signed(headers):
            self.inner.verify(headers, body, secrets, now)

    def is_signed(self, headers: Mapping[str, str]) -> bool:
        """Whether a request has a credential."""
        return any(headers.get(name) is not None for name in self.headers)


def signed_id(scheme: Authentication, headers: Mapping[str, str]) -> str | None:
    """The header with the id that the signature of a verified request is made over; None where it is over
    none. Names are in lower case.
    """
    if isinstance(scheme, Open):
        return None
    if isinstance(scheme, WhenSigned):
        return signed_id(scheme.inner, headers) if scheme.is_signed(headers) else None
    name: str | None = getattr(scheme, "signed_id_header", None)
    return name.lower() if name else None


def is_trusted(scheme: Authentication, headers: Mapping[str, str]) -> bool:
    """Whether a verified request has proved where it comes from."""
    if isinstance(scheme, WhenSigned):
        return scheme.is_signed(headers)
    return not isinstance(scheme, Open)


def told_headers(scheme: Authentication) -> tuple[str, ...]:
    """The headers of a scheme that are no credentials, in lower case: its timestamp, and its id."""
    if isinstance(scheme, WhenSigned):
        return told_headers(scheme.inner)
    names = (getattr(scheme, name, None) for name in ("timestamp_header", "signed_id_header"))
    return tuple(name.lower() for name in names if name)


OPEN = Open()
WEBHOOK_SIGNATURE = HmacSha256("webhook", "X-Webhook-Signature")
GITHUB_SIGNATURE = HmacSha256("github", "X-Hub-Signature-256")
ONETAP_SIGNATURE = HmacSha256("onetap", "X-Onetap-Signature", "X-Onetap-Timestamp")


@dataclass(frozen=True, slots=True)
class HubToken:
    """One of the hub's own tokens, as ``Authorization: Bearer <token>``. It needs ``scope``; it may be
    bound to some sources.

    The hub checks it itself (``hub.intake.tokens``): a scheme has no store in its hands.
    """

    scope: str = "post"
    scheme: str = "token"
    headers: tuple[str, ...] = ("authorization",)

    def check_secret(self, secret: str) -> None:
        """Any secret will do; none is used."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """Refuse every request: it is for the hub to say which token is right."""
        raise Unauthenticated("Missing token", "Send: Authorization: Bearer <token>")


SHARED_SECRET = SharedSecret()
BEARER = SharedSecret("Authorization", "bearer", "Bearer ")
HUB_TOKEN = HubToken()
STANDARD_WEBHOOKS = StandardWebhooks()

SCHEMES: Mapping[str, Authentication] = {
    scheme.scheme: scheme
    for scheme in (
        OPEN,
        WEBHOOK_SIGNATURE,
        GITHUB_SIGNATURE,
        ONETAP_SIGNATURE,
        SHARED_SECRET,
        STANDARD_WEBHOOKS,
        HUB_TOKEN,
    )
}
"""The schemes by the name that the configuration uses."""


def signing_timestamp(scheme: HmacSha256) -> HmacSha256:
    """The same scheme, with the timestamp as a part of what is signed."""
    return replace(scheme, signed=TIMESTAMP_BODY)
