"""Jotform: each submission of a form is a check-in; which question means what is configuration.

Format: jotform.com/help, "How to Setup a Webhook with Jotform": parts, one of which (rawRequest) is
JSON with an answer by question, such as q3_name. Jotform signs nothing: the secret is in the address.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import Multipart, Operation, SecretIn, Source, hookimpl, setting
from hub_plugins.columns import Row, require_columns

QUESTION = re.compile(r"q\d+_(.+)")


@dataclass(frozen=True)
class Settings:
    columns: Mapping[str, str] = setting(
        "Question, by its unique name, by what it means: student (A-number), email, first_name, "
        "last_name, event",
        {"student": "studentId", "event": "event"},
    )
    event: str = setting("The event of a form that has no question for it", "")


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    answers = {}
    for name, answer in payload["rawRequest"].items():
        found = QUESTION.fullmatch(name)
        answers[found[1] if found else name] = answer
    # A submission has no moment of its own: that of receipt counts.
    yield from Row(
        settings.columns, answers, settings.event or payload.get("formTitle", "")
    ).operations(None)


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    require_columns("jotform", settings.columns, settings.event or "the form's title")
    yield Source(
        name="jotform",
        path="jotform",
        authenticate=SecretIn("query:token"),
        body=Multipart(json=("rawRequest",)),
        remove=("form:webhookURL", "form:ip"),
        schema="https://attendance-hub.example/schemas/catalogue/jotform.json",
        called=lambda payload: (payload["formID"],),
        delivery_key=lambda payload: str(payload["submissionID"]),
        normalize=partial(normalize, settings),
    )
