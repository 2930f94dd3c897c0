"""Google Forms: a row of answers by column, as an Apps Script trigger posts it.

The script may post the trigger's whole event (``JSON.stringify(e)``, with ``namedValues``) or the row
alone. Which column means what is configuration.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from hub import (
    A_NUMBER,
    EMAIL,
    MAX_IDENTIFIER_LENGTH,
    SHARED_SECRET,
    CheckIn,
    Identifier,
    Operation,
    Refused,
    SaveStudent,
    Source,
    hookimpl,
    is_email,
    parse_timestamp,
    setting,
)

MEANINGS = ("student", "email", "first_name", "last_name", "event", "time")


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
    if unknown := set(columns) - set(MEANINGS):
        raise ValueError(f"plugin.forms.columns: {min(unknown)} is none of {', '.join(MEANINGS)}")
    if "student" not in columns and "email" not in columns:
        raise ValueError("plugin.forms.columns: name the column of student, or of email")
    if "event" not in columns and not settings.event:
        raise ValueError("plugin.forms: name the column of event, or set the one event")
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
    row = _Row(settings.columns, payload["namedValues"] if kind(payload) == "trigger" else payload)
    identifiers = tuple(row.identifiers())
    if not identifiers:
        raise Refused(f"{settings.columns.get('student') or settings.columns['email']} is required")
    event = row.text("event") or settings.event
    if not event:
        raise Refused(f"{settings.columns['event']} is required")
    student: Identifier | None = identifiers[0]
    if "first_name" in settings.columns or "last_name" in settings.columns:
        student = None  # whom the operation before it found or made
        yield SaveStudent(
            identifiers=identifiers,
            first_name=row.text("first_name"),
            last_name=row.text("last_name"),
        )
    yield CheckIn(
        student=student, event=event, at=row.moment(settings.time_format), repeatable=True
    )


class _Row:
    """A row's cells by what their columns mean."""

    def __init__(self, columns: Mapping[str, str], cells: Mapping[str, Any]) -> None:
        self._columns = columns
        self._cells = cells

    def text(self, meaning: str) -> str:
        """A cell's text; empty where there is none. A trigger has each cell as an array of one."""
        cell = self._cells.get(self._columns.get(meaning, ""))
        if isinstance(cell, list):
            cell = next((one for one in cell if one.strip()), "")
        if isinstance(cell, float) and cell.is_integer():
            cell = int(cell)
        return "" if cell is None else str(cell).strip()

    def identifiers(self) -> Iterator[Identifier]:
        """The student's A-number and e-mail, those that there are."""
        for meaning, own in (("student", A_NUMBER), ("email", EMAIL)):
            if text := self.text(meaning):
                if len(text) > MAX_IDENTIFIER_LENGTH:
                    raise Refused(
                        f"Invalid {self._columns[meaning]}",
                        f"It has at most {MAX_IDENTIFIER_LENGTH} characters",
                    )
                is_mail = is_email(text)
                if own == EMAIL and not is_mail:
                    raise Refused(f"Invalid {self._columns[meaning]}", "It is no e-mail address")
                yield Identifier(EMAIL if is_mail else own, text)

    def moment(self, form: str) -> datetime | None:
        """The cell of the time, in ISO 8601 or as ``form`` says."""
        text = self.text("time")
        if not text:
            return None
        for read in (parse_timestamp, lambda text: datetime.strptime(text, form)):
            try:
                return read(text)
            except ValueError:
                continue
        raise Refused(f"Invalid {self._columns['time']}", f"Write it in ISO 8601, or as {form}")


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
