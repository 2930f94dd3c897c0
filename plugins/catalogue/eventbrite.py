"""Eventbrite: attendees who are checked in at the door. A webhook names an attendee, who is then fetched.

Format: eventbrite.com/platform, "Webhooks" and "Attendee". Eventbrite signs nothing: the secret is in the
address.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    EMAIL,
    CheckIn,
    Fetch,
    Identifier,
    Ignore,
    Operation,
    Refused,
    SaveEvent,
    SaveStudent,
    SecretIn,
    Source,
    Withdraw,
    hookimpl,
    is_email,
    parse_timestamp,
)

IN, OUT = ("attendee.checked_in", "barcode.checked_in"), ("barcode.un_checked_in",)


def fetch(payload: Mapping[str, Any]) -> Fetch | None:
    if payload["config"]["action"] not in (*IN, *OUT):
        return None
    return Fetch(f"{payload['api_url']}?expand=event", {"Authorization": "Bearer {secret}"})


def normalize(payload: Mapping[str, Any], attendee: Any) -> Iterator[Operation]:
    if attendee is None:
        yield Ignore(reason="Only check-ins and those taken back are recorded")
        return
    try:
        profile, event = attendee["profile"], attendee["event"]
        named, starts_at = event["name"]["text"], parse_timestamp(event["start"]["utc"])
        meeting = Identifier("eventbrite_event", attendee["event_id"])
    except (KeyError, TypeError, ValueError):
        raise Refused("What was fetched is no attendee with an event") from None
    if not is_email(profile.get("email") or ""):
        raise Refused("The attendee has no e-mail", "Collect it for each ticket of the order")
    student = Identifier(EMAIL, profile["email"])
    if payload["config"]["action"] in OUT:
        yield Withdraw(student=student, event=meeting)
        return
    first, last = (profile.get(name) or "" for name in ("first_name", "last_name"))
    yield SaveStudent(identifiers=(student,), first_name=first, last_name=last)
    yield SaveEvent(identifiers=(meeting,), name=named, starts_at=starts_at)
    yield CheckIn(repeatable=True)


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="eventbrite",
        path="eventbrite",
        authenticate=SecretIn("query:token"),
        remove=("json:/config/endpoint_url",),
        fetch=fetch,
        fetch_hosts=("www.eventbriteapi.com",),
        schema="https://attendance-hub.example/schemas/catalogue/eventbrite.json",
        normalize=normalize,
    )
