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
    Page,
    PageView,
    Source,
    Table,
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


def without_card(view: PageView) -> Table:
    """Who came to something, and has no card yet: those with the most attendances first."""
    lacking = [
        one
        for one in view.record.students()
        if one.attendances and all(named.kind != CARD for named in one.identifiers)
    ]
    lacking.sort(key=lambda one: (-(one.attendances or 0), one.person.name.casefold()))
    rows = [(one.person.name, one.person.identifier or "", one.attendances) for one in lacking]
    return Table(("Name", "A-number", "Came to"), rows)


@hookimpl
def register_pages() -> Iterable[Page]:
    yield Page(name="missing", title="Without a card", show=without_card)


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
        example={"uid": "04A2B9C1", "reader": "Weekly Meeting"},
    )
