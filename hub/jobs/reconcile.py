"""A vendor's export of one event beside the record: what is in one alone, and what differs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from hub.domain.timestamps import format_utc, parse_utc
from hub.errors import Refused
from hub.sheets import columns, tables
from hub.sheets.columns import Kind, Wish
from hub.sheets.rows import Meeting, Rows

_SAME = timedelta(minutes=1)
"""How far two times of one check-in may be apart: exports round."""


class InFile(NamedTuple):
    """A row of the file: who, as the desk names them, and when they came (naive, UTC), if it tells."""

    row: int
    student: str
    came: datetime | None


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The differences. Rows of the record are objects of the API; ``unread`` are rows that name nobody,
    with why.
    """

    in_file: Sequence[InFile]
    in_record: Sequence[Mapping[str, Any]]
    otherwise: Sequence[tuple[Mapping[str, Any], datetime]]
    unread: Sequence[tuple[int, str]]
    same: int

    @property
    def differs(self) -> bool:
        """Whether something does."""
        return bool(self.in_file or self.in_record or self.otherwise or self.unread)

    def as_object(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "in_file": [
                {"row": one.row, "student": one.student, "at": one.came and format_utc(one.came)}
                for one in self.in_file
            ],
            "in_record": list(self.in_record),
            "otherwise": [
                {"attendance": row, "at": format_utc(came)} for row, came in self.otherwise
            ],
            "unread": [{"row": number, "message": why} for number, why in self.unread],
            "same": self.same,
        }


def compare(
    sheet_of: Sequence[Mapping[str, Any]],
    student_of: Callable[[str], int | None],
    meeting: Meeting,
    body: bytes,
    wishes: Sequence[Wish],
    zone: tzinfo,
) -> Reconciled:
    """``sheet_of`` are the attendances of the meeting, ``student_of`` tells the id of the student whom an
    identifier (``kind:value``) means. Raises Refused for a file that cannot be read.
    """
    found = columns.find(tables.read(body), Kind.ATTENDANCES, wishes)
    rows = Rows(found, Kind.ATTENDANCES, zone, meeting)
    recorded = {row["student"]["id"]: row for row in sheet_of}
    seen: set[int] = set()
    in_file, otherwise, unread = [], [], []
    for line in found.rows:
        try:
            data = rows.payload(line)["data"]
        except Refused as refused:
            unread.append((line.number, refused.error))
            continue
        names = [f"{kind}:{value}" for kind, value in sorted(data["identifiers"].items())]
        owners = {owner: name for name in names if (owner := student_of(name)) is not None}
        if len(owners) != 1:
            why = "names two students" if owners else "names nobody who is known"
            unread.append((line.number, f"The row {why}: {', '.join(names)}"))
            continue
        ((student, name),) = owners.items()
        came = None
        if "checked_in_at" in data:
            came = parse_utc(data["checked_in_at"])
        if student in seen:
            continue
        seen.add(student)
        row = recorded.get(student)
        if row is None:
            in_file.append(InFile(line.number, name, came))
        elif came is not None and abs(parse_utc(row["checked_in_at"]) - came) > _SAME:
            otherwise.append((row, came))
    in_record = [row for student, row in recorded.items() if student not in seen]
    same = len(recorded) - len(in_record) - len(otherwise)
    return Reconciled(in_file, in_record, otherwise, unread, same)
