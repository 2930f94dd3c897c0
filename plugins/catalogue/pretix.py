"""pretix: tickets that are scanned at the door. A webhook names an order, which is then fetched.

Format: docs.pretix.eu, "Webhooks" and "Orders". pretix signs nothing: the secret is in the address.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    EMAIL,
    CheckIn,
    CheckOut,
    Fetch,
    Identifier,
    Ignore,
    Operation,
    Refused,
    SecretIn,
    Source,
    hookimpl,
    is_email,
    parse_timestamp,
    setting,
)

CHECKINS = ("pretix.event.checkin", "pretix.event.checkin.reverted")


@dataclass(frozen=True)
class Settings:
    host: str = setting("Where pretix is", "pretix.eu")


def fetch(settings: Settings, payload: Mapping[str, Any]) -> Fetch | None:
    if payload["action"] != CHECKINS[0]:
        return None
    way = f"organizers/{payload['organizer']}/events/{payload['event']}/orders/{payload['code']}/"
    return Fetch(f"https://{settings.host}/api/v1/{way}", {"Authorization": "Token {secret}"})


def normalize(payload: Mapping[str, Any], order: Any) -> Iterator[Operation]:
    if order is None:
        yield Ignore(reason="Only scans at the door are recorded")
        return
    named = str(payload.get("orderposition_positionid", ""))
    try:
        positions = [one for one in order["positions"] if named in ("", str(one["positionid"]))]
        scans = [(one, scan) for one in positions for scan in one["checkins"]]
        found = [
            (position, parse_timestamp(scan["datetime"]), scan["type"]) for position, scan in scans
        ]
    except (KeyError, TypeError, ValueError):
        raise Refused("What was fetched is no order with check-ins") from None
    for position, at, way in found:
        email = position.get("attendee_email") or order.get("email") or ""
        if not is_email(email):
            raise Refused("The ticket has no e-mail", "Ask for the attendee's e-mail in the shop")
        about = {"student": Identifier(EMAIL, email), "event": payload["event"], "at": at}
        yield CheckOut(**about) if way == "exit" else CheckIn(**about, repeatable=True)


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    yield Source(
        name="pretix",
        path="pretix",
        authenticate=SecretIn("query:token"),
        fetch=partial(fetch, settings),
        fetch_hosts=(settings.host,),
        schema="https://attendance-hub.example/schemas/catalogue/pretix.json",
        normalize=normalize,
    )
