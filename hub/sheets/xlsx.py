"""XLSX (ECMA-376), by python-calamine: the first sheet, with the values that formulas had last."""

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from hub.sheets.sheet import Line, MissingExtra, Sheet, Unreadable, bounded, require_small


def is_xlsx(body: bytes) -> bool:
    """Whether a body is a ZIP file, as an XLSX file is one."""
    return body.startswith(b"PK\x03\x04")


def read(body: bytes, limit: int) -> Sheet:
    """``limit`` is in bytes, unpacked. Raises Unreadable, and MissingExtra without python-calamine."""
    try:
        import python_calamine
    except ImportError:
        raise MissingExtra("An XLSX file", "xlsx") from None
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as file:
            require_small(file, limit)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise Unreadable("The file is no XLSX file", "Save it again, as XLSX or CSV") from None
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(body))
        sheet = workbook.get_sheet_by_index(0)
        lines = bounded(_lines(sheet.iter_rows(), sheet.start))
    except (python_calamine.CalamineError, OSError, IndexError):
        raise Unreadable("The file is no XLSX file", "Save it again, as XLSX or CSV") from None
    names = workbook.sheet_names
    warnings: tuple[str, ...] = ()
    if len(names) > 1:
        warnings = (f"The file has {len(names)} sheets; only the first was read: {names[0]}",)
    return Sheet(lines, "XLSX", warnings)


def _lines(rows: Any, start: tuple[int, int] | None) -> Iterator[Line]:
    first = 1 if start is None else start[0] + 1
    for number, row in enumerate(rows, start=first):
        yield Line(number, [_text(cell) for cell in row])


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "seconds")
    if isinstance(cell, date):
        return cell.isoformat()
    if isinstance(cell, time):
        return cell.isoformat("seconds")
    if isinstance(cell, timedelta):
        return (datetime.min + cell % timedelta(days=1)).time().isoformat("seconds")
    return str(cell)
