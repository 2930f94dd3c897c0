"""Imports: a row of a roster, of a calendar or of an attendance sheet, as the hub reads it from a file.

What a row does can be undone at the desk. Imported attendances are sightings as those of any source.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from hub import (
    Attend,
    EnrolStudent,
    HubToken,
    Identifier,
    Ignore,
    NamedEvent,
    Operation,
    Refused,
    ScheduleEvent,
    Source,
    hookimpl,
    payloads,
)

_SCHEMAS = "https://attendance-hub.example/schemas/import/"
_KINDS = ("students", "events", "attendances", "file")


def kind(payload: Mapping[str, Any]) -> str:
    found = payload.get("kind")
    if found not in _KINDS:
        raise Refused("kind is required", f"Kinds: {', '.join(_KINDS[:3])}")
    return str(found)


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    what, data = kind(payload), payloads.present(payload["data"])
    if what == "file":
        yield Ignore(reason="An import; each of its rows is a delivery of its own")
    elif what == "students":
        names = {name: data.get(name, "") for name in ("first_name", "last_name", "preferred_name")}
        yield EnrolStudent(identifiers=_identifiers(data), **names)
    elif what == "events":
        points = data.get("points")
        yield ScheduleEvent(
            name=data["name"],
            starts_at=payloads.required_moment(data["starts_at"]),
            ends_at=payloads.moment(data.get("ends_at")),
            points=None if points is None else int(points),
            identifiers=_identifiers(data),
            event_type=data.get("event_type"),
            description=data.get("description"),
            location=data.get("location"),
        )
    else:
        event: str | NamedEvent = payloads.event_identifier(data["event"])
        if "on" in data and isinstance(event, str):
            event = NamedEvent(event, _date(data["on"]))
        identifiers = _identifiers(data)
        if not identifiers:
            raise Refused("identifiers is required", "Name the student by one at least")
        yield Attend(
            identifiers=identifiers,
            event=event,
            at=payloads.moment(data.get("checked_in_at")),
            left_at=payloads.moment(data.get("checked_out_at")),
        )


def _identifiers(data: Mapping[str, Any]) -> tuple[Identifier, ...]:
    given = payloads.present(data.get("identifiers") or {})
    return tuple(Identifier(kind, value) for kind, value in sorted(given.items()))


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("Invalid on: use a date such as 2026-11-12") from None


def delivery_key(payload: Mapping[str, Any]) -> str | None:
    """A row of a file that is imported again is the same delivery."""
    if payload["kind"] == "file":
        return None
    text = json.dumps(payload, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="import",
        path="import",
        authenticate=HubToken("desk"),
        kind=kind,
        schema={name: f"{_SCHEMAS}{name}.json" for name in _KINDS},
        told_by={name: {"kind": name} for name in _KINDS},
        normalize=normalize,
        delivery_key=delivery_key,
        undoable=True,
        example={
            "kind": "students",
            "data": {"identifiers": {"a_number": "A00000000"}, "first_name": "Test"},
        },
    )
