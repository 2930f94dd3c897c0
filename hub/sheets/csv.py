"""CSV (RFC 4180) as people have it: any usual delimiter, UTF-8 or Windows-1252."""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from hub.sheets.sheet import Line, Sheet, Unreadable, bounded

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LOOKED_AT = 50


def read(body: bytes) -> Sheet:
    """Raises Unreadable."""
    text, encoding, warnings = _decoded(body)
    delimiter = _delimiter(text)
    lines = bounded(_lines(text, delimiter))
    return Sheet(lines, f"CSV with {_DELIMITERS[delimiter]}, {encoding}", warnings)


def _decoded(body: bytes) -> tuple[str, str, tuple[str, ...]]:
    if body.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return body.decode("utf-16"), "UTF-16", ()
        except UnicodeDecodeError:
            raise Unreadable("The file is no text", "Save it as CSV in UTF-8") from None
    if b"\0" in body[:4096]:
        raise Unreadable("The file is no text", "Save it as CSV in UTF-8, or send it as XLSX")
    try:
        return body.decode("utf-8-sig"), "UTF-8", ()
    except UnicodeDecodeError:
        pass
    try:
        text = body.decode("cp1252")
    except UnicodeDecodeError:
        raise Unreadable(
            "The file is neither UTF-8 nor Windows-1252", "Save it as CSV in UTF-8"
        ) from None
    warning = "The file is not UTF-8; it was read as Windows-1252. Look at the names"
    return text, "Windows-1252", (warning,)


def _delimiter(text: str) -> str:
    """The delimiter by which the most of the first lines have the same number of columns."""
    best, quality = ",", (0, 0)
    for delimiter in _DELIMITERS:
        try:
            rows = [
                len(line.cells)
                for line in islice(_lines(text, delimiter), _LOOKED_AT)
                if line.cells
            ]
        except Unreadable:
            continue
        columns, times = Counter(rows).most_common(1)[0] if rows else (0, 0)
        if columns > 1 and (times, columns) > quality:
            best, quality = delimiter, (times, columns)
    return best


def _lines(text: str, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise Unreadable(
                f"The file cannot be read from line {begin} on: {error}",
                "Is a quotation mark missing?",
            ) from None
        if cells is None:
            return
        yield Line(begin, cells)
        begin = reader.line_num + 1
