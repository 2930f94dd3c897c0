"""The outbox in the store: check-ins that still have to be sent on, a row for each and each target.

A row is made in the transaction of its check-in, and removed once the target has it. One that was given
up has no time at which it is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.domain.operations import CheckIn
from hub.domain.records import Change, Result
from hub.store.transaction import Transaction

ADD = """
    INSERT INTO outbox (target, attendance, attempts, due_at) VALUES (?, ?, 0, ?)
    ON CONFLICT DO NOTHING"""
DUE = """
    SELECT id, attempts FROM outbox WHERE target = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"""
LEASE = "UPDATE outbox SET due_at = ? WHERE id = ?"
SENT = "DELETE FROM outbox WHERE id = ?"
FAILED = "UPDATE outbox SET attempts = ?, due_at = ? WHERE id = ?"
AGAIN = """
    UPDATE outbox SET attempts = 0, due_at = ? WHERE target = ? AND (due_at IS NULL OR due_at > ?)"""
DISCARD = "DELETE FROM outbox WHERE target = ?"
FORGET = """
    DELETE FROM outbox WHERE attendance IN (SELECT a.id FROM attendance a WHERE a.student = ?)"""


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be sent, and how often that was tried before."""

    id: int
    attempts: int


def add(tx: Transaction, targets: Sequence[str], results: Sequence[Result], now: datetime) -> None:
    """Have the check-ins that the results made sent to the targets."""
    made = [
        result.attendance.id
        for result in results
        if isinstance(result.operation, CheckIn)
        and result.change is Change.CREATED
        and result.attendance is not None
    ]
    for attendance in made:
        for target in targets:
            tx.run(ADD, target, attendance, now)


def claim(tx: Transaction, target: str, now: datetime, until: datetime, most: int) -> list[Due]:
    """What is due for a target. Nobody else gets it before ``until``."""
    found = [Due(*row) for row in tx.rows(DUE, target, now, most)]
    for due in found:
        tx.run(LEASE, until, due.id)
    return found


def sent(tx: Transaction, identifier: int) -> None:
    """The target has it."""
    tx.run(SENT, identifier)


def failed(tx: Transaction, identifier: int, attempts: int, due_at: datetime | None) -> None:
    """It was tried in vain so often, and is due again then, or given up."""
    tx.run(FAILED, attempts, due_at, identifier)


def released(tx: Transaction, identifier: int, now: datetime) -> None:
    """It was not tried; somebody else may."""
    tx.run(LEASE, now, identifier)


def again(tx: Transaction, target: str, now: datetime) -> None:
    """Try anew, and now, what was given up or waits; what is on its way may come twice."""
    tx.run(AGAIN, now, target, now)


def discard(tx: Transaction, target: str) -> None:
    """Send nothing of what there is for a target."""
    tx.run(DISCARD, target)
