"""Typeform: each response is a check-in; which question means what is configuration.

Format: typeform.com/developers, "Example payload" and "Secure your webhooks".
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import Hmac, Operation, Source, hookimpl, parse_timestamp, setting
from hub_plugins.columns import Row, require_columns

SIGNATURE = Hmac("typeform", "Typeform-Signature", value="sha256={sig}", encoding="base64")


@dataclass(frozen=True)
class Settings:
    columns: Mapping[str, str] = setting(
        "Question, by its reference or its title, or hidden field, by what it means: student "
        "(A-number), email, first_name, last_name, event",
        {"student": "student_id", "event": "event"},
    )
    event: str = setting("The event of a form that has no question for it", "")


def answers(response: Mapping[str, Any]) -> Mapping[str, Any]:
    titles = {one["id"]: one.get("title") for one in response["definition"].get("fields", ())}
    found = dict(response.get("hidden") or {})
    for answer in response["answers"]:
        value = answer.get(answer.get("type"))
        for name in (titles.get(answer["field"]["id"]), answer["field"].get("ref")):
            if name:
                found[name] = value
    return found


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    response = payload["form_response"]
    event = settings.event or response["definition"].get("title") or response["form_id"]
    row = Row(settings.columns, answers(response), event)
    yield from row.operations(parse_timestamp(response["submitted_at"]))


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    require_columns("typeform", settings.columns, settings.event or "the form's title")
    yield Source(
        name="typeform",
        path="typeform",
        authenticate=SIGNATURE,
        schema="https://attendance-hub.example/schemas/catalogue/typeform.json",
        called=lambda payload: (payload["form_response"]["form_id"],),
        delivery_key=lambda payload: str(payload["form_response"]["token"]),
        normalize=partial(normalize, settings),
    )
