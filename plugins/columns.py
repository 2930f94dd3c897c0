"""What sources of forms share: which column, or question, means what is configuration."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from hub import (
    A_NUMBER,
    EMAIL,
    MAX_IDENTIFIER_LENGTH,
    CheckIn,
    Identifier,
    Operation,
    Refused,
    SaveStudent,
    is_email,
    parse_timestamp,
)

MEANINGS = ("student", "email", "first_name", "last_name", "event", "time")


def require_columns(plugin: str, columns: Mapping[str, str], event: str) -> None:
    """Raise ValueError unless columns, by what they mean, tell of a student and of an event."""
    if unknown := set(columns) - set(MEANINGS):
        raise ValueError(
            f"plugin.{plugin}.columns: {min(unknown)} is none of {', '.join(MEANINGS)}"
        )
    if "student" not in columns and "email" not in columns:
        raise ValueError(f"plugin.{plugin}.columns: name the column of student, or of email")
    if "event" not in columns and not event:
        raise ValueError(f"plugin.{plugin}: name the column of event, or set the one event")


class Row:
    """A row's cells by what their columns mean. ``event`` is that of a form without a column for it."""

    def __init__(
        self, columns: Mapping[str, str], cells: Mapping[str, Any], event: str = ""
    ) -> None:
        self._columns = columns
        self._cells = cells
        self._event = event

    def operations(self, at: datetime | None) -> Iterator[Operation]:
        """The check-in; where a column has a name, also the student. Raises Refused."""
        identifiers = tuple(self.identifiers())
        if not identifiers:
            raise Refused(f"{self._columns.get('student') or self._columns['email']} is required")
        event = self.text("event") or self._event
        if not event:
            raise Refused(f"{self._columns['event']} is required")
        student: Identifier | None = identifiers[0]
        if "first_name" in self._columns or "last_name" in self._columns:
            student = None  # whom the operation before it found or made
            yield SaveStudent(
                identifiers=identifiers,
                first_name=self.text("first_name"),
                last_name=self.text("last_name"),
            )
        yield CheckIn(student=student, event=event, at=at, repeatable=True)

    def text(self, meaning: str) -> str:
        """A cell's text; empty where there is none. Of several in one cell, the first that has any."""
        return _text(self._cells.get(self._columns.get(meaning, "")))

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

    def moment(self, form: str = "") -> datetime | None:
        """The cell of the time, in ISO 8601 or as ``form`` says."""
        text = self.text("time")
        if not text:
            return None
        for read in (parse_timestamp, lambda text: datetime.strptime(text, form)):
            try:
                return read(text)
            except ValueError:
                continue
        how = f", or as {form}" if form else ""
        raise Refused(f"Invalid {self._columns['time']}", f"Write it in ISO 8601{how}")


def _text(cell: Any) -> str:
    if isinstance(cell, Mapping):  # a name in parts, a choice with its label
        cell = cell.get("label", " ".join(str(one) for one in cell.values()))
    if isinstance(cell, Sequence) and not isinstance(cell, str):
        cell = next((one for one in map(_text, cell) if one), "")
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return "" if cell is None else str(cell).strip()
