"""Deliveries in the store: kept with their answers, and recognised when they come again."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from hub.domain.delivery import Delivery, Settlement
from hub.store.transaction import Statement, Transaction

KEEP = Statement("""
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration,
        idempotency_key, body_digest, students, events, waiting)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""")
BY_KEY = Statement("""
    SELECT id, received_at, status, answer, body_digest FROM delivery
    WHERE source = ? AND idempotency_key = ?""")
_ENCODER = json.JSONEncoder(ensure_ascii=False)
HOLDER = """
    SELECT id, received_at FROM delivery WHERE source = ? AND idempotency_key = ? AND id <> ?"""
CLAIM_KEY = "UPDATE delivery SET idempotency_key = ?, body_digest = ? WHERE id = ?"
LAST_ATTEMPT = """
    SELECT status, answer FROM attempt WHERE delivery = ? ORDER BY number DESC LIMIT 1"""
RELEASE_KEY = "UPDATE delivery SET idempotency_key = NULL WHERE id = ?"


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The answer to the first delivery of an idempotency key, and the digest of that one's body."""

    status: int
    answer: str
    body_digest: str | None


def keep(
    tx: Transaction,
    delivery: Delivery,
    settlement: Settlement,
    idempotency_key: str | None,
    body_digest: str | None,
) -> None:
    """Keep a delivery with what became of it.

    With a key, the database refuses a second row of it (StoreConflict, when another hub was first).
    """
    tx.run(
        KEEP,
        delivery.id,
        delivery.source,
        delivery.received_at,
        _headers(tuple(delivery.headers.items())),
        delivery.body,
        settlement.outcome.value,
        settlement.status,
        settlement.answer,
        settlement.duration,
        idempotency_key,
        body_digest,
        settlement.students,
        settlement.events,
        settlement.waiting,
    )


@lru_cache(maxsize=256)
def _headers(headers: tuple[tuple[str, str], ...]) -> str:
    """Headers as JSON; a sender's are nearly always the same."""
    return _ENCODER.encode(dict(headers))


def first_answer(
    tx: Transaction, source: str, key: str, now: datetime, retention: timedelta
) -> FirstAnswer | None:
    """The answer given to the first delivery of this key, within the retention time.

    A key whose time is over is released, so that it may be used anew.
    """
    row = tx.row(BY_KEY, source, key)
    if row is None:
        return None
    identifier, received_at, status, answer, body_digest = row
    if now - tx.moment(received_at) > retention:
        tx.run(RELEASE_KEY, identifier)
        return None
    if status >= 500 or key.startswith("source:"):
        # Claimed by a replay: it was that which recorded something.
        status, answer = tx.row(LAST_ATTEMPT, identifier) or (status, answer)
    return FirstAnswer(status, answer, body_digest)


def holder(tx: Transaction, source: str, key: str, other_than: str) -> str | None:
    """The id of another delivery that was answered under this key, whenever it was."""
    row = tx.row(HOLDER, source, key, other_than)
    return str(row[0]) if row else None


def claim_key(tx: Transaction, identifier: str, key: str, body_digest: str) -> None:
    """Have a delivery answer for a key that no other one has."""
    tx.run(CLAIM_KEY, key, body_digest, identifier)
