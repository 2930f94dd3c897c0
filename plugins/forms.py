"""Google Forms: a row of answers by column, as an Apps Script trigger posts it.

The script may post the trigger's whole event (``JSON.stringify(e)``, with ``namedValues``) or the row
alone. Which column means what is configuration.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import SHARED_SECRET, Operation, Source, hookimpl, setting
from hub_plugins.columns import Row, require_columns


@dataclass(frozen=True)
class Settings:
    columns: Mapping[str, str] = setting(
        "Column by what it means: student (A-number), email, first_name, last_name, event, time",
        {"student": "Student ID", "event": "Event", "time": "Timestamp"},
    )
    event: str = setting("The event of a form that has no column for it", "")
    time_format: str = setting(
        "How the column time is written, if not in ISO 8601", "%m/%d/%Y %H:%M:%S"
    )


def kind(payload: Mapping[str, Any]) -> str:
    return "trigger" if isinstance(payload.get("namedValues"), dict) else "row"


def schemas(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """What a row must have, by the columns that are configured."""
    columns = settings.columns
    require_columns("forms", columns, settings.event)
    required = ["student" if "student" in columns else "email"]
    required += ["event"] if not settings.event else []
    text = {"type": "string", "maxLength": 1000}
    number = {"type": "number"}
    cell = {"anyOf": [text, number, {"type": "array", "items": text}, {"type": "null"}]}
    row = {
        "type": "object",
        "required": [columns[meaning] for meaning in required],
        "properties": dict.fromkeys(columns.values(), cell),
    }
    trigger = {"type": "object", "required": ["namedValues"], "properties": {"namedValues": row}}
    return {"row": row, "trigger": trigger}


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    cells = payload["namedValues"] if kind(payload) == "trigger" else payload
    row = Row(settings.columns, cells, settings.event)
    yield from row.operations(row.moment(settings.time_format))


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    yield Source(
        name="forms",
        path="forms",
        authenticate=SHARED_SECRET,
        keep_headers=("user-agent",),
        kind=kind,
        schema=schemas(settings),
        normalize=partial(normalize, settings),
    )
