"""A store that is thrown away: filled with rows of another one to be compared with it, or emptied for
the next trial. It is SQLite.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hub.domain.delivery import Delivery
from hub.store.store import Store
from hub.store.transaction import Transaction

KEEP = """
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration,
        of_delivery, of_row)
    VALUES (?, ?, ?, '{}', '', 'applied', 200, '{}', 0, ?, ?)"""
RENUMBER_DEEDS = "UPDATE deed SET subject = ? WHERE what = ? AND subject = ? AND delivery = ?"
_REFERRING = {
    "student": ("student_identifier", "attendance", "disagreement"),
    "event": ("event_identifier", "attendance"),
}
_REFERENCES = {
    "student_identifier": ("student",),
    "event_identifier": ("event",),
    "own_attendance": ("attendance",),
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


def keep(tx: Transaction, delivery: Delivery) -> None:
    """Have a delivery be there for those that name it, such as an undo; nothing of its content."""
    values = (delivery.id, delivery.source, delivery.received_at, delivery.of, delivery.row)
    tx.run(KEEP, *values)


def give_ids(
    tx: Transaction, delivery: str, made: Mapping[str, Mapping[str, Sequence[int]]]
) -> None:
    """Give the students and events that a delivery has just made the ids that they have in another store
    (by table and delivery): others name them by these.
    """
    for table, by_delivery in made.items():
        rows = tx.rows(f"SELECT id FROM {table} WHERE delivery = ? ORDER BY id", delivery)
        for (own,), other in zip(rows, by_delivery.get(delivery, ()), strict=False):
            if own == other or tx.rows(f"SELECT id FROM {table} WHERE id = ?", other):
                continue
            tx.run("PRAGMA defer_foreign_keys = ON")
            tx.run(f"UPDATE {table} SET id = ? WHERE id = ?", other, own)
            for referring in _REFERRING[table]:
                tx.run(f"UPDATE {referring} SET {table} = ? WHERE {table} = ?", other, own)
            tx.run(RENUMBER_DEEDS, other, table, own, delivery)


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
