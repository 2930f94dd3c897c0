"""CSV (RFC 4180) in UTF-8: exact for machines, or guarded for Excel, which runs text that begins like a
formula.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime

from hub.export.table import Cell, Table

TYPE = "text/csv; charset=utf-8"
_MARK = "\ufeff"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""How text begins that is run (OWASP, "CSV Injection")."""

_NUMBER = re.compile(r"[+-]?[0-9]+(?:[.,][0-9]+)?", re.ASCII)


def chunks(table: Table, for_excel: bool = False) -> Iterator[bytes]:
    """The file, a piece for each page. ``for_excel``: with a byte order mark, and ``'`` before text that
    would be run.
    """
    shown = _guarded if for_excel else _plain
    heading = _written([[shown(column.heading) for column in table.columns]])
    piece = _MARK.encode() + heading if for_excel else heading
    for _, rows in table.rows():
        piece += _written([map(shown, row) for row in rows])
        del rows  # a reader who stops keeps no rows
        yield piece
        piece = b""
    if piece:
        yield piece


def _written(rows: Iterable[Iterable[str | int | float | None]]) -> bytes:
    # Anew for each page: its buffers have four bytes for a character, and never shrink.
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


def _plain(cell: Cell) -> str | int | float | None:
    if cell is None or cell.__class__ is str or cell.__class__ is int:
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return shown_moment(cell) if isinstance(cell, datetime) else cell


def _guarded(cell: Cell) -> str | int | float | None:
    if isinstance(cell, str) and cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return _plain(cell)


def shown_moment(moment: datetime) -> str:
    """A local moment, with as many digits of a second as it has."""
    return moment.isoformat(" ")
