"""Card readers that can only GET: ESP8266 boards and the like, with everything in the query.

Format: GET /api/webhook/readers/?card_uid=04A2B9C1&reader=gate-7&device_token=<secret>, as the widespread
sketches for ESP8266 and RC522 send it; they show what follows "login" or "logout" of the answer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    CARD,
    QUERY,
    CheckIn,
    CheckOut,
    Happened,
    Identifier,
    Operation,
    Reply,
    SecretIn,
    Source,
    hookimpl,
    setting,
)


@dataclass(frozen=True)
class Settings:
    card: str = setting("Member of the query with the card's number", "card_uid")
    token: str = setting("Member of the query with the secret", "device_token")
    reader: str = setting("Member of the query that names the reader", "reader")
    event: str = setting("The event of a reader that has no name", "")


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    event = str(payload.get(settings.reader) or settings.event)
    about: dict[str, Any] = {"student": Identifier(CARD, payload[settings.card]), "event": event}
    yield CheckOut(**about) if payload.get("leaves") else CheckIn(**about, repeatable=True)


def reply(happened: Happened) -> Reply:
    # Such a board shows the text of a 200, and nothing of any other status.
    names = [one.student.name for one in happened.results if one.student is not None]
    if not happened.is_recorded or not names:
        return Reply(
            f"Not found! {happened.sentence}" if happened.status == 404 else happened.sentence
        )
    left = any(isinstance(one.operation, CheckOut) for one in happened.results)
    return Reply(f"{'logout' if left else 'login'}{names[-1]}")


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    required = [settings.card, *([] if settings.event else [settings.reader])]
    text = {"type": "string", "maxLength": 255}
    yield Source(
        name="readers",
        path="readers",
        methods=("GET", "POST"),
        authenticate=SecretIn(f"query:{settings.token}"),
        body=QUERY,
        reply=reply,
        schema={
            "type": "object",
            "required": required,
            "properties": dict.fromkeys(required, text),
        },
        normalize=partial(normalize, settings),
    )
