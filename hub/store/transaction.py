"""One transaction: SQL on the connection of a Pony session, with the differences of the dialects.

Statements are written with ``?`` for a value. Moments are naive datetimes in UTC.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

from hub.log import log_fault

Row = tuple[Any, ...]


class Transaction:
    """The open transaction of one thread. It ends, with a commit or a rollback, in ``Store``."""

    def __init__(self, connection: Any, dialect: str) -> None:
        self._cursor = connection.cursor()
        self._is_sqlite = dialect == "sqlite"
        self._committed: list[Callable[[], None]] = []

    def run(self, sql: str, *values: Any) -> None:
        """Run a statement that returns no rows."""
        self._execute(sql, values)

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All the rows that a statement returns."""
        self._execute(sql, values)
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def row(self, sql: str, *values: Any) -> Row | None:
        """The first row that a statement returns, or None."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def insert(self, sql: str, *values: Any) -> int:
        """The id of the row that an ``INSERT … RETURNING id`` makes."""
        return int(self.rows(sql, *values)[0][0])

    def moment(self, value: Any) -> datetime:
        """A moment as a row has it, as a datetime."""
        return datetime.fromisoformat(value) if self._is_sqlite else value

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo what the block did, and nothing else, if it raises."""
        self.run("SAVEPOINT delivery")
        try:
            yield
        except BaseException:
            self.run("ROLLBACK TO SAVEPOINT delivery")
            self.run("RELEASE SAVEPOINT delivery")
            raise
        self.run("RELEASE SAVEPOINT delivery")

    def when_committed(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the transaction is on the disk, and never if it is rolled back."""
        self._committed.append(callback)

    def committed(self) -> None:
        """Tell those who wait for the commit. ``Store`` calls this, once."""
        tell(self._committed)

    def _execute(self, sql: str, values: tuple[Any, ...]) -> None:
        if self._is_sqlite:
            values = tuple(
                [
                    value.isoformat(" ", "microseconds") if isinstance(value, datetime) else value
                    for value in values
                ]
            )
        else:
            sql = _format_style(sql)
        self._cursor.execute(sql, values)


def tell(callbacks: Iterable[Callable[[], None]]) -> None:
    """Call those who wait for a transaction that is committed.

    What one of them raises is logged: the transaction is on the disk all the same.
    """
    for callback in callbacks:
        try:
            callback()
        except Exception as error:
            log_fault("a transaction is committed, and what follows it failed", error)


@lru_cache(maxsize=256)
def _format_style(sql: str) -> str:
    return sql.replace("?", "%s")
