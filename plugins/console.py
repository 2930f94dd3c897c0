"""The console's door: ``{"student": "card:04A2B9", "event": "11"}`` checks in, or out, who stands there.

Without this plugin there are no pages.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    HUB_TOKEN,
    ROW,
    CheckIn,
    CheckOut,
    Identifier,
    Operation,
    Refused,
    Source,
    hookimpl,
    payloads,
)


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    kind, _, value = payload["student"].partition(":")
    if kind.strip() == ROW:
        raise Refused("Invalid student: the kind id is the hub's own")
    about: dict[str, Any] = {
        "student": Identifier(kind.strip(), value.strip()),
        "event": payloads.event_identifier(payload["event"]),
        "at": payloads.moment(payload.get("at")),
    }
    yield CheckOut(**about) if payload.get("leaves") else CheckIn(**about, repeatable=True)


def delivery_key(payload: Mapping[str, Any]) -> str | None:
    """What the scan calls itself. Its body is another one when it comes later: it has its age by then."""
    key: str | None = payload.get("key")
    return key


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="console",
        path="console",
        authenticate=HUB_TOKEN,
        keep_headers=("user-agent",),
        schema="https://attendance-hub.example/schemas/console/door.json",
        normalize=normalize,
        delivery_key=delivery_key,
        label="door",
        example={"student": "a_number:A00000000", "event": "Weekly Meeting"},
    )
