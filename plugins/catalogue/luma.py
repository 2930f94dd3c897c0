"""Luma: guests who are checked in.

Format: docs.luma.com, "Webhooks" (guest.updated). Not confirmed: the name of the member with the
check-in's moment, and how a webhook is signed. So the secret is in the address.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    EMAIL,
    CheckIn,
    Identifier,
    Ignore,
    Operation,
    SaveEvent,
    SaveStudent,
    SecretIn,
    Source,
    hookimpl,
    parse_timestamp,
)


def kind(payload: Mapping[str, Any]) -> str:
    data = payload.get("data")
    seen = isinstance(data, Mapping) and data.get("checked_in_at")
    return "check_in" if payload.get("type") == "guest.updated" and seen else "other"


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "other":
        yield Ignore(reason="Only guests who were checked in are recorded")
        return
    guest = payload["data"]
    event, person = guest["event"], Identifier(EMAIL, guest["user_email"])
    first, _, last = (guest.get("user_name") or "").partition(" ")
    yield SaveStudent(identifiers=(person,), first_name=first, last_name=last)
    own = Identifier("luma_event", event["api_id"])
    yield SaveEvent(
        identifiers=(own,), name=event["name"], starts_at=parse_timestamp(event["start_at"])
    )
    yield CheckIn(at=parse_timestamp(guest["checked_in_at"]), repeatable=True)


@hookimpl
def register_sources() -> Iterable[Source]:
    schema = "https://attendance-hub.example/schemas/catalogue/luma.json"
    yield Source(
        name="luma",
        path="luma",
        authenticate=SecretIn("query:token"),
        kind=kind,
        schema={"check_in": schema, "other": {"type": "object"}},
        normalize=normalize,
    )
