"""Deliveries in the store: kept with their answers, recognised when they come again, settled by later
attempts, emptied, forgotten.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from hub.domain.delivery import (
    Attempt,
    Delivery,
    Emptied,
    KeptDelivery,
    Outcome,
    Settlement,
    Told,
)
from hub.domain.request_line import RequestLine, joined
from hub.domain.subjects import EVENT, STUDENT
from hub.store import mentions
from hub.store.transaction import Statement, Transaction

KEEP = Statement("""
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration,
        idempotency_key, body_digest, students, events, waiting, sent_by)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""")
BY_KEY = Statement("""
    SELECT id, received_at, status, answer, body_digest, key_attempt, told_status, told_type, told
    FROM delivery
    WHERE source = ? AND idempotency_key = ?""")
_ENCODER = json.JSONEncoder(ensure_ascii=False)
HOLDER = """
    SELECT id, received_at FROM delivery WHERE source = ? AND idempotency_key = ? AND id <> ?"""
CLAIM_KEY = """
    UPDATE delivery SET idempotency_key = ?, body_digest = ?, key_attempt = ?
    WHERE id = ? AND idempotency_key IS NULL"""
SET_OF = "UPDATE delivery SET of_delivery = ?, of_row = ? WHERE id = ?"
SET_ANSWER = "UPDATE delivery SET answer = ?, duration = ? WHERE id = ?"
SET_TOLD = "UPDATE delivery SET told_status = ?, told_type = ?, told = ? WHERE id = ?"
SET_FETCHED = "UPDATE delivery SET fetched = ? WHERE id = ? AND emptied IS NULL"
FINISH = """
    UPDATE delivery SET answer = ?, duration = ?, idempotency_key = ?, body_digest = ? WHERE id = ?"""
SET_KEY_HOLDER = "UPDATE delivery SET key_holder = ? WHERE id = ?"
ATTEMPT = "SELECT status, answer FROM attempt WHERE delivery = ? AND number = ?"
RELEASE_KEY = "UPDATE delivery SET idempotency_key = NULL WHERE id = ?"
ADD_ATTEMPT = """
    INSERT INTO attempt (delivery, number, attempted_at, outcome, status, answer, duration)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
FAIL = "UPDATE delivery SET outcome = ? WHERE id = ?"
SETTLE = "UPDATE delivery SET outcome = ?, students = ?, events = ?, waiting = ? WHERE id = ?"
EMPTY = """
    UPDATE delivery SET body = ?, emptied = ?, waiting = NULL, fetched = NULL
    WHERE id = ? AND emptied IS NULL"""
FORGET = """
    UPDATE delivery SET body = ?, headers = '{}', answer = ?, emptied = ?, students = '',
        told = CASE WHEN told IS NULL THEN NULL ELSE '' END, fetched = NULL,
        waiting = NULL, idempotency_key = NULL, body_digest = NULL, key_holder = NULL
    WHERE id = ?"""
FORGET_EVENTS = "UPDATE delivery SET events = '' WHERE id = ?"
FORGET_ATTEMPTS = "UPDATE attempt SET answer = ? WHERE delivery = ?"
_FORGOTTEN = '{"forgotten": true}'


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """The first answer that an idempotency key remembers, the delivery that got it, and the digest of
    that one's body.
    """

    delivery: str
    status: int
    answer: str
    body_digest: str | None
    told: Told | None = None


def keep(
    tx: Transaction,
    delivery: Delivery,
    settlement: Settlement,
    idempotency_key: str | None,
    body_digest: str | None,
) -> None:
    """Keep a delivery with what became of it.

    With a key, the database refuses a second row of it.
    """
    line = RequestLine(delivery.method, delivery.path, delivery.query, delivery.parts)
    tx.run(
        KEEP,
        delivery.id,
        delivery.source,
        delivery.received_at,
        _headers(joined(delivery.headers, line)),
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
        delivery.sent_by,
    )
    if delivery.of is not None:
        tx.run(SET_OF, delivery.of, delivery.row, delivery.id)
    if settlement.mentions:
        mentions.add(tx, delivery.id, settlement.mentions)


def set_told(tx: Transaction, identifier: str, told: Told) -> None:
    """Keep what a delivery's sender was told in its source's own words."""
    tx.run(SET_TOLD, told.status, told.content_type, told.body, identifier)


def set_fetched(tx: Transaction, identifier: str, document: bytes) -> None:
    """Keep what was fetched for a delivery."""
    tx.run(SET_FETCHED, document, identifier)


def finish(
    tx: Transaction,
    identifier: str,
    answer: str,
    duration: int,
    key: str | None,
    digest: str | None,
) -> None:
    """Keep the answer of a batch, and the key that remembers it. ``duration`` is in microseconds."""
    tx.run(FINISH, answer, duration, key, digest, identifier)


def set_answer(tx: Transaction, identifier: str, answer: str, duration: int) -> None:
    """Keep the answer of a delivery that was kept before it was known; ``duration`` in microseconds."""
    tx.run(SET_ANSWER, answer, duration, identifier)


@lru_cache(maxsize=256)
def _headers(headers: tuple[tuple[str, str], ...]) -> str:
    """Headers as JSON; a sender's are nearly always the same."""
    return _ENCODER.encode(dict(headers))


def first_answer(
    tx: Transaction, source: str, key: str, now: datetime, retention: timedelta
) -> FirstAnswer | None:
    """The first answer that this key remembers, within the retention time.

    A key whose time is over is released, so that it may be used anew.
    """
    row = tx.row(BY_KEY, source, key)
    if row is None:
        return None
    identifier, received_at, status, answer, body_digest, attempt, *told = row
    if now - tx.moment(received_at) > retention:
        tx.run(RELEASE_KEY, identifier)
        return None
    if attempt is not None:
        # Claimed by a replay: it was that which recorded something.
        status, answer = tx.row(ATTEMPT, identifier, attempt) or (status, answer)
        told = [None]
    return FirstAnswer(
        identifier, status, answer, body_digest, None if told[0] is None else Told(*told)
    )


def holder(tx: Transaction, source: str, key: str, other_than: str) -> str | None:
    """The id of another delivery that was answered under this key, whenever it was."""
    row = tx.row(HOLDER, source, key, other_than)
    return str(row[0]) if row else None


def claim_key(tx: Transaction, identifier: str, key: str, body_digest: str, attempt: int) -> None:
    """Have a delivery answer, as it did at an attempt, for a key that no other one has; unless it has
    answered for one before.
    """
    tx.run(CLAIM_KEY, key, body_digest, attempt, identifier)


def set_key_holder(tx: Transaction, identifier: str, holder: str) -> None:
    """Keep of a delivery whose key it used with another body."""
    tx.run(SET_KEY_HOLDER, holder, identifier)


def add_attempt(tx: Transaction, kept: KeptDelivery, at: datetime, settlement: Settlement) -> int:
    """Keep a later attempt of a delivery, which is settled by it; the attempt's number.

    The delivery's own status and answer stay what its sender was told.
    """
    if kept.attempts == 1:
        _add(tx, kept.delivery.id, kept.first_attempt)
    number = kept.attempts + 1
    record = Attempt(
        number, at, settlement.outcome, settlement.status, settlement.answer, settlement.duration
    )
    _add(tx, kept.delivery.id, record)
    if settlement.outcome is Outcome.FAILED:
        # It says nothing of the delivery: what that is about, and waits for, stays.
        tx.run(FAIL, settlement.outcome.value, kept.delivery.id)
        return number
    tx.run(
        SETTLE,
        settlement.outcome.value,
        settlement.students,
        settlement.events,
        settlement.waiting,
        kept.delivery.id,
    )
    mentions.replace(tx, kept.delivery.id, settlement.mentions)
    return number


def empty(tx: Transaction, identifier: str, why: Emptied) -> None:
    """Take a delivery's body away; it waits for nothing any more."""
    tx.run(EMPTY, b"", why.value, identifier)


def forget(tx: Transaction, identifier: str) -> None:
    """Take away all of a delivery that may tell of a person; that it came, and its outcome, stay."""
    tx.run(FORGET, b"", _FORGOTTEN, Emptied.FORGOTTEN.value, identifier)
    tx.run(FORGET_ATTEMPTS, _FORGOTTEN, identifier)
    mentions.forget(tx, identifier, STUDENT)


def forget_events(tx: Transaction, identifier: str) -> None:
    """Take away what a delivery called its events: a sender may have written a person there."""
    tx.run(FORGET_EVENTS, identifier)
    mentions.forget(tx, identifier, EVENT)


def _add(tx: Transaction, delivery: str, record: Attempt) -> None:
    tx.run(
        ADD_ATTEMPT,
        delivery,
        record.number,
        record.at,
        record.outcome.value,
        record.status,
        record.answer,
        record.duration,
    )
