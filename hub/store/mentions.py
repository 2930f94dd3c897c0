"""Mentions in the store: by whose and which names a delivery is found again.

A delivery that says something of an attendance is found through that, and needs no row here.
"""

from collections.abc import Iterable

from hub.store.transaction import Transaction

ADD = "INSERT INTO mention (name, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING"
DROP = "DELETE FROM mention WHERE delivery = ?"
FORGET = "DELETE FROM mention WHERE delivery = ? AND name LIKE ?"


def add(tx: Transaction, delivery: str, names: Iterable[str]) -> None:
    """Have a delivery found by these names (``hub.domain.subjects``)."""
    for name in names:
        tx.run(ADD, name, delivery)


def replace(tx: Transaction, delivery: str, names: Iterable[str]) -> None:
    """Have a delivery found by these names, and by none that it was found by before."""
    tx.run(DROP, delivery)
    add(tx, delivery, names)


def forget(tx: Transaction, delivery: str, what: str) -> None:
    """Have a delivery found no more by the names of its students, or of its events (``what``)."""
    tx.run(FORGET, delivery, f"{what} %")
