"""QR scanners: ``{"student_id": …, "event_id": …}``, or a token of the hub's, from a QR code.

A token is a JSON Web Token (RFC 7519, HS256) that names a student (``sub``), an event (``evt``) or both;
what it does not name, the scanner tells. ``attendance-hub qr`` prints one, as text; any QR code maker
turns it into an image.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import click

from hub import (
    SHARED_SECRET,
    CheckIn,
    CheckOut,
    Delivery,
    Identifier,
    NotConfigured,
    Operation,
    Refused,
    Source,
    Unauthenticated,
    hookimpl,
    is_missing,
    payloads,
    setting,
)

try:
    import jwt
except ImportError:
    raise ImportError("it needs PyJWT; pip install 'pyjwt>=2.13'") from None

_AUDIENCE = "attendance-hub"
_ALGORITHM = "HS256"
_SHORTEST_KEY = 32
_OUT_OF_DATE = "The token is out of date; show a new one"

TOKEN = "qr"
"""The kind of identifier that is a token."""


@dataclass(frozen=True)
class Settings:
    key: str = setting(
        "Signs the tokens; without a key no token is issued or accepted", "", secret=True
    )


def issue(
    key: str, student: str | None, event: str | None, now: datetime, lifetime: timedelta
) -> str:
    """A token that names a student, an event or both. ``now`` is aware."""
    claims = {"aud": _AUDIENCE, "exp": now + lifetime}
    named = {"sub": student, "evt": event}
    return jwt.encode(
        {**claims, **{name: one for name, one in named.items() if one}}, key, _ALGORITHM
    )


def claims_of(settings: Settings, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the payload's token says; nothing without one. Whether it is out of date is not asked."""
    token = payload.get("token")
    if is_missing(token):
        return {}
    if not settings.key:
        raise NotConfigured("Tokens are not configured", "Send student_id and event_id")
    try:
        found: Mapping[str, Any] = jwt.decode(
            str(token).strip(),
            settings.key,
            [_ALGORITHM],
            audience=_AUDIENCE,
            options={"verify_exp": False, "require": ["exp"]},
        )
        int(found["exp"])
        if not isinstance(found.get("evt", ""), str):
            raise TypeError
    except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError):
        # OverflowError: of 1e400, which JSON has as a number, and Python reads as infinity.
        raise Unauthenticated("Invalid token", "This hub has not issued it") from None
    return found


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[CheckIn]:
    claims = claims_of(settings, payload)
    student = claims.get("sub") or payload.get("student_id")
    event = claims.get("evt") or payload.get("event_id")
    if is_missing(student):
        raise Refused("student_id is required", "Send it, or a token that names it")
    if event is None or is_missing(event):
        raise Refused("event_id is required", "Send it, or a token that names it")
    at = payloads.moment(payload.get("time"))
    yield CheckIn(student=student, event=payloads.event_identifier(event), at=at, repeatable=True)


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    if settings.key and len(settings.key) < _SHORTEST_KEY:
        raise ValueError(
            f"plugin.qr.key: it must have {_SHORTEST_KEY} characters at least; "
            "make one with: openssl rand -hex 32"
        )
    yield Source(
        name="qr",
        path="qr",
        authenticate=SHARED_SECRET,
        keep_headers=("user-agent",),
        schema="https://attendance-hub.example/schemas/qr/scan.json",
        normalize=partial(normalize, settings),
        example={"student_id": "A00000000", "event_id": "Weekly Meeting"},
    )


@hookimpl
def amend_operations(
    delivery: Delivery, operations: Sequence[Operation], settings: Settings
) -> Sequence[Operation] | None:
    """A token that another source has read in place of an identifier, such as the console's door: it is
    the student whom it names.
    """
    if not any(_token_in(one) for one in operations):
        return None
    return [_resolved(settings, delivery, one) for one in operations]


def _is_out_of_date(claims: Mapping[str, Any], delivery: Delivery) -> bool:
    """By when it was received: a delivery that is replayed later was in time then."""
    received = delivery.received_at.replace(tzinfo=UTC).timestamp()
    return received > int(claims["exp"])


def _token_in(operation: Operation) -> str | None:
    student = getattr(operation, "student", None)
    if isinstance(student, Identifier) and student.kind == TOKEN:
        return student.value
    return None


def _resolved(settings: Settings, delivery: Delivery, operation: Operation) -> Operation:
    token = _token_in(operation)
    if token is None or not isinstance(operation, CheckIn | CheckOut):
        return operation
    claims = claims_of(settings, {"token": token})
    if _is_out_of_date(claims, delivery):
        raise Refused(_OUT_OF_DATE)
    if is_missing(claims.get("sub")):
        raise Refused("The token names no student", "Show the one of a person")
    return replace(operation, student=claims["sub"])


@hookimpl
def veto_delivery(delivery: Delivery, payload: Mapping[str, Any], settings: Settings) -> str | None:
    if delivery.source != "qr" or is_missing(payload.get("token")):
        return None
    return _OUT_OF_DATE if _is_out_of_date(claims_of(settings, payload), delivery) else None


@hookimpl
def register_commands(group: click.Group, settings: Settings) -> None:
    @group.command("qr")
    @click.option("--student", help="A-number or e-mail of the student it is for.")
    @click.option("--event", help="Id or name of the event it is for.")
    @click.option("--minutes", type=click.IntRange(1, 60 * 24 * 366), default=10, show_default=True)
    def command(student: str | None, event: str | None, minutes: int) -> None:
        """Print a token for a student, an event or both; any QR code maker turns it into an image."""
        if not settings.key:
            raise click.ClickException("set HUB_PLUGIN_QR_KEY; make one with: openssl rand -hex 32")
        if not (student or event):
            raise click.UsageError("name a student or an event")
        now, lifetime = datetime.now(UTC), timedelta(minutes=minutes)
        click.echo(issue(settings.key, student, event, now, lifetime))
