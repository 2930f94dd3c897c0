"""A file as a table: the same whatever its form is."""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hub.errors import Refused

MOST_COLUMNS = 200
MOST_ROWS = 200_000
MOST_CELL = 10_000
"""Characters of one cell."""


class Line(NamedTuple):
    """A row of a file: the line on which it begins, from 1, and its cells as text. Dates and times that
    the file tells as such are in ISO 8601.
    """

    number: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file's lines, and what was found out of it: ``form`` in words, ``warnings`` for who reads."""

    lines: Sequence[Line]
    form: str
    warnings: tuple[str, ...] = ()


class Unreadable(Refused):
    """A file that cannot be read. Nothing of it is taken."""


class MissingExtra(Refused):
    """A form of file for which a library is not installed."""

    status = 501

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} cannot be read by this hub",
            f"Install it with: pip install 'attendance-hub[{extra}]'",
        )


def bounded(lines: Iterator[Line]) -> list[Line]:
    """All lines that are not blank. Raises Unreadable for a file that is no roster by its size."""
    found: list[Line] = []
    for line in lines:
        if len(line.cells) > MOST_COLUMNS:
            raise Unreadable(
                f"The file has {len(line.cells)} columns in line {line.number}",
                f"At most {MOST_COLUMNS} are read",
            )
        cells = [_plain(cell) for cell in line.cells]
        if any(len(cell) > MOST_CELL for cell in cells):
            raise Unreadable(
                f"A cell in line {line.number} is too long", f"At most {MOST_CELL} characters"
            )
        if any(cells):
            found.append(Line(line.number, cells))
        if len(found) > MOST_ROWS:
            raise Unreadable(f"The file has more than {MOST_ROWS} rows", "Split it")
    return found


def require_small(file: zipfile.ZipFile, limit: int) -> None:
    """Raise Unreadable for a ZIP file that unpacks to more than ``limit`` bytes."""
    size = sum(one.file_size for one in file.infolist())
    if size > limit:
        raise Unreadable("The file is too large unpacked", f"At most {limit} bytes")


def _plain(cell: str) -> str:
    """A cell without what only a spreadsheet needs: the mark that keeps a text from being run."""
    text = cell.replace("\0", "").strip()
    if len(text) > 1 and text[0] == "'" and text[1] in "=+-@\t\r":
        return text[1:]
    return text
