"""UniFi Access: who opens a door, where the door stands for an event.

Format: the "UniFi Access API Reference", Webhook: access.door.unlock. It has no moment of its own: that
of the signature is not the payload's, so that of receipt counts.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import CheckIn, Hmac, Identifier, Ignore, Operation, Source, hookimpl

SIGNATURE = Hmac("unifi", "Signature", value="t={t},v1={sig}", signed="{t}.{body}")


def kind(payload: Mapping[str, Any]) -> str:
    data = payload.get("data")
    about = data.get("object") if isinstance(data, Mapping) else None
    granted = isinstance(about, Mapping) and about.get("result") == "Access Granted"
    return "unlock" if payload.get("event") == "access.door.unlock" and granted else "other"


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "other":
        yield Ignore(reason="Only doors that somebody opened are recorded")
        return
    data = payload["data"]
    yield CheckIn(
        student=Identifier("unifi_user", data["actor"]["id"]),
        event=data["location"]["name"],
        repeatable=True,
    )


@hookimpl
def register_sources() -> Iterable[Source]:
    schema = "https://attendance-hub.example/schemas/catalogue/unifi.json"
    yield Source(
        name="unifi",
        path="unifi",
        authenticate=SIGNATURE,
        kind=kind,
        schema={"unlock": schema, "other": {"type": "object"}},
        called=lambda payload: (payload["data"]["location"]["id"],),
        normalize=normalize,
    )
