"""The table of spellings: every way to write a credential that a source can say, tried with a secret."""

import base64
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote

from hub.domain.captures import CapturedRequest
from hub.errors import Refused
from hub.scaffold.look import request_of
from hub.wire.credentials import Basic, SecretIn
from hub.wire.hmacs import Ed25519, Hmac, RequestAuthentication
from hub.wire.jwt import Jwt
from hub.wire.request import FORM_TYPE, Place, Request, as_written

SHORTEST_SHARED = 6
"""Characters of a secret that is looked for in a request as it is."""

_MEMBER = re.compile(r"([A-Za-z0-9_]+)=(.*)")
_LENGTHS = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
_MOMENT = re.compile(r"[0-9]{10}|[0-9]{13}|\d{4}-\d\d-\d\dT\S+")
_LONGEST = 300


def spelled(captured: CapturedRequest, secret: str, name: str) -> Iterator[RequestAuthentication]:
    """The schemes over the whole request that a secret may fit; whoever calls tries them."""
    request = request_of(captured)
    yield from _shown(request, secret)
    places = list(_places(request))
    for place, text in places:
        yield from _hmacs(request, place, text, places, name)
    yield from _keys(request, name, places)


def bases(captured: CapturedRequest, public_url: str = "") -> list[str]:
    """How the URL may have begun that a signature is made over."""
    host = captured.headers.get("x-forwarded-host") or captured.headers.get("host", "")
    found = [public_url.rstrip("/")] if public_url else []
    return found + ([f"{scheme}://{host}" for scheme in ("https", "http")] if host else [""])


def _places(request: Request) -> Iterator[tuple[Place, str]]:
    """Every short text of a request, and where it stands."""
    for header, value in request.headers.items():
        yield Place("header", header), value.strip()
    for kind in ("query", "form"):
        try:
            pairs = request.query_pairs if kind == "query" else _form_pairs(request)
        except Refused:
            continue
        for member, value in pairs:
            if member and value and len(value) <= _LONGEST:
                yield Place(kind, member), value
    try:
        document = request.json
    except Refused:
        return
    yield from _leaves(document, "")


def _form_pairs(request: Request) -> list[tuple[str, str]]:
    content_type = request.headers.get("content-type", "").lower()
    is_form = content_type.startswith(FORM_TYPE) or request.is_multipart
    return request.form_pairs if is_form else []


def _leaves(value: Any, pointer: str) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict) and pointer.count("/") < 4:
        for member, inner in value.items():
            if member and "/" not in member and "~" not in member:
                yield from _leaves(inner, f"{pointer}/{member}")
    elif isinstance(value, str) and value and len(value) <= _LONGEST and pointer:
        yield Place("json", pointer), value


def _shown(request: Request, secret: str) -> Iterator[RequestAuthentication]:
    """The secret itself, or in the form that Basic has."""
    if len(secret) < SHORTEST_SHARED:
        return
    for place, text in _places(request):
        if text == secret and place.kind != "header":
            yield SecretIn(str(place))
    if secret in map(unquote, request.path.split("/")):
        yield SecretIn("path:secret")
    kind, _, digits = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(digits, validate=True).decode().partition(":")
        except ValueError:
            return
        if f"{user}:{password}" == secret:
            yield Basic()
        # A user is no secret, but may be a person: only a plain word is written down.
        elif password == secret and re.fullmatch(r"[a-z][a-z0-9_-]{0,20}", user):
            yield Basic(user)


def _hmacs(
    request: Request,
    place: Place,
    text: str,
    places: Sequence[tuple[Place, str]],
    name: str,
) -> Iterator[RequestAuthentication]:
    """HMACs that stand at a place."""
    for value, digest, moment in _values(text):
        for algorithm, encoding in _decodings(digest):
            for signed, timestamp in _contents(request, place, places, moment):
                with suppress(ValueError):  # what cannot be said is no spelling
                    yield Hmac(
                        name,
                        _written(place),
                        value=value,
                        signed=signed,
                        encoding=encoding,
                        timestamp="" if timestamp == "t" else timestamp,
                        algorithm=algorithm,
                        identifier=_identifier(signed, timestamp),
                    )


def _identifier(signed: str, timestamp: str) -> str:
    """The header with an id of the request, where one is signed beside a moment."""
    named = [Place.of(one) for one in re.findall(r"\{(header:[^{}]+)\}", signed)]
    others = [one for one in named if _written(one) != timestamp]
    return _written(others[0]) if len(others) == 1 and (timestamp or len(named) > 1) else ""


def _values(text: str) -> Iterator[tuple[str, str, str]]:
    """How a credential may be written: the template, the digest in it, and the name of a moment in it."""
    if len(text) > _LONGEST or not text:
        return
    for separator in (",", ";", " "):
        members = [
            found for one in text.split(separator) if (found := _MEMBER.fullmatch(one.strip()))
        ]
        named = {found[1]: found[2] for found in members}
        moments = [key for key, value in named.items() if _MOMENT.fullmatch(value)]
        digests = [key for key, value in named.items() if len(value) >= 22 and key not in moments]
        if len(members) > 1 and moments and digests:
            for key in digests:
                # The names as they are written; the moment is called t whatever its name.
                yield f"{moments[0]}={{t}}{separator}{key}={{sig}}", named[key], "t"
    before = re.fullmatch(r"([A-Za-z0-9-]{1,20}[=, :])?(\S+)", text)
    if before is not None:
        yield f"{before[1] or ''}{{sig}}", before[2], ""
        if before[1]:
            yield "{sig}", text, ""


def _decodings(digest: str) -> Iterator[tuple[str, str]]:
    """Which algorithm has a digest of this length, and how it is encoded."""
    for algorithm, length in _LENGTHS.items():
        if re.fullmatch(rf"[0-9a-fA-F]{{{2 * length}}}", digest):
            yield algorithm, "hex"
        padded = 4 * -(-length // 3)
        plain = digest.rstrip("=")
        if len(plain) == -(-length * 8 // 6) and len(digest) in (padded, len(plain)):
            yield algorithm, "base64url" if set("-_") & set(plain) else "base64"


def _contents(
    request: Request, own: Place, places: Sequence[tuple[Place, str]], moment: str
) -> Iterator[tuple[str, str]]:
    """What may be signed, and where the moment stands: '' for none."""
    yield from (("{body}", ""), ("{sha256:body}", "")) if not moment else ()
    stamps = [("{t}", "t")] if moment else []
    others = [(place, value) for place, value in places if place != own]
    stamps += [
        (f"{{{place}}}", _written(place)) for place, value in others if _MOMENT.fullmatch(value)
    ]
    for stamp, where in stamps:
        for form in ("{0}.{{body}}", "{0}{{body}}", "v0:{0}:{{body}}", "{0}:{{body}}", "{{body}}{0}",
                     "{{body}}.{0}", "{0}\n{{body}}", "{{method}}{{url}}{{body}}{0}", "{0}",
                     "{0}{{method}}{{path}}{{body}}"):  # fmt: skip
            yield form.format(stamp), where
        for place, value in others:
            named = f"{{{place}}}"
            if named != stamp and place.kind in ("header", own.kind) and 4 <= len(value) <= 100:
                for pair in itertools.permutations((named, stamp)):
                    yield f"{pair[0]}.{pair[1]}.{{body}}", where
                    yield f"{pair[0]}{pair[1]}{{body}}", where
                    yield f"{pair[0]}{pair[1]}", where
    if moment:
        return
    for form in (
        "{url}{body}",
        "{body}{url}",
        "{url}",
        "{method}{url}{body}",
        "{path}{body}",
        "{query}",
    ):
        yield form, ""
    if request.headers.get("content-type", "").lower().startswith(FORM_TYPE):
        yield "{url}{form:sorted}", ""
        yield "{form:sorted}", ""


def _keys(
    request: Request, name: str, places: Sequence[tuple[Place, str]]
) -> Iterator[RequestAuthentication]:
    """Ed25519, and tokens whose key the secret is."""
    for place, text in places:
        if re.fullmatch(r"[0-9a-fA-F]{128}", text):
            for signed, timestamp in _contents(request, place, places, ""):
                with suppress(ValueError):
                    yield Ed25519(name, _written(place), signed=signed, timestamp=timestamp)
        token = text.removeprefix("Bearer ").strip()
        if token.startswith("eyJ") and token.count(".") == 2:
            prefix = "Bearer " if token != text else ""
            for algorithm in ("HS256", "HS384", "HS512", "RS256", "ES256", "EdDSA"):
                with suppress(ValueError):
                    yield Jwt(_written(place), prefix, algorithms=(algorithm,))


def _written(place: Place) -> str:
    return as_written(place.name) if place.kind == "header" else str(place)
