"""JSON Lines (jsonlines.org): an object a line, as the API shows it."""

import json
from collections.abc import Iterator

from hub.export.table import Table

TYPE = "application/jsonl"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False)


def chunks(table: Table) -> Iterator[bytes]:
    """The file, a piece for each page."""
    for page in table.pages:
        piece = "".join(f"{_ENCODER.encode(row)}\n" for row in page).encode()
        del page  # a reader who stops keeps no rows
        yield piece
