"""Card readers: ``{"uid": …, "reader": …}`` checks in whose card it is, at the event behind the reader.

A card belongs to a student by an identifier of the kind ``card``;
``{"uid": …, "student_identifier": …}`` gives one to a student, in place of the one before.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import (
    CARD,
    SHARED_SECRET,
    CheckIn,
    Identifier,
    Operation,
    Source,
    UpdateStudent,
    hookimpl,
    payloads,
    setting,
    student_identifier,
)

_SCHEMAS = "https://attendance-hub.example/schemas/cards/"


@dataclass(frozen=True)
class Settings:
    readers: Mapping[str, str] = setting(
        "Event by the name of a reader; of any other, its name", {}
    )


def kind(payload: Mapping[str, Any]) -> str:
    return "assignment" if "student_identifier" in payload else "scan"


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    if kind(payload) == "assignment":
        student = student_identifier(payload["student_identifier"])
        yield UpdateStudent(find=(student,), identifiers=(Identifier(CARD, payload["uid"]),))
    else:
        reader = payload["reader"].strip()
        yield CheckIn(
            student=Identifier(CARD, payload["uid"]),
            event=settings.readers.get(reader, reader),
            at=payloads.moment(payload.get("time")),
            repeatable=True,
        )


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    yield Source(
        name="cards",
        path="cards",
        authenticate=SHARED_SECRET,
        keep_headers=("user-agent",),
        kind=kind,
        schema={name: f"{_SCHEMAS}{name}.json" for name in ("scan", "assignment")},
        normalize=partial(normalize, settings),
    )
