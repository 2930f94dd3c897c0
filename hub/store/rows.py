"""The rows of a Pony query as the database has them: for listings, whose rows are shown and thrown away.

Pony converts each value of each row by itself, which takes several times as long as to read it.
"""

from datetime import datetime
from typing import Any


def of(db: Any, query: Any, limit: int | None = None) -> list[tuple[Any, ...]]:
    """All rows of a query, or the first ``limit``. Moments are as the database has them (``moment``)."""
    sql, arguments, _, _ = query._construct_sql_and_arguments(limit)
    rows: list[tuple[Any, ...]] = db._exec_sql(sql, arguments).fetchall()
    return rows


def moment(value: Any) -> Any:
    """A moment of a row: naive, in UTC; None where it has none."""
    return datetime.fromisoformat(value) if type(value) is str else value
