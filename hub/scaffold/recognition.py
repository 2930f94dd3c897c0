"""Recognising a signature: which scheme, made over what, fits a captured request and a secret."""

import base64
import binascii
import hashlib
import hmac
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import parse_timestamp
from hub.scaffold.look import request_of
from hub.scaffold.spellings import SHORTEST_SHARED, bases, spelled
from hub.wire.credentials import SecretIn
from hub.wire.hmacs import RequestAuthentication
from hub.wire.request import Place, Request, as_written
from hub.wire.signatures import (
    BODY,
    GITHUB_SIGNATURE,
    ID_TIMESTAMP_BODY,
    SHARED_SECRET,
    STANDARD_WEBHOOKS,
    TIMESTAMP_BODY,
    WEBHOOK_SIGNATURE,
    Authentication,
    HmacSha256,
    SharedSecret,
)

_DIGEST = re.compile(
    r"(?P<prefix>(?:[A-Za-z0-9-]+[=, :])?)(?P<digest>[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=)"
)
_WORD_BEFORE = re.compile(r"(?:[A-Za-z]{1,20} )?")
_SUSPICIOUS = (
    "signature",
    "authorization",
    "token",
    "secret",
    "api-key",
    "apikey",
    "hmac",
    "sign",
    "auth",
)
_USUAL = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "connection", "content-length", "content-type",
        "cookie",
        "host", "user-agent", "forwarded", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "via",
    }
)  # fmt: skip


def recognise(
    requests: Sequence[CapturedRequest],
    secrets: Sequence[str],
    scheme: str,
    public_url: str = "",
) -> Authentication | None:
    """The first scheme that fits all the requests with one of the secrets; None if none does.

    ``scheme`` is the name of one that is not the hub's own; ``public_url`` how a URL may begin.
    """
    for secret in secrets:
        usual = _candidates(requests[0], secret, scheme)
        candidate: Any
        for candidate in itertools.chain(usual, spelled(requests[0], secret, scheme)):
            if all(fits(candidate, request, secret, public_url) for request in requests):
                found: Authentication = candidate
                return found
    return None


def suspicious(requests: Sequence[CapturedRequest]) -> list[str]:
    """The headers that look like credentials, as they are written."""
    found = {
        as_written(name)
        for request in requests
        for name, value in request.headers.items()
        if name not in _USUAL
        and (any(word in name for word in _SUSPICIOUS) or _DIGEST.fullmatch(value.strip()))
    }
    return sorted(found)


def fits(
    scheme: Authentication, request: CapturedRequest, secret: str, public_url: str = ""
) -> bool:
    """Whether a scheme accepts a request, judged at the time when it was sent. A URL that is signed may
    begin with ``public_url``.
    """
    if scheme is STANDARD_WEBHOOKS:
        return _is_standard(request, secret)
    if isinstance(scheme, RequestAuthentication):
        every = bases(request, public_url)
        return any(_fits_at(scheme, request, secret, base) for base in every)
    try:
        scheme.verify(request.headers, request.body, (secret,), _sent_at(scheme, request))
    except Exception:
        return False
    return True


def _fits_at(
    scheme: RequestAuthentication, captured: CapturedRequest, secret: str, base: str
) -> bool:
    request = request_of(captured, base)
    now = captured.received_at
    if isinstance(scheme, SecretIn) and scheme.places[0].kind == "path":
        steps = [unquote(one) for one in request.path.split("/")]
        request = replace(
            request, parts={"secret": next((one for one in steps if one == secret), "")}
        )
    moment = getattr(scheme, "_moment", "")
    if moment:
        told = _moment_in(scheme, request, moment)
        now = told or now
    try:
        scheme.check_secret(secret)
        scheme.verify_request(request, (secret,), now)
    except Exception:
        return False
    return True


def _moment_in(scheme: Any, request: Request, name: str) -> datetime | None:
    """The moment of signing, wherever a scheme has it."""
    try:
        own = Place.of(scheme.place).in_(request) or ""
        inside = re.search(r"(?:^|[,; ])\s*[A-Za-z0-9_]+=([0-9]{10,13})(?=$|[,; ])", own)
        text = inside[1] if name == "t" and inside else Place.of(name).in_(request)
    except ValueError:
        return None
    return _moment(text or "")


def _candidates(request: CapturedRequest, secret: str, scheme: str) -> Iterator[Authentication]:
    if "webhook-signature" in request.headers:
        yield STANDARD_WEBHOOKS
    for name, value in request.headers.items():
        before = value.strip().removesuffix(secret)
        # What stands before the secret is written into a module: a word such as Bearer, nothing else.
        is_secret = value.strip() != before and _WORD_BEFORE.fullmatch(before)
        if is_secret and name not in _USUAL and len(secret) >= SHORTEST_SHARED:
            yield _shared(name, before)
    for name, value in request.headers.items():
        found = _DIGEST.fullmatch(value.strip())
        if found is None or name in _USUAL:
            continue
        encoding, digest = _decoded(found["digest"])
        for signed, timestamp, identifier in _signed(request.headers, name):
            parts = [request.headers[one] for one in (identifier, timestamp) if one]
            content = b".".join(
                (*(part.encode("latin-1", "replace") for part in parts), request.body)
            )
            made = hmac.new(secret.encode(), content, hashlib.sha256).digest()
            if hmac.compare_digest(made, digest):
                yield _hmac(scheme, name, signed, timestamp, identifier, encoding, found["prefix"])


def _signed(headers: Mapping[str, str], own: str) -> Iterator[tuple[str, str | None, str | None]]:
    """What may be signed: the body, a moment before it, an id before both; and the headers' names."""
    others = {
        name: value.strip() for name, value in headers.items() if name not in _USUAL and name != own
    }
    timestamps = [name for name, value in others.items() if _moment(value) is not None]
    yield BODY, None, None
    for timestamp in timestamps:
        yield TIMESTAMP_BODY, timestamp, None
    for timestamp in timestamps:
        for identifier in others:
            if identifier != timestamp:
                yield ID_TIMESTAMP_BODY, timestamp, identifier


def _hmac(
    scheme: str,
    header: str,
    signed: str,
    timestamp: str | None,
    identifier: str | None,
    encoding: str,
    prefix: str,
) -> HmacSha256:
    for known in (WEBHOOK_SIGNATURE, GITHUB_SIGNATURE):
        is_its_form = (signed, encoding, prefix) in ((BODY, "hex", "sha256="), (BODY, "hex", ""))
        if known.header.lower() == header and is_its_form:
            return known
    named = [as_written(name) if name else None for name in (timestamp, identifier)]
    return HmacSha256(scheme, as_written(header), named[0], named[1], signed, encoding, prefix)


def _shared(header: str, prefix: str) -> SharedSecret:
    if header == SHARED_SECRET.header.lower() and not prefix:
        return SHARED_SECRET
    return SharedSecret(as_written(header), prefix=prefix)


def _decoded(digest: str) -> tuple[str, bytes]:
    if len(digest) == 64:
        return "hex", bytes.fromhex(digest)
    try:
        return "base64", base64.b64decode(digest, validate=True)
    except binascii.Error:
        return "base64", b""


def _is_standard(request: CapturedRequest, secret: str) -> bool:
    from standardwebhooks.webhooks import Webhook

    try:
        STANDARD_WEBHOOKS.check_secret(secret)
        identifier = request.headers["webhook-id"]
        sent = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), tz=UTC)
        made = Webhook(secret).sign(identifier, sent, request.body.decode())
    except (KeyError, ValueError, OverflowError):
        return False
    return made in request.headers.get("webhook-signature", "").split()


def _sent_at(scheme: Authentication, request: CapturedRequest) -> datetime:
    header = getattr(scheme, "timestamp_header", None)
    return _moment(request.headers.get((header or "").lower(), "")) or request.received_at


def _moment(text: str) -> datetime | None:
    """A header's value as a naive moment in UTC, if it is one."""
    try:
        if text.isdigit() and len(text) in (10, 13):
            moment = datetime.fromtimestamp(int(text[:10]), tz=UTC)
        else:
            moment = parse_timestamp(text)
    except (ValueError, OverflowError):
        return None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
