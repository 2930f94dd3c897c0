"""SQL on a Pony session's connection, with the differences of the dialects: one transaction.

Statements are written with ``?`` for a value. Moments are naive datetimes in UTC.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Any

from hub.log import log_fault

Row = tuple[Any, ...]


class Statement(str):
    """A statement of every check-in: PostgreSQL parses and plans it once for a connection."""

    __slots__ = ()


class StatementNames:
    """The names of the statements that were prepared on a thread's connection."""

    def __init__(self) -> None:
        self._connection: Any = None
        self._names: dict[str, str] = {}

    def on(self, connection: Any) -> dict[str, str]:
        """The names by statement on this connection; a new connection has no names yet."""
        if connection is not self._connection:
            self._connection, self._names = connection, {}
        return self._names


class Transaction:
    """The open transaction of one thread. It ends, with a commit or a rollback, in ``Store``.

    ``prepared`` are the names of the statements that were prepared on the connection before.
    """

    def __init__(self, connection: Any, dialect: str, prepared: dict[str, str]) -> None:
        self._cursor = connection.cursor()
        self._is_sqlite = dialect == "sqlite"
        self._prepared = prepared
        self._last: tuple[datetime, str] | None = None
        self._committed: list[Callable[[], None]] = []
        self.has_written = False

    def run(self, sql: str, *values: Any) -> None:
        """Run a statement that returns no rows."""
        self.has_written = True
        self._execute(sql, values)

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement that returns no rows once for each of several rows of values."""
        self.has_written = True
        if self._is_sqlite:
            text = self._text
            self._cursor.executemany(
                sql, [[text(one) if type(one) is datetime else one for one in row] for row in rows]
            )
        else:
            self._cursor.executemany(_format_style(sql), list(rows))

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """All the rows that a statement returns."""
        self._execute(sql, values)
        rows: list[Row] = self._cursor.fetchall()
        return rows

    def row(self, sql: str, *values: Any) -> Row | None:
        """The first row that a statement returns, or None."""
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def moment(self, value: Any) -> datetime:
        """A moment as a row has it, as a datetime."""
        return datetime.fromisoformat(value) if self._is_sqlite else value

    def insert(self, sql: str, *values: Any) -> int:
        """The id of the row that an ``INSERT … RETURNING id`` makes."""
        return int(self.rows(sql, *values)[0][0])

    @contextmanager
    def savepoint(self, name: str = "delivery") -> Iterator[None]:
        """Undo what the block did, and nothing else, if it raises."""
        self.run(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            self.run(f"ROLLBACK TO SAVEPOINT {name}")
            self.run(f"RELEASE SAVEPOINT {name}")
            raise
        self.run(f"RELEASE SAVEPOINT {name}")

    def when_committed(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the transaction is on the disk, and never if it is rolled back."""
        self._committed.append(callback)

    def committed(self) -> None:
        """Tell those who wait for the commit. ``Store`` calls this, once."""
        tell(self._committed)

    def _execute(self, sql: str, values: Sequence[Any]) -> None:
        if self._is_sqlite:
            # As in run_many; a check-in has five statements, and would pay for five calls.
            values = [self._text(one) if type(one) is datetime else one for one in values]
        elif type(sql) is Statement:
            sql = self._prepared.get(sql) or self._prepare(sql)
        else:
            sql = _format_style(sql)
        self._cursor.execute(sql, values)

    def _text(self, moment: datetime) -> str:
        """A moment as SQLite has it. A check-in has the same one in several places."""
        if self._last is None or self._last[0] is not moment:
            self._last = moment, _text_of(moment)
        return self._last[1]

    def _prepare(self, sql: Statement) -> str:
        name = f"hub_{len(self._prepared)}"
        first, *rest = sql.split("?")
        numbered = "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))
        self._cursor.execute(f"PREPARE {name} AS {first}{numbered}")
        # A prepared statement outlives a transaction that is rolled back.
        execute = f"EXECUTE {name} ({', '.join('%s' for _ in rest)})"
        self._prepared[sql] = execute
        return execute

    @property
    def inserts_in_queries(self) -> bool:
        """Whether a query may have an INSERT in its WITH clause."""
        return not self._is_sqlite


def tell(callbacks: Iterable[Callable[[], None]]) -> None:
    """Call those who wait for a transaction that is committed.

    What one of them raises is logged: the transaction is on the disk all the same.
    """
    for callback in callbacks:
        try:
            callback()
        except Exception as error:
            log_fault("a transaction is committed, and what follows it failed", error)


def _text_of(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")


@lru_cache(maxsize=256)
def _format_style(sql: str) -> str:
    return sql.replace("?", "%s")
