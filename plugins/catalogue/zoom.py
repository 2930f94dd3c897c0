"""Zoom: who joins a meeting or a webinar, and leaves it.

Format: developers.zoom.us, "Meeting webhooks", meeting.participant_joined and meeting.participant_left.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    EMAIL,
    CheckIn,
    CheckOut,
    Hmac,
    Identifier,
    Ignore,
    Operation,
    Refused,
    Source,
    handshakes,
    hookimpl,
    is_email,
    parse_timestamp,
)

SIGNATURE = Hmac(
    "zoom",
    "X-Zm-Signature",
    value="v0={sig}",
    signed="v0:{header:X-Zm-Request-Timestamp}:{body}",
    timestamp="X-Zm-Request-Timestamp",
)


def kind(payload: Mapping[str, Any]) -> str:
    event = str(payload.get("event", ""))
    return "participant" if event.endswith(("participant_joined", "participant_left")) else "other"


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "other":
        yield Ignore(reason="Only who joins and leaves is recorded")
        return
    meeting = payload["payload"]["object"]
    person = meeting["participant"]
    email, own = person.get("email") or "", person.get("participant_user_id") or person.get("id")
    if not is_email(email) and not own:
        raise Refused(
            "The participant has neither an e-mail nor an account",
            "Let only signed-in users join, or require registration",
        )
    student = Identifier(EMAIL, email) if is_email(email) else Identifier("zoom_user", own)
    # Weekly meetings have one id, and one topic.
    about = {"student": student, "event": meeting["topic"]}
    if payload["event"].endswith("left"):
        yield CheckOut(**about, at=parse_timestamp(person["leave_time"]))
    else:
        yield CheckIn(**about, at=parse_timestamp(person["join_time"]), repeatable=True)


@hookimpl
def register_sources() -> Iterable[Source]:
    schemas = "https://attendance-hub.example/schemas/catalogue/zoom.json"
    yield Source(
        name="zoom",
        path="zoom",
        authenticate=SIGNATURE,
        handshakes=(handshakes.ZOOM,),
        kind=kind,
        schema={"participant": schemas, "other": {"type": "object"}},
        called=lambda payload: (str(payload["payload"]["object"]["id"]),),
        normalize=normalize,
    )
