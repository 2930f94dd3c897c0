"""Kept deliveries in the store: found again, attempted again, emptied."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from hub.domain import subjects
from hub.domain.delivery import (
    Attempt,
    Delivery,
    Emptied,
    KeptDelivery,
    Outcome,
    Settlement,
    delivery_id_at,
)
from hub.store.transaction import Queries, Row, Transaction

_KEPT = """
    SELECT d.id, d.source, d.received_at, d.headers, d.body, d.outcome, d.status, d.answer,
        d.duration, d.waiting, d.emptied,
        (SELECT count(*) FROM attempt a WHERE a.delivery = d.id) AS attempts
    FROM delivery d"""
_LISTED = _KEPT.replace("d.body", "NULL AS body")
BY_ID = f"{_KEPT} WHERE d.id = ?"
WAITING_FOR = """
    SELECT d.id, d.waiting FROM delivery d WHERE d.waiting IS NOT NULL AND d.waiting = ?
    ORDER BY d.id"""
WAITING = """
    SELECT d.id, d.waiting FROM delivery d WHERE d.waiting IS NOT NULL AND d.id > ?
    ORDER BY d.id LIMIT ?"""
ATTEMPTS = """
    SELECT number, attempted_at, outcome, status, answer, duration FROM attempt
    WHERE delivery = ? ORDER BY number"""
ADD_ATTEMPT = """
    INSERT INTO attempt (delivery, number, attempted_at, outcome, status, answer, duration)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
FAIL = "UPDATE delivery SET outcome = ? WHERE id = ?"
SETTLE = "UPDATE delivery SET outcome = ?, students = ?, events = ?, waiting = ? WHERE id = ?"
OLDEST_FULL = """
    SELECT d.id, d.received_at FROM delivery d
    WHERE d.id > ? AND d.id < ? AND d.emptied IS NULL ORDER BY d.id LIMIT ?"""
SETTLED_LATER = """
    SELECT a.delivery, max(a.attempted_at) AS last_at FROM attempt a WHERE a.number > 1
    GROUP BY a.delivery"""
NEWEST = "SELECT d.id, d.received_at FROM delivery d ORDER BY d.id DESC LIMIT 1"
EMPTY = "UPDATE delivery SET body = ?, emptied = ?, waiting = NULL WHERE id = ? AND emptied IS NULL"

FORGET = """
    UPDATE delivery SET body = ?, headers = '{}', answer = ?, emptied = ?, students = '',
        waiting = NULL, idempotency_key = NULL, body_digest = NULL WHERE id = ?"""
FORGET_ATTEMPTS = "UPDATE attempt SET answer = ? WHERE delivery = ?"
_FORGOTTEN = '{"forgotten": true}'

_CLOCK_SLACK = timedelta(hours=1)
"""How much earlier than its time of receipt a delivery's id may have been made, generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which kept deliveries: those for which everything holds that is given."""

    outcomes: tuple[Outcome, ...] | None = None
    status: int | None = None
    source: str | None = None
    since: datetime | None = None
    students: tuple[str, ...] | None = None
    events: tuple[str, ...] | None = None
    with_body: bool = False
    waiting: bool = False
    upto: str | None = None

    def conditions(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Conditions in SQL, and their values."""
        if self.outcomes is not None:
            yield _one_of("d.outcome", [outcome.value for outcome in self.outcomes])
        if self.status is not None:
            yield "d.status = ?", [self.status]
        if self.source is not None:
            yield "d.source = ?", [self.source]
        if self.since is not None:
            # Ids sort by time; that bounds the search.
            yield (
                "d.id >= ?",
                [delivery_id_at(max(self.since, datetime(1970, 1, 2)) - _CLOCK_SLACK)],
            )
            yield "d.received_at >= ?", [self.since]
        if self.students is not None:
            yield _any_of("d.students", self.students)
        if self.events is not None:
            yield _any_of("d.events", self.events)
        if self.with_body:
            yield "d.emptied IS NULL", []
        if self.upto is not None:
            yield "d.id <= ?", [self.upto]
        if self.waiting:
            yield "d.waiting IS NOT NULL", []


def page(
    queries: Queries,
    wanted: Wanted,
    limit: int,
    *,
    before: str = "",
    after: str = "",
    bodies: bool = False,
) -> list[KeptDelivery]:
    """At most ``limit`` deliveries: the newest first, below the id ``before``; or, with ``after``, the
    oldest first, above that id. Their bodies are left out unless ``bodies`` are asked for.
    """
    conditions = list(wanted.conditions())
    if before:
        conditions.append(("d.id < ?", [before]))
    if after:
        conditions.append(("d.id > ?", [after]))
    sql, values = _where(conditions)
    select = _KEPT if bodies else _LISTED
    order = "ORDER BY d.id" if after else "ORDER BY d.id DESC"
    return [
        _kept(queries, row)
        for row in queries.rows(f"{select}{sql} {order} LIMIT ?", *values, limit)
    ]


def count(queries: Queries, wanted: Wanted) -> int:
    """How many deliveries there are."""
    sql, values = _where(list(wanted.conditions()))
    row = queries.row(f"SELECT count(*), 0 FROM delivery d{sql}", *values)
    return int(row[0]) if row else 0


def ids(queries: Queries, wanted: Wanted, after: str) -> list[str]:
    """The ids of all deliveries above the id ``after``, in no order."""
    sql, values = _where([*wanted.conditions(), ("d.id > ?", [after])])
    return [row[0] for row in queries.rows(f"SELECT d.id, 0 FROM delivery d{sql}", *values)]


def students_of(queries: Queries, names: Sequence[str]) -> list[str]:
    """Whom the deliveries are about that are about one of ``names``, each combination once."""
    condition, values = _any_of("d.students", names)
    sql = f"SELECT DISTINCT d.students, 0 FROM delivery d WHERE {condition}"
    return [row[0] for row in queries.rows(sql, *values)]


def find(queries: Queries, identifier: str) -> KeptDelivery | None:
    """The delivery with this id."""
    row = queries.row(BY_ID, identifier)
    return _kept(queries, row) if row else None


def attempts(queries: Queries, kept: KeptDelivery) -> list[Attempt]:
    """Every attempt of a delivery; the first answered its sender."""
    rows = queries.rows(ATTEMPTS, kept.delivery.id)
    if not rows:
        return [_first(kept)]
    return [
        Attempt(row[0], queries.moment(row[1]), Outcome(row[2]), row[3], row[4], row[5])
        for row in rows
    ]


def waiting_for(queries: Queries, names: Sequence[str]) -> list[str]:
    """The ids of the deliveries that wait for one of ``names``, the oldest first."""
    found = [row[0] for name in names for row in queries.rows(WAITING_FOR, name)]
    return sorted(set(found))


def waiting(queries: Queries, after: str, limit: int) -> list[tuple[str, str]]:
    """Deliveries that wait, oldest first, above the id ``after``: their ids and what they wait for."""
    return [(row[0], row[1]) for row in queries.rows(WAITING, after, limit)]


def add_attempt(tx: Transaction, kept: KeptDelivery, at: datetime, settlement: Settlement) -> int:
    """Keep a later attempt of a delivery, which is settled by it; the attempt's number.

    The delivery's own status and answer stay what its sender was told.
    """
    if kept.attempts == 1:
        _add(tx, kept.delivery.id, _first(kept))
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
    return number


def full_before(
    queries: Queries, cutoff: datetime, after: str, limit: int
) -> list[tuple[str, datetime]]:
    """Deliveries that have a body, above the id ``after`` and made before ``cutoff``: ids and times of
    receipt, the oldest first.
    """
    rows = queries.rows(OLDEST_FULL, after, delivery_id_at(cutoff), limit)
    return [(row[0], queries.moment(row[1])) for row in rows]


def newest(queries: Queries) -> datetime | None:
    """When the newest delivery was received."""
    row = queries.row(NEWEST)
    return queries.moment(row[1]) if row else None


def empty(tx: Transaction, identifier: str, why: Emptied) -> None:
    """Take a delivery's body away; it waits for nothing any more."""
    tx.run(EMPTY, b"", why.value, identifier)


def forget(tx: Transaction, identifier: str) -> None:
    """Take away all of a delivery that may tell of a person; that it came, and its outcome, stay."""
    tx.run(FORGET, b"", _FORGOTTEN, Emptied.FORGOTTEN.value, identifier)
    tx.run(FORGET_ATTEMPTS, _FORGOTTEN, identifier)


def last_id(queries: Queries) -> str:
    """The highest id of a delivery, or ''."""
    row = queries.row(NEWEST)
    return str(row[0]) if row else ""


def settled_later(queries: Queries) -> dict[str, str]:
    """The deliveries that were replayed, and what an id made at their last attempt would begin with."""
    return {row[0]: delivery_id_at(queries.moment(row[1])) for row in queries.rows(SETTLED_LATER)}


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


def _first(kept: KeptDelivery) -> Attempt:
    delivery = kept.delivery
    return Attempt(1, delivery.received_at, kept.outcome, kept.status, kept.answer, kept.duration)


def _one_of(column: str, values: Sequence[str]) -> tuple[str, Sequence[Any]]:
    """Whether the column has one of these values; never, if there is none."""
    return "(" + " OR ".join(["1 = 0", *(f"{column} = ?" for _ in values)]) + ")", values


def _any_of(column: str, names: Sequence[str]) -> tuple[str, Sequence[Any]]:
    """Whether one of the names is among those in the column, on each database."""
    lines = [subjects.joined([name]) for name in names]
    return (
        "(" + " OR ".join(f"replace({column}, ?, '') <> {column}" for _ in lines) + ")",
        lines,
    )


def _where(conditions: Sequence[tuple[str, Sequence[Any]]]) -> tuple[str, list[Any]]:
    if not conditions:
        return "", []
    values = [value for _, own in conditions for value in own]
    return " WHERE " + " AND ".join(condition for condition, _ in conditions), values


def _kept(queries: Queries, row: Row) -> KeptDelivery:
    headers = MappingProxyType(dict(json.loads(row[3])))
    delivery = Delivery(row[0], row[1], queries.moment(row[2]), headers, bytes(row[4] or b""))
    emptied = Emptied(row[10]) if row[10] else None
    return KeptDelivery(
        delivery, Outcome(row[5]), row[6], row[7], row[8], row[9], emptied, max(int(row[11]), 1)
    )
