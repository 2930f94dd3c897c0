"""Credentials that a source must not accept, made from one that it does."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from hub.intake.endpoint import Endpoint
from hub.testing.memory import MemoryHub

OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQsIG5vYm9keSdz"
_LONG_AGO = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BadCredential:
    """The headers of a request that must be refused with 401, and what is wrong with them."""

    wrong: str
    headers: Mapping[str, str]


def malformed(
    hub: MemoryHub, endpoint: Endpoint, body: bytes, now: datetime
) -> Iterator[BadCredential]:
    """Every kind of wrong credential that the source's scheme knows; none for an open one.

    They are what the scheme itself makes for ``body``, each wrong in one place: a header missing, empty,
    cut, changed, repeated, or no text of the form; and made for another body, with another secret, an
    hour ago or ahead. ``now`` is naive and in UTC.
    """
    if endpoint.is_open:
        return
    good = hub.credentials(endpoint, body, now)
    if not good:  # a scheme that cannot sign
        yield BadCredential("no credential", {})
        for name in endpoint.authentication.headers:
            yield BadCredential(f"{name} empty", {name: ""})
            yield BadCredential(f"{name} no text of its form", {name: "nonsense"})
            yield BadCredential(f"{name} not ASCII", {name: "\xfc"})
        return
    for name, value in good.items():
        rest = {other: one for other, one in good.items() if other != name}
        yield BadCredential(f"{name} missing", rest)
        for wrong, changed in (
            ("empty", ""),
            ("blank", " "),
            ("cut", value[:-3]),
            ("changed", value[:-3] + ("abc" if value[-3:] != "abc" else "cba")),
            ("repeated", f"{value},{value}"),
            ("no text of its form", "nonsense"),
            ("not ASCII", value + "\xfc"),
        ):
            yield BadCredential(f"{name} {wrong}", {**rest, name: changed})
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
            yield BadCredential(wrong, {**good, **own})
    for wrong, moment in (("an hour old", now - _LONG_AGO), ("an hour ahead", now + _LONG_AGO)):
        headers = hub.credentials(endpoint, body, moment)
        if set(headers) - {
            name for name in headers if name.lower() in endpoint.authentication.headers
        }:
            yield BadCredential(wrong, headers)
