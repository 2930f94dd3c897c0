"""XLSX (ECMA-376, SpreadsheetML): one sheet, written as it is read, in bounded memory.

Text is written as text (inline strings), so that ``00123`` keeps its zeros and nothing is run. Moments
are real dates, the first row is bold and stays in sight.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hub.export.table import Cell, Table

TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

LONGEST = 32_767
"""Characters that a cell may have (Excel specifications and limits)."""

MOST_ROWS = 1_048_576
"""Rows that a sheet may have; those above begin another one."""

MOST_BYTES = 1_500_000_000
"""Bytes of a sheet, before they are packed, after which another one begins: an archive of larger files
has another form, which not every program reads.
"""

_FIRST_DAY = datetime(1899, 12, 30)
_FIRST_DATE = datetime(1900, 3, 1)
"""Before it, the days that Excel counts are not those of the calendar."""

_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_NO_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
_XML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml"

_STYLES = (
    f"{_HEAD}<styleSheet {_MAIN}>"
    '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/></numFmts>'
    '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>'
    '<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill>'
    '<fill><patternFill patternType="gray125"/></fill></fills>'
    '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="3"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="0" fontId="1" fillId="0" borderId="0" xfId="0" applyFont="1"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
_BOLD, _DATE = ' s="1"', ' s="2"'


class _Pipe(io.RawIOBase):
    """What a ZIP archive is written to, and read from as it grows."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def chunks(table: Table) -> Iterator[bytes]:
    """The file, a piece for each page."""
    pipe = _Pipe()
    sheets = 0
    pages = table.rows()
    left: list[list[Cell]] = []
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        is_done = False
        while not is_done:
            sheets += 1
            with archive.open(f"xl/worksheets/sheet{sheets}.xml", "w") as sheet:
                sheet.write(_begin(table))
                room, size = MOST_ROWS - 1, 0
                number = 2
                while room and size < MOST_BYTES:
                    rows = left or next(pages, (0, None))[1]
                    if rows is None:
                        is_done = True
                        break
                    now, left = rows[:room], rows[room:]
                    size += sheet.write(
                        "".join(_row(number + i, row) for i, row in enumerate(now)).encode()
                    )
                    number += len(now)
                    room -= len(now)
                    del rows, now  # a reader who stops keeps no rows
                    if part := pipe.take():
                        yield part
                sheet.write(b"</sheetData></worksheet>")
        for name, content in _around(sheets, table.name):
            archive.writestr(name, content)
    yield pipe.take()


def _begin(table: Table) -> bytes:
    widths = "".join(
        f'<col min="{i}" max="{i}" width="{min(40, max(10, len(one.heading) + 2))}" customWidth="1"/>'
        for i, one in enumerate(table.columns, start=1)
    )
    heading = "".join(_text(column.heading, _BOLD) for column in table.columns)
    return (
        f'{_HEAD}<worksheet {_MAIN}><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView>'
        f"</sheetViews><cols>{widths}</cols><sheetData>"
        f'<row r="1">{heading}</row>'
    ).encode()


def _row(number: int, row: list[Cell]) -> str:
    return f'<row r="{number}">{"".join(map(_cell, row))}</row>'


def _cell(cell: Cell) -> str:
    if cell.__class__ is str:
        return _text(str(cell))
    if cell is None:
        return "<c/>"
    if isinstance(cell, bool):
        return f'<c t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, datetime):
        if cell < _FIRST_DATE:
            return _text(cell.isoformat(" "))
        since = cell - _FIRST_DAY
        seconds = since.seconds + since.microseconds / 1_000_000
        return f"<c{_DATE}><v>{since.days + seconds / 86_400:.11f}</v></c>"
    return f"<c><v>{cell}</v></c>"


def _text(text: str, style: str = "") -> str:
    if len(text) > LONGEST:
        text = f"{text[: LONGEST - 1]}…"
    if "_x" in text:
        text = _ESCAPED.sub("_x005F_", text)
    shown = text.translate(_XML)
    if not text.isprintable():
        shown = _NO_XML.sub(lambda match: f"_x{ord(match[0]):04X}_", shown)
    return f'<c{style} t="inlineStr"><is><t xml:space="preserve">{shown}</t></is></c>'


def _around(sheets: int, name: str) -> Iterator[tuple[str, str]]:
    """The parts that say what the sheets are."""
    numbers = range(1, sheets + 1)
    parts = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_SHEETS}.worksheet+xml"/>'
        for i in numbers
    )
    yield (
        "[Content_Types].xml",
        f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETS}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_SHEETS}.styles+xml"/>{parts}</Types>',
    )
    yield "_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")])
    title = re.sub(r"[\[\]:*?/\\]", " ", name)[:25].strip("' ").translate(_XML) or "Sheet"
    listed = "".join(
        f'<sheet name="{title}{f" {i}" if i > 1 else ""}" sheetId="{i}" r:id="rId{i}"/>'
        for i in numbers
    )
    yield (
        "xl/workbook.xml",
        (f'{_HEAD}<workbook {_MAIN} xmlns:r="{_OFFICE}"><sheets>{listed}</sheets></workbook>'),
    )
    related = [("worksheet", f"worksheets/sheet{i}.xml") for i in numbers]
    yield "xl/_rels/workbook.xml.rels", _relations([*related, ("styles", "styles.xml")])
    yield "xl/styles.xml", _STYLES


def _relations(related: Any) -> str:
    listed = "".join(
        f'<Relationship Id="rId{i}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for i, (kind, target) in enumerate(related, start=1)
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'
