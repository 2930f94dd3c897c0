"""A store that is thrown away: filled with rows of another one to be compared with it, or emptied for
the next trial. It is SQLite.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.store.store import Store
from hub.store.transaction import Transaction

EVENTS_MADE_NOW = "SELECT e.id, e.delivery FROM event e WHERE e.delivery = ? ORDER BY e.id"
RENUMBER_EVENT = "UPDATE event SET id = ? WHERE id = ?"
_REFERRING_TO_EVENT = ("event_identifier", "attendance")
_REFERENCES = {
    "attendance": ("student", "event"),
    "attendance_identifier": ("attendance",),
    "evidence": ("attendance",),
}
"""By table, the tables that it refers to, and that may have been copied in part."""


@contextmanager
def opened() -> Iterator[Store]:
    """An empty store, as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="attendance-hub-scratch-") as folder:
        store = Store.open(f"sqlite:///{Path(folder) / 'scratch.db'}")
        try:
            yield store
        finally:
            store.close()


def give_ids(tx: Transaction, delivery: str, wanted: Sequence[int]) -> None:
    """Give the events that a delivery has just made the ids that they have in another store: a check-in
    may name an event by its id.
    """
    made = [row[0] for row in tx.rows(EVENTS_MADE_NOW, delivery)]
    for own, other in zip(made, wanted, strict=False):
        if own == other or tx.rows(f"SELECT e.id FROM event e WHERE e.id = {int(other)}"):
            continue
        tx.run("PRAGMA defer_foreign_keys = ON")
        tx.run(RENUMBER_EVENT, other, own)
        for table in _REFERRING_TO_EVENT:
            tx.run(f"UPDATE {table} SET event = ? WHERE event = ?", other, own)


def empty(tx: Transaction, tables: Iterable[str]) -> None:
    """Delete all the rows of the tables, and have their ids begin at 1 again."""
    tx.run("PRAGMA defer_foreign_keys = ON")
    for table in tables:
        tx.run(f"DELETE FROM {table}")
    tx.run("DELETE FROM sqlite_sequence")


def insert(tx: Transaction, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, with their ids, into a table; those are left out that refer to what is not there."""
    tx.run("PRAGMA defer_foreign_keys = ON")  # rows of a table may refer to each other
    references = _REFERENCES.get(table, ())
    present = " AND ".join(f"EXISTS (SELECT 1 FROM {name} WHERE id = ?)" for name in references)
    for row in rows:
        sql = f"INSERT INTO {table} ({', '.join(row)}) SELECT {', '.join('?' for _ in row)}"
        if present:
            sql += f" WHERE {present}"
        tx.run(sql, *row.values(), *(row[name] for name in references))
