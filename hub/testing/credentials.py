"""Credentials that a source must not accept, made from one that it does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hub.intake.endpoint import Endpoint
from hub.testing.memory import MemoryHub
from hub.wire.credentials import Known
from hub.wire.hmacs import RequestAuthentication, RequestSigner
from hub.wire.request import FORM_TYPE, Place, Request, form_of, with_body

OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQsIG5vYm9keSdz"
_LONG_AGO = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BadCredential:
    """A request that must be refused with 401, and what is wrong with its credential."""

    wrong: str
    request: Request


def malformed(
    hub: MemoryHub, endpoint: Endpoint, request: Request, now: datetime
) -> Iterator[BadCredential]:
    """Every kind of wrong credential that the source's scheme knows; none for an open one.

    They are what the scheme itself makes for ``request``, each wrong in one place: missing, empty, cut,
    changed, repeated, or no text of the form; and made for another body, another URL, with another
    secret, an hour ago or ahead. ``now`` is naive and in UTC.
    """
    if endpoint.is_open:
        return
    scheme = endpoint.authentication
    if isinstance(scheme, RequestSigner):
        good = hub.signed(endpoint, request, now)
        yield from _of_request(hub, endpoint, request, good, now)
        return
    headers = hub.credentials(endpoint, request.body, now)
    if not headers:  # a scheme that cannot sign
        places = [Place("header", name) for name in scheme.headers]
        if isinstance(scheme, RequestAuthentication):
            places += [place for place in scheme.places if place not in places]
        if isinstance(scheme, Known):
            places.append(Place.of(scheme.place))
        bare = {name: one for name, one in request.headers.items() if name not in scheme.headers}
        request = replace(request, headers=bare)
        if not isinstance(scheme, Known):
            yield BadCredential("no credential", request)
        for place in places:
            for wrong, value in (
                ("empty", ""),
                ("no text of its form", "nonsense"),
                ("not ASCII", "\xfc"),
            ):
                yield BadCredential(f"{place.name} {wrong}", place.put(request, value))
        return
    for wrong, changed in _of_headers(hub, endpoint, request.body, headers, now):
        lower = {name.lower(): value for name, value in changed.items()}
        yield BadCredential(wrong, replace(request, headers={**request.headers, **lower}))


def _of_request(
    hub: MemoryHub, endpoint: Endpoint, request: Request, good: Request, now: datetime
) -> Iterator[BadCredential]:
    scheme = endpoint.authentication
    assert isinstance(scheme, RequestAuthentication)
    places = list(scheme.places)
    if isinstance(moment := getattr(scheme, "timestamp_header", None), str):
        places.append(Place.of(moment))
    yield BadCredential("no credential", request)
    for place in places:
        value = place.in_(good) or ""
        for wrong, changed in _wrong(value):
            if changed.strip() or place.kind != "path":  # without it, that is another path
                yield BadCredential(f"{place.name} {wrong}", place.put(good, changed))
        if place.kind == "header":
            continue
        if place.kind in ("query", "form"):
            yield BadCredential(f"{place.name} twice", _twice(good, place, value))
    if not places:  # the body itself is the credential
        yield BadCredential("the body cut", with_body(good, good.body[:-5], _type(good)))
        yield BadCredential(
            "the body changed", with_body(good, good.body[:-5] + b"abcde", _type(good))
        )
    other = hub.signed(endpoint, request, now, OTHER_SECRET)
    if other != good:
        yield BadCredential("made with another secret", other)
    signed = getattr(scheme, "signed", "")
    if "{body}" in signed:
        yield BadCredential("made for another body", with_body(good, good.body + b" "))
    if "{url}" in signed:
        there = replace(request, base="http://elsewhere.example")
        elsewhere = hub.signed(endpoint, there, now)
        yield BadCredential("made for another URL", replace(elsewhere, base=request.base))
        yield BadCredential("with another query", replace(good, query="unforeseen=1"))
    if "{form:sorted}" in signed and _type(good) == FORM_TYPE:
        more = form_of([*good.form_pairs, ("unforeseen", "1")])
        yield BadCredential("with another member", with_body(good, more, FORM_TYPE))
    if getattr(scheme, "_moment", ""):
        for wrong, moment in (("an hour old", -_LONG_AGO), ("an hour ahead", _LONG_AGO)):
            yield BadCredential(wrong, hub.signed(endpoint, request, now + moment))


def _type(request: Request) -> str:
    return request.headers.get("content-type", "")


def _twice(request: Request, place: Place, value: str) -> Request:
    more = form_of([(place.name, value)])
    if place.kind == "query":
        return replace(request, query=f"{request.query}&{more.decode()}")
    return with_body(request, request.body + b"&" + more, _type(request))


def _wrong(value: str) -> Iterator[tuple[str, str]]:
    yield "empty", ""
    yield "blank", " "
    yield "cut", value[:-3]
    yield "changed", value[:-3] + ("abc" if value[-3:] != "abc" else "cba")
    yield "repeated", f"{value},{value}"
    yield "no text of its form", "nonsense"
    yield "not ASCII", value + "\xfc"


def _of_headers(
    hub: MemoryHub, endpoint: Endpoint, body: bytes, good: Mapping[str, str], now: datetime
) -> Iterator[tuple[str, Mapping[str, str]]]:
    for name, value in good.items():
        yield f"{name} missing", {other: one for other, one in good.items() if other != name}
        for wrong, changed in _wrong(value):
            yield f"{name} {wrong}", {**good, name: changed}
    made = {
        "made for another body": hub.credentials(endpoint, body + b" ", now),
        "made with another secret": hub.credentials(endpoint, body, now, OTHER_SECRET),
    }
    for wrong, headers in made.items():
        # Not the name of the delivery, nor the time: only what was made of them is wrong.
        own = {
            name: headers[name]
            for name in headers
            if name.lower() in endpoint.authentication.headers
        }
        if own != {name: good[name] for name in own}:
            yield wrong, {**good, **own}
    for wrong, moment in (("an hour old", now - _LONG_AGO), ("an hour ahead", now + _LONG_AGO)):
        headers = hub.credentials(endpoint, body, moment)
        if set(headers) - {
            name for name in headers if name.lower() in endpoint.authentication.headers
        }:
            yield wrong, headers
