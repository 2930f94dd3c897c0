"""The outbox in the store: check-ins that still have to be sent on, a row for each and each target.

A row is made in the transaction of its check-in, and removed once the target has it. One that was given
up has no time at which it is due.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from hub.domain.operations import CheckIn
from hub.domain.records import (
    AttendanceRecord,
    Change,
    CommittedCheckIn,
    EventRecord,
    Result,
    StudentRecord,
)
from hub.domain.timestamps import calendar_date
from hub.store.transaction import Queries, Row, Transaction

ADD = """
    INSERT INTO outbox (target, attendance, attempts, due_at) VALUES (?, ?, 0, ?)"""
DUE = """
    SELECT id, attempts FROM outbox WHERE target = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?"""
STILL = "SELECT id, attendance FROM outbox WHERE id = ?"
LEASE = "UPDATE outbox SET due_at = ? WHERE id = ?"
SENT = "DELETE FROM outbox WHERE id = ?"
FAILED = "UPDATE outbox SET attempts = ?, due_at = ? WHERE id = ?"
NEXT_DUE = "SELECT min(due_at), 1 FROM outbox WHERE target = ?"
COUNT = """
    SELECT target, count(due_at), count(*) - count(due_at), min(id) FROM outbox GROUP BY target
    ORDER BY target"""
AGAIN = """
    UPDATE outbox SET attempts = 0, due_at = ? WHERE target = ? AND (due_at IS NULL OR due_at > ?)"""
DISCARD = "DELETE FROM outbox WHERE target = ?"
FORGET = """
    DELETE FROM outbox WHERE attendance IN (
        SELECT a.id FROM attendance a WHERE a.student = ?
        UNION ALL SELECT w.attendance FROM withdrawn_attendance w WHERE w.student = ?)"""
_JOINED = """
    SELECT {id}, a.checked_in_at, a.checked_out_at, a.source, a.delivery,
        s.id, s.first_name, s.last_name, s.is_admin,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'a_number') AS a_number,
        (SELECT shown FROM student_identifier WHERE student = s.id AND kind = 'email') AS email,
        e.id, e.name, e.starts_at, e.event_type, e.points, e.description, e.location
    FROM {table} a JOIN student s ON s.id = a.student JOIN event e ON e.id = a.event
    WHERE {id} = ?"""
BY_ID = _JOINED.format(id="a.id", table="attendance")
WITHDRAWN = _JOINED.format(id="a.attendance", table="withdrawn_attendance")


@dataclass(frozen=True, slots=True)
class Due:
    """A row that is to be sent, and how often that was tried before."""

    id: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much there is for a target: to be sent, and given up."""

    target: str
    waiting: int
    given_up: int


def add(tx: Transaction, targets: Sequence[str], results: Sequence[Result], now: datetime) -> bool:
    """Have the check-ins that the results made sent to the targets; whether there are any."""
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
    return bool(made)


def claim(tx: Transaction, target: str, now: datetime, until: datetime, most: int) -> list[Due]:
    """What is due for a target. Nobody else gets it before ``until``."""
    found = [Due(*row) for row in tx.rows(DUE, target, now, most)]
    for due in found:
        tx.run(LEASE, until, due.id)
    return found


def check_in(queries: Queries, identifier: int, zone: tzinfo) -> CommittedCheckIn | None:
    """What is to be sent, as it is now; None if it is not to be sent any more."""
    still = queries.row(STILL, identifier)
    if still is None:
        return None
    row = queries.row(BY_ID, still[1]) or queries.row(WITHDRAWN, still[1])
    return _check_in(queries, row, zone) if row else None


def sent(tx: Transaction, identifier: int) -> None:
    """The target has it."""
    tx.run(SENT, identifier)


def failed(tx: Transaction, identifier: int, attempts: int, due_at: datetime | None) -> None:
    """It was tried in vain so often, and is due again then, or given up."""
    tx.run(FAILED, attempts, due_at, identifier)


def released(tx: Transaction, identifier: int, now: datetime) -> None:
    """It was not tried; somebody else may."""
    tx.run(LEASE, now, identifier)


def next_due(queries: Queries, target: str) -> datetime | None:
    """When something is due for a target; None if nothing is."""
    row = queries.row(NEXT_DUE, target)
    return queries.moment(row[0]) if row and row[0] is not None else None


def counts(queries: Queries) -> list[Waiting]:
    """How much there is, by target."""
    return [
        Waiting(target, waiting, given_up) for target, waiting, given_up, _ in queries.rows(COUNT)
    ]


def again(tx: Transaction, target: str, now: datetime) -> None:
    """Try anew, and now, what was given up or waits; what is on its way may come twice."""
    tx.run(AGAIN, now, target, now)


def discard(tx: Transaction, target: str) -> None:
    """Send nothing of what there is for a target."""
    tx.run(DISCARD, target)


def _check_in(queries: Queries, row: Row, zone: tzinfo) -> CommittedCheckIn:
    attendance, checked_in_at, checked_out_at, source, delivery, *rest = row
    starts_at = queries.moment(rest[8])
    return CommittedCheckIn(
        id=f"msg_{delivery}_{attendance}",
        delivery=delivery,
        source=source,
        student=StudentRecord(rest[0], rest[1], rest[2], bool(rest[3]), rest[4], rest[5]),
        event=EventRecord(rest[6], rest[7], starts_at, calendar_date(starts_at, zone), *rest[9:13]),
        attendance=AttendanceRecord(
            attendance,
            queries.moment(checked_in_at),
            None if checked_out_at is None else queries.moment(checked_out_at),
        ),
    )
