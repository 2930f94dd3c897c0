"""Canvas Live Events: who submits a quiz or an assignment that stands for a meeting was there.

Format: community.canvaslms.com, "Live Events: HTTPS, signed payloads"; docs of the Canvas API, "Live
Events". A quiz is an event's by an identifier of the kind canvas_quiz, or by the setting events.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub import (
    A_NUMBER,
    JWT,
    CheckIn,
    Identifier,
    Ignore,
    Jwt,
    Operation,
    Source,
    hookimpl,
    parse_timestamp,
    setting,
)

QUIZZES = {"quiz_submitted": "quiz_id", "submission_created": "assignment_id"}
KEYS = "https://8axpcl50e4.execute-api.us-east-1.amazonaws.com/main/jwks"


@dataclass(frozen=True)
class Settings:
    jwks: str = setting("Where Canvas has its public keys", KEYS)


def kind(payload: Mapping[str, Any]) -> str:
    metadata = payload.get("metadata")
    event = metadata.get("event_name") if isinstance(metadata, Mapping) else None
    return "submission" if isinstance(event, str) and event in QUIZZES else "other"


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "other":
        yield Ignore(reason="Only submissions are recorded")
        return
    metadata, body = payload["metadata"], payload["body"]
    number = metadata.get("user_sis_id")
    own = Identifier("canvas_user", str(metadata["user_id"]))
    member = QUIZZES[metadata["event_name"]]
    yield CheckIn(
        student=Identifier(A_NUMBER, number) if number else own,
        event=Identifier(f"canvas_{member.removesuffix('_id')}", str(body[member])),
        at=parse_timestamp(metadata["event_time"]),
        repeatable=True,
    )


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    schema = "https://attendance-hub.example/schemas/catalogue/canvas.json"
    yield Source(
        name="canvas",
        path="canvas",
        authenticate=Jwt("body", jwks=settings.jwks),
        body=JWT,
        kind=kind,
        schema={"submission": schema, "other": {"type": "object"}},
        normalize=normalize,
    )
