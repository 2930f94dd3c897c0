"""Calendly: who books a meeting; a booking is no attendance, unless it is set to count as one.

Format: developer.calendly.com, "Webhook payload" (invitee.created, invitee.canceled,
invitee_no_show.created) and "Webhook signatures".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    EMAIL,
    CheckIn,
    Hmac,
    Identifier,
    Ignore,
    Operation,
    SaveEvent,
    SaveStudent,
    Source,
    Withdraw,
    hookimpl,
    parse_timestamp,
    setting,
)

SIGNATURE = Hmac(
    "calendly", "Calendly-Webhook-Signature", value="t={t},v1={sig}", signed="{t}.{body}"
)
GONE = ("invitee.canceled", "invitee_no_show.created")


@dataclass(frozen=True)
class Settings:
    bookings_count: bool = setting(
        "Whether who booked was there, if not cancelled or absent", False
    )


def kind(payload: Mapping[str, Any]) -> str:
    return "invitee" if payload.get("event") in ("invitee.created", *GONE) else "other"


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "other":
        yield Ignore(reason="Only bookings and those taken back are recorded")
        return
    invitee = payload["payload"]
    meeting, person = invitee["scheduled_event"], Identifier(EMAIL, invitee["email"])
    starts_at = parse_timestamp(meeting["start_time"])
    own = Identifier("calendly_event", meeting["uri"].rpartition("/")[2])
    first, _, last = (invitee.get("name") or "").partition(" ")
    yield SaveStudent(identifiers=(person,), first_name=first, last_name=last)
    yield SaveEvent(identifiers=(own,), name=meeting["name"], starts_at=starts_at)
    if payload["event"] in GONE:
        yield Withdraw(student=person, event=own)
    elif settings.bookings_count:
        yield CheckIn(at=starts_at, repeatable=True)


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    schema = "https://attendance-hub.example/schemas/catalogue/calendly.json"
    yield Source(
        name="calendly",
        path="calendly",
        authenticate=SIGNATURE,
        kind=kind,
        schema={"invitee": schema, "other": {"type": "object"}},
        normalize=partial(normalize, settings),
    )
