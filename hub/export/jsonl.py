"""JSON Lines (jsonlines.org): an object a line, as the API shows it."""

import json
from collections.abc import Iterator

from hub.export.table import Row, Table

TYPE = "application/jsonl"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)


def _line(row: Row | str) -> str:
    return row if isinstance(row, str) else _ENCODER.encode(row)


def chunks(table: Table) -> Iterator[bytes]:
    """The file, a piece for each page."""
    for page in table.pages:
        piece = "".join(f"{_line(row)}\n" for row in page).encode()
        del page  # a reader who stops keeps no rows
        yield piece
