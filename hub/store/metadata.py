"""Metadata in the store: what senders said of an event, a student or an attendance, taken away."""

from hub.store.transaction import Transaction

OF_STUDENT = "UPDATE student SET metadata = '{}' WHERE id = ?"
OF_EVENT = "UPDATE event SET metadata = '{}' WHERE id = ?"
OF_ATTENDANCE = "UPDATE attendance SET metadata = '{}' WHERE id = ?"

_REMOVE = {
    "student": OF_STUDENT,
    "event": OF_EVENT,
    "attendance": OF_ATTENDANCE,
}

TABLES = tuple(_REMOVE)
"""The tables that have metadata."""


def remove(tx: Transaction, table: str, row: int) -> None:
    """Take away the metadata of a row."""
    tx.run(_REMOVE[table], row)
