"""A table as the answer to a request: a file that is sent as it is read."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from hub.export import csv, jsonl, xlsx
from hub.export.table import Table


class File(NamedTuple):
    """An answer whose body is sent piece by piece. What makes a piece may be called on any thread."""

    status: int
    chunks: Iterator[bytes]
    headers: Mapping[str, str]


class Form(NamedTuple):
    """A form of file: its content type, and what writes it."""

    type: str
    write: Callable[[Table], Iterator[bytes]]


FORMS: Mapping[str, Form] = {
    "csv": Form(csv.TYPE, csv.chunks),
    "xlsx": Form(xlsx.TYPE, xlsx.chunks),
    "jsonl": Form(jsonl.TYPE, jsonl.chunks),
}
"""The forms by the ending of their files."""

_TYPES = {
    "text/csv": "csv",
    xlsx.TYPE: "xlsx",
    jsonl.TYPE: "jsonl",
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
    "application/x-jsonlines": "jsonl",
}


def accepted(accept: str) -> str | None:
    """The ending of the form that an ``Accept`` header wants most (RFC 9110, 12.5.1); None for JSON."""
    best, quality = None, 0.0
    for part in accept.split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        weight = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            wanted = float(weight)
        except ValueError:
            continue
        is_json = kind in ("application/json", "application/*", "*/*")
        if (kind in _TYPES or is_json) and wanted > quality:
            best, quality = _TYPES.get(kind), wanted
    return best


def file(table: Table, form: str, for_excel: bool = False) -> File:
    """A table as a file. Raises what reading its first page raises."""
    write = partial(csv.chunks, for_excel=True) if for_excel else FORMS[form].write
    chunks = write(table)
    # A store that does not answer is told before the status is.
    first = [next(chunks, b"")]
    name = f"{slug(table.name)}.{form}"
    headers = {
        "Content-Type": FORMS[form].type,
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return File(200, _after(first, chunks), headers)


def slug(text: str) -> str:
    """A text as a part of a file's name that every system takes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:80] or "export"


def _after(first: list[bytes], rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first.pop()
    yield from rest
