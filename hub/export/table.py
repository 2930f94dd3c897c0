"""A table: columns, and rows that come a page at a time; a row is a JSON object with members of
members.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache, partial
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
    needed. For JSON Lines they may have rows that are text already.
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
    """Columns for members by their paths, such as ``student.name``. A moment (``…Z``) has a second one,
    with the time in ``zone``.
    """
    local = frozenset(moments)
    found = []
    for name in names:
        member = _member(*name.split("."))
        found.append(Column(name, member))
        if name in local:
            found.append(Column(f"{name} ({zone})", partial(_local_of, member, zone)))
    return tuple(found)


def _member(name: str, inner: str | None = None) -> Callable[[Row], Any]:
    """What reads a member, or a member of a member."""
    if inner is None:

        def read(row: Row) -> Any:
            value = row.get(name)
            return _text(value) if value.__class__ in (list, dict) else value

    else:

        def read(row: Row) -> Any:
            value = row.get(name)
            if value is not None:
                value = value.get(inner)
                return _text(value) if value.__class__ in (list, dict) else value
            return None

    return read


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _local_of(member: Callable[[Row], Any], zone: tzinfo, row: Row) -> datetime | None:
    return _local(member(row), zone)


@lru_cache(maxsize=2048)
def _local(text: str | None, zone: tzinfo) -> datetime | None:
    if text is None:
        return None
    utc = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
    try:
        return utc.astimezone(zone).replace(tzinfo=None)
    except OverflowError:  # at the very ends of the calendar
        return utc.replace(tzinfo=None)
