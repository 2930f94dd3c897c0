"""What is still to be fetched, in the store: a row for each delivery that waits for it.

A row is made in the transaction of its delivery, and removed once what was fetched is kept with it and
the delivery was attempted again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hub.domain.delivery import Delivery
from hub.store.transaction import Transaction

ADD = """
    INSERT INTO fetching (delivery, source, url, headers, attempts, due_at) VALUES (?, ?, ?, ?, 0, ?)
    ON CONFLICT DO NOTHING"""
DUE = """
    SELECT delivery, url, headers, attempts FROM fetching
    WHERE source = ? AND due_at <= ? ORDER BY delivery LIMIT ?"""
LEASE = "UPDATE fetching SET due_at = ? WHERE delivery = ?"
FAILED = "UPDATE fetching SET attempts = ?, due_at = ? WHERE delivery = ?"
REMOVE = "DELETE FROM fetching WHERE delivery = ?"
FORGET = """
    DELETE FROM fetching WHERE delivery IN (
        SELECT d.id FROM delivery d WHERE d.id = fetching.delivery AND d.emptied IS NOT NULL)"""


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be fetched for a delivery, and how often that was tried in vain."""

    delivery: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    attempts: int


def add(
    tx: Transaction, delivery: Delivery, url: str, headers: Mapping[str, str], now: datetime
) -> None:
    """Have something fetched for a delivery. Headers have no secret in them yet."""
    tx.run(ADD, delivery.id, delivery.source, url, json.dumps(dict(headers)), now)


def claim(tx: Transaction, source: str, now: datetime, until: datetime, most: int) -> list[Due]:
    """What is due for a source, in order. Nobody else gets it before ``until``."""
    rows: Sequence[tuple[str, str, str, int]] = tx.rows(DUE, source, now, most)
    found = [Due(row[0], row[1], json.loads(row[2]), row[3]) for row in rows]
    for due in found:
        tx.run(LEASE, until, due.delivery)
    return found


def released(tx: Transaction, delivery: str, at: datetime) -> None:
    """It was not fetched; it is due again then."""
    tx.run(LEASE, at, delivery)


def failed(tx: Transaction, delivery: str, attempts: int, due_at: datetime) -> None:
    """It could not be fetched so often, and is due again then."""
    tx.run(FAILED, attempts, due_at, delivery)


def done(tx: Transaction, delivery: str) -> None:
    """Nothing is to be fetched for a delivery any more."""
    tx.run(REMOVE, delivery)
