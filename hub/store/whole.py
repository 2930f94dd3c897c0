"""A whole record put into an empty store, row by row, with the ids that it had."""

from collections.abc import Iterable, Mapping
from typing import Any

from hub.store.transaction import Transaction

EMPTY = """
    SELECT count(*) FROM (SELECT id FROM student UNION ALL SELECT id FROM event
        UNION ALL SELECT id FROM change) AS found"""
_LATER = {
    "student": ("merged_into", "merged_under"),
    "event": ("merged_into", "merged_under"),
    "attendance": ("joined_in",),
}
"""Columns that refer to rows of the same table, which may come later."""


def is_empty(tx: Transaction) -> bool:
    """Whether a store has nothing yet."""
    return bool(tx.rows(EMPTY)[0][0] == 0)


def insert(
    tx: Transaction, table: str, rows: Iterable[Mapping[str, Any]]
) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Insert rows; what is to be set when all rows are there (``refer``)."""
    later: list[tuple[str, int, Mapping[str, Any]]] = []
    for row in rows:
        references = {name: row[name] for name in _LATER.get(table, ()) if row[name] is not None}
        if references:
            later.append((table, int(row["id"]), references))
            row = {**row, **dict.fromkeys(references)}
        marks = ", ".join("?" for _ in row)
        tx.run(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())
    return later


def refer(tx: Transaction, later: Iterable[tuple[str, int, Mapping[str, Any]]]) -> None:
    """Have rows refer to others of their table."""
    for table, identifier, references in later:
        members = ", ".join(f"{name} = ?" for name in references)
        tx.run(f"UPDATE {table} SET {members} WHERE id = ?", *references.values(), identifier)


def go_on_after(tx: Transaction, tables: Iterable[str]) -> None:
    """Have the next ids follow those that were inserted. SQLite does so by itself."""
    if not tx.inserts_in_queries:
        return
    for table in tables:
        tx.rows(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), "
            f"greatest((SELECT coalesce(max(id), 0) FROM {table}), 1), "
            f"(SELECT count(*) > 0 FROM {table}))"
        )
