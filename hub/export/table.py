"""A table: columns, and rows that come a page at a time; a row is a JSON object with members of
members.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

Row = Mapping[str, Any]
Cell = str | int | float | bool | datetime | None
"""A value in a file. A datetime is local, and naive."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and what it has of a row."""

    heading: str
    of: Callable[[Row], Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """``name`` is that of the file, without its ending. ``pages`` are read one by one, as they are
    needed.
    """

    name: str
    columns: Sequence[Column]
    pages: Iterable[Sequence[Row]]

    def rows(self) -> Iterator[tuple[int, list[list[Cell]]]]:
        """The pages as lists of cells, each with the number of its first row."""
        number = 0
        for page in self.pages:
            rows = [[[column.of(row) for column in self.columns] for row in page]]
            del page  # a reader who stops keeps no rows
            size = len(rows[0])
            yield number, rows.pop()
            number += size


def columns(names: Iterable[str], moments: Iterable[str], zone: tzinfo) -> tuple[Column, ...]:
    """Columns for members by their paths, such as ``student.name``. A moment (``…Z``) has a second
    one, with the time in ``zone``.
    """
    local = frozenset(moments)
    found = []
    for name in names:
        path = name.split(".")
        found.append(Column(name, lambda row, path=path: _flat(_member(row, path))))  # type: ignore[misc]
        if name in local:
            found.append(
                Column(
                    f"{name} ({zone})",
                    lambda row, path=path: _local(_member(row, path), zone),  # type: ignore[misc]
                )
            )
    return tuple(found)


def _member(row: Row, path: Sequence[str]) -> Any:
    value: Any = row
    for name in path:
        value = value.get(name) if value is not None else None
    return value


def _flat(value: Any) -> Cell:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    found: Cell = value
    return found


def _local(text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    utc = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    try:
        return utc.astimezone(zone).replace(tzinfo=None)
    except OverflowError:  # at the very ends of the calendar
        return utc.replace(tzinfo=None)
