"""The table of signatures: every way to write an HMAC (RFC 2104) or an Ed25519 signature (RFC 8032) in a
request, as data.

A template says how the credential is written, another one what is signed. In both, ``{…}`` is a part::

    Hmac("a", "X-Zm-Signature", value="v0={sig}", signed="v0:{header:X-Zm-Request-Timestamp}:{body}")
    Hmac("b", "Stripe-Signature", value="t={t},v1={sig}", signed="{t}.{body}")
    Hmac("c", "X-Twilio-Signature", signed="{url}{form:sorted}", algorithm="sha1", encoding="base64")

The parts of what is signed: ``body``, ``url``, ``method``, ``path``, ``query``, ``form:sorted`` (name and
value of each member but the credential's own, sorted), any place (``hub.wire.request``), and whatever
the value's template names.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Protocol, runtime_checkable

from hub.errors import Refused, Unauthenticated
from hub.wire.request import Place, Request
from hub.wire.signatures import INVALID, check_tolerance, require_secret

ALGORITHMS = ("sha1", "sha256", "sha384", "sha512", "md5")
ENCODINGS = ("hex", "base64", "base64url")
KEYS = ("text", "base64", "hex")

_PART = re.compile(r"\{([^{}]+)\}")
_MOST_SIGNATURES = 10


@runtime_checkable
class RequestAuthentication(Protocol):
    """A way to prove where a request comes from that looks at all of the request.

    ``scheme`` is its name; ``places`` are those that carry credentials, which are never kept.
    """

    @property
    def scheme(self) -> str: ...

    @property
    def places(self) -> tuple[Place, ...]: ...

    def check_secret(self, secret: str) -> None:
        """Raise ValueError, without repeating the secret, if it cannot be one of this scheme."""

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """Raise Unauthenticated unless one of ``secrets`` made the request's credential.

        ``now`` is naive and in UTC. Raises NotConfigured where there is no secret.
        """


def hidden_places(scheme: object) -> tuple[Place, ...]:
    """Where in a request a scheme's credentials stand, headers left out."""
    places = scheme.places if isinstance(scheme, RequestAuthentication) else ()
    return tuple(place for place in places if place.kind != "header")


@runtime_checkable
class RequestSigner(Protocol):
    """What a scheme that can sign too has beside ``RequestAuthentication``, for who tries a source."""

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """The request, proving where it comes from. ``now`` is naive and in UTC; ``identifier`` names the
        request, where the scheme signs one.
        """


class OverRequest:
    """What all that look at a request have of ``hub.Authentication``."""

    places: tuple[Place, ...]

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that carry credentials."""
        return tuple(place.name for place in self.places if place.kind == "header")

    def check_secret(self, secret: str) -> None:
        """Any text is a secret of this scheme."""

    def verify(
        self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str], now: datetime
    ) -> None:
        """See ``Authentication.verify``: a request that has nothing but headers and a body."""
        raise Unauthenticated(INVALID, "It is made over the whole request")


@dataclass(frozen=True)
class _Signed(OverRequest):
    """A signature in a request: where it is, how it is written, and what it is made over.

    place: where the credential is, such as ``X-Signature`` or ``query:sig``.
    value: how it is written there. Where it has several members (``t={t},v1={sig}``), they may come in
        any order, further ones are passed over, and of several signatures one must be right.
    signed: what it is made over.
    encoding: ``hex``, ``base64`` or ``base64url``.
    timestamp: the place of the moment of signing, or its name in ``value`` (``t`` is found by itself); it
        must be signed too. It is ISO 8601, or seconds or milliseconds since 1970.
    tolerance: how far it may be from the hub's clock, in seconds.
    identifier: the header with an id of the request, where that is signed: it is the delivery's key.
    """

    scheme: str
    place: str
    value: str = "{sig}"
    signed: str = "{body}"
    encoding: str = "hex"
    timestamp: str = ""
    tolerance: float = 300
    identifier: str = ""

    def __post_init__(self) -> None:
        Place.of(self.place)
        names = _PART.findall(self.value)
        if names.count("sig") != 1:
            raise ValueError(f"value: {self.value!r} must have one {{sig}}")
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding: use one of {', '.join(ENCODINGS)}")
        if self.identifier and f"header:{self.identifier}".lower() not in self.signed.lower():
            raise ValueError(f"identifier: {self.identifier} is not signed; what is not is no key")
        for part in _PART.findall(self.signed):
            if part not in names and part not in _WHOLE:
                try:
                    Place.of(part)
                except ValueError as error:
                    raise ValueError(f"signed: {error}") from None
                if ":" not in part:
                    raise ValueError(f"signed: {{{part}}} is not known; write {{header:{part}}}")
        if self._moment and not self._signs(self._moment):
            raise ValueError(f"timestamp: {self._moment} is not signed, so it proves nothing")

    @cached_property
    def places(self) -> tuple[Place, ...]:  # type: ignore[override]
        """See ``RequestAuthentication.places``."""
        return (Place.of(self.place),)

    @property
    def timestamp_header(self) -> str | None:
        """The header with the moment of signing, which is no credential."""
        place = None if self._moment in ("", *_names(self.value)) else Place.of(self._moment)
        return place.name if place is not None and place.kind == "header" else None

    @property
    def signed_id_header(self) -> str | None:
        """The header with the id that is signed."""
        return self.identifier or None

    @cached_property
    def _moment(self) -> str:
        return self.timestamp or ("t" if "t" in _names(self.value) else "")

    def _signs(self, name: str) -> bool:
        own = {str(Place.of(one)) if ":" in one else one for one in _PART.findall(self.signed)
               if one not in _WHOLE}  # fmt: skip
        return name in own or (name not in _names(self.value) and str(Place.of(name)) in own)

    def _read(self, request: Request) -> Mapping[str, list[str]]:
        """What stands in the credential, by name in its template. Raises Unauthenticated."""
        (place,) = self.places
        found = place.all_in(request)
        if not found or not found[0].strip():
            raise Unauthenticated(
                f"Missing {place.told}", "This endpoint takes signed requests only"
            )
        if len(found) > 1:
            raise Unauthenticated(INVALID, f"{place.told} comes twice")
        told = _template(self.value)(found[0].strip())
        if not told.get("sig"):
            raise Unauthenticated(INVALID, f"Write {place.told} as {self.value}")
        for name, values in told.items():
            if name != "sig" and len(values) != 1:
                raise Unauthenticated(INVALID, f"{name} must come once in {place.told}")
        return told

    def _check_moment(self, request: Request, told: Mapping[str, list[str]], now: datetime) -> None:
        name = self._moment
        if not name:
            return
        given = told[name][0] if name in told else Place.of(name).in_(request)
        if not given:
            raise Unauthenticated(
                f"Missing {Place.of(name).told}", "The moment of signing is signed too"
            )
        check_tolerance(given, now, timedelta(seconds=self.tolerance))

    def _content(self, request: Request, told: Mapping[str, list[str]]) -> bytes:
        """What is signed. Raises Unauthenticated where a part of it is missing."""
        pieces = []
        for is_part, text in _pieces(self.signed):
            if not is_part:
                pieces.append(text.encode())
            elif text == "body":
                pieces.append(request.body)
            elif text in told:
                pieces.append(told[text][0].encode("latin-1", "replace"))
            elif text == "form:sorted":
                (own,) = self.places
                pieces.append(_sorted_form(request, own.name if own.kind == "form" else None))
            else:
                pieces.append(_part(request, text))
        return b"".join(pieces)

    def _signatures(self, told: Mapping[str, list[str]]) -> list[bytes]:
        """The signatures as bytes; none for what cannot be one."""
        return [
            decoded
            for one in told["sig"][:_MOST_SIGNATURES]
            if (decoded := _decoded(one.strip(), self.encoding)) is not None
        ]

    def _prepared(
        self, request: Request, now: datetime, identifier: str
    ) -> tuple[Request, dict[str, list[str]]]:
        """A request that has all that is signed beside it, and what stands in the credential."""
        told: dict[str, list[str]] = {}
        seconds = str(int(now.replace(tzinfo=UTC).timestamp()))
        if self.identifier:
            request = Place.of(self.identifier).put(request, identifier)
        for is_part, text in _pieces(self.signed):
            if is_part and text.startswith("header:") and Place.of(text).in_(request) is None:
                request = Place.of(text).put(request, identifier)
        if self._moment in _names(self.value):
            told[self._moment] = [seconds]
        elif self._moment:
            request = Place.of(self._moment).put(request, seconds)
        for name in _names(self.value):
            if name != "sig" and name not in told:
                told[name] = [identifier]
        return request, told

    def _written(
        self, request: Request, told: Mapping[str, list[str]], signature: bytes
    ) -> Request:
        values = {**{name: one[0] for name, one in told.items()}, "sig": self._encoded(signature)}
        text = _PART.sub(lambda found: values[found[1]], self.value)
        return Place.of(self.place).put(request, text)

    def _encoded(self, signature: bytes) -> str:
        if self.encoding == "hex":
            return signature.hex()
        encode = base64.b64encode if self.encoding == "base64" else base64.urlsafe_b64encode
        return encode(signature).decode()


@dataclass(frozen=True)
class Hmac(_Signed):
    """An HMAC. ``algorithm`` is one of ``ALGORITHMS``; ``key`` says how the secret is written: ``text``,
    ``base64`` or ``hex``; ``key_prefix`` is left out before that.
    """

    algorithm: str = "sha256"
    key: str = "text"
    key_prefix: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm: use one of {', '.join(ALGORITHMS)}")
        if self.key not in KEYS:
            raise ValueError(f"key: use one of {', '.join(KEYS)}")

    def check_secret(self, secret: str) -> None:
        """See ``Authentication.check_secret``."""
        if self._key(secret) is None:
            raise ValueError(f"a secret of the scheme {self.scheme} is written as {self.key}")

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        require_secret(secrets)
        told = self._read(request)
        self._check_moment(request, told, now)
        content = self._content(request, told)
        given = self._signatures(told)
        matches = [
            hmac.compare_digest(self._digest(secret, content), one)
            for secret in secrets
            for one in given
        ]
        if not any(matches):
            raise Unauthenticated(INVALID)

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """See ``RequestSigner.sign_request``."""
        request, told = self._prepared(request, now, identifier)
        return self._written(request, told, self._digest(secret, self._content(request, told)))

    def _digest(self, secret: str, content: bytes) -> bytes:
        return hmac.digest(self._key(secret) or b"", content, self.algorithm)

    def _key(self, secret: str) -> bytes | None:
        secret = secret.removeprefix(self.key_prefix)
        return secret.encode() if self.key == "text" else _decoded(secret, self.key)


@dataclass(frozen=True)
class Ed25519(_Signed):
    """An Ed25519 signature; the secret is the sender's public key, in hex. Needs the extra ``keys``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_keys()

    def check_secret(self, secret: str) -> None:
        """A public key has 32 bytes, in hex."""
        key = _decoded(secret, "hex")
        if key is None or len(key) != 32:
            raise ValueError("the secret of Ed25519 is the sender's public key: 64 hex digits")

    def verify_request(self, request: Request, secrets: Sequence[str], now: datetime) -> None:
        """See ``RequestAuthentication.verify_request``."""
        require_secret(secrets)
        told = self._read(request)
        self._check_moment(request, told, now)
        content = self._content(request, told)
        # Late, as it takes some time: not at each start.
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for secret in secrets:
            for signature in self._signatures(told):
                try:
                    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(secret))
                    key.verify(signature, content)
                    return
                except (InvalidSignature, ValueError):
                    continue
        raise Unauthenticated(INVALID)

    def sign_request(
        self, request: Request, secret: str, now: datetime, identifier: str
    ) -> Request:
        """See ``RequestSigner.sign_request``; ``secret`` is the private key, in hex."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        request, told = self._prepared(request, now, identifier)
        key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
        return self._written(request, told, key.sign(self._content(request, told)))


@cache
def has_keys() -> bool:
    """Whether the libraries of the extra ``keys`` are there."""
    from importlib.util import find_spec

    return all(find_spec(name) is not None for name in ("cryptography", "jwt"))


def require_keys() -> None:
    """Raise ValueError where the libraries of the extra ``keys`` are missing."""
    if not has_keys():
        raise ValueError("it needs the extra keys: pip install 'attendance-hub[keys]'")


_WHOLE: Mapping[str, Callable[[Request], bytes]] = {
    "body": lambda request: request.body,
    "url": lambda request: request.url.encode("latin-1", "replace"),
    "method": lambda request: request.method.encode(),
    "path": lambda request: request.path.encode("latin-1", "replace"),
    "query": lambda request: request.query.encode("latin-1", "replace"),
    "form:sorted": lambda request: _sorted_form(request),
    "sha256:body": lambda request: hashlib.sha256(request.body).hexdigest().encode(),
}


def _part(request: Request, name: str) -> bytes:
    made = _WHOLE.get(name)
    if made is not None:
        return made(request)
    place = Place.of(name)
    value = place.in_(request)
    if value is None:
        raise Unauthenticated(f"Missing {place.told}", "It is a part of what is signed")
    return place.encoded(value)


def _sorted_form(request: Request, but: str | None = None) -> bytes:
    """Name and value of each member ``but`` one, sorted and joined (Twilio, "Validating requests")."""
    try:
        pairs = sorted({pair for pair in request.form_pairs if pair[0] != but})
        return "".join(f"{name}{value}" for name, value in pairs).encode()
    except Refused:
        raise Unauthenticated(INVALID, "The body is no form") from None


@lru_cache(maxsize=256)
def _names(template: str) -> tuple[str, ...]:
    return tuple(_PART.findall(template))


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[tuple[bool, str], ...]:
    """The parts of a template, in order: whether each stands for something, and its text."""
    return tuple((at % 2 == 1, text) for at, text in enumerate(_PART.split(template)) if text)


@lru_cache(maxsize=256)
def _template(value: str) -> Callable[[str], dict[str, list[str]]]:
    """What reads a credential that is written so, to the texts by name."""
    names = _PART.findall(value)
    separator = next((one for one in (",", ";", " ") if one in _PART.sub("", value)), "")
    members = [one.strip() for one in value.split(separator)] if separator else [value]
    if len(members) < 2 or len(names) < 2:
        before, _, after = value.partition("{sig}")

        def read(text: str) -> dict[str, list[str]]:
            fits = text.startswith(before) and text.endswith(after)
            return {"sig": [text[len(before) : len(text) - len(after)]]} if fits else {}

        return read
    wanted = {}
    for member in members:
        found = _PART.search(member)
        if found is None or _PART.fullmatch(member):
            raise ValueError(f"value: write its members as name={{…}}, not {member!r}")
        wanted[member[: found.start()]] = found[1]

    def read_members(text: str) -> dict[str, list[str]]:
        told: dict[str, list[str]] = {name: [] for name in wanted.values()}
        for member in text.split(separator):
            for before, name in wanted.items():
                if member.strip().startswith(before):
                    told[name].append(member.strip()[len(before) :].strip('"'))
        return told

    return read_members


def _decoded(text: str, encoding: str) -> bytes | None:
    try:
        if encoding == "hex":
            return bytes.fromhex(text) if text.isascii() else None
        digits = text + "=" * (-len(text) % 4)
        if encoding == "base64":
            return base64.b64decode(digits, validate=True)
        return base64.b64decode(digits, altchars=b"-_", validate=True)
    except ValueError:
        return None
