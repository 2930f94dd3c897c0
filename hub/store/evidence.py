"""The evidence of attendances in the store: what was said of each, and what follows from it.

The check-in that makes an attendance is told by the attendance itself, and gets a row of its own when
something else is said.
"""

from datetime import datetime
from typing import NamedTuple

from hub.domain.evidence import Kind, Said, State, weigh
from hub.domain.records import AttendanceRecord
from hub.store import changes
from hub.store.context import Context
from hub.store.transaction import Row, Transaction

KEEP_FIRST = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable, participant)
    SELECT a.id, 'check_in', a.delivery, a.source, a.via, a.checked_in_at, a.repeatable, a.participant
    FROM attendance a WHERE a.id = ? ON CONFLICT DO NOTHING"""
ADD = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable, participant,
        idempotency_key, firm)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"""
TOLD_BEFORE = """
    SELECT 1 FROM evidence
    WHERE attendance = ? AND participant = ? AND at = ? AND via = ? AND kind = 'check_in' LIMIT 1"""
_STANDS = "kind IN ('check_in', 'check_out') AND taken_back_by IS NULL"
"""Written as the index of what stands has it: it is found, and no more, however much was taken back."""

TAKE_BACK_OF_PARTICIPANT = f"""
    UPDATE evidence SET taken_back_by = ?
    WHERE attendance = ? AND participant = ? AND {_STANDS} RETURNING id"""
TAKE_BACK_OF_SOURCE = f"""
    UPDATE evidence SET taken_back_by = ?
    WHERE attendance = ? AND via = ? AND {_STANDS} RETURNING id"""
_SAID = "id, kind, delivery, source, via, at, repeatable, firm, taken_back_by IS NULL"
STANDING = f"SELECT {_SAID} FROM evidence WHERE attendance = ? AND {_STANDS}"
FIRM = f"SELECT {_SAID} FROM evidence WHERE attendance = ? AND firm"
SEEN_ONCE_BEFORE = f"""
    SELECT 1 FROM evidence
    WHERE attendance = ? AND {_STANDS} AND kind = 'check_in' AND NOT repeatable AND delivery < ?
    LIMIT 1"""
ATTENDANCE = """
    SELECT checked_in_at, checked_out_at, state, sightings, source, via, first_delivery, delivery,
        withdrawal, firm
    FROM attendance WHERE id = ?"""
SETTLE = """
    UPDATE attendance SET checked_in_at = ?, checked_out_at = ?, state = ?, sightings = ?, source = ?,
        via = ?, first_delivery = ?, withdrawal = ?, firm = ? WHERE id = ?"""


class _Attendance(NamedTuple):
    """What the evidence makes of an attendance. ``first_delivery`` is None where the first check-in that
    stands is the one that made it.
    """

    checked_in_at: datetime
    checked_out_at: datetime | None
    state: State
    sightings: int
    source: str
    via: str
    first_delivery: str | None


def add(
    tx: Transaction, attendance: int, said: Said, context: Context, participant: str | None
) -> bool:
    """Keep what a delivery says of an attendance, which ``settle`` then weighs; whether it had not said
    so before, under this id or under its idempotency key, or its source of the same participant and
    moment.
    """
    tx.run(KEEP_FIRST, attendance)
    is_of_participant = said.kind is Kind.CHECK_IN and participant is not None
    # A check-out may tell of its check-in again.
    if is_of_participant and tx.row(TOLD_BEFORE, attendance, participant, said.at, said.via):
        return False
    values = (said.source, said.via, said.at, said.repeatable, participant, context.key, said.firm)
    return tx.row(ADD, attendance, said.kind.value, said.delivery, *values) is not None


def take_back(tx: Transaction, attendance: int, participant: str | None, context: Context) -> bool:
    """Have what was said of a participant, or else all that the source has said of an attendance, stand
    no more; whether something stood.
    """
    tx.run(KEEP_FIRST, attendance)
    if participant is None:
        return bool(tx.rows(TAKE_BACK_OF_SOURCE, context.delivery, attendance, context.via))
    return bool(tx.rows(TAKE_BACK_OF_PARTICIPANT, context.delivery, attendance, participant))


def settle(tx: Transaction, attendance: int, new: Said, context: Context) -> AttendanceRecord:
    """Make an attendance what its evidence comes to, with what was said now, and tell whoever follows the
    record.
    """
    row = tx.row(ATTENDANCE, attendance)
    assert row is not None
    before = _Attendance(*_times(tx, row), State(row[2]), *row[3:7])
    maker, withdrawal, is_firm = row[7], row[8], bool(row[9]) or new.firm
    after = None if is_firm else _with(tx, attendance, before, maker, new)
    if after is None:
        after = _weighed(tx, attendance, before, maker, is_firm)
    if after.state is not State.WITHDRAWN:
        withdrawal = None
    elif new.kind is Kind.WITHDRAWAL and (before.state is not State.WITHDRAWN or new.firm):
        withdrawal = new.delivery
    tx.run(SETTLE, *after[:2], after.state.value, *after[3:], withdrawal, is_firm, attendance)
    changes.add(tx, _change(before, after), attendance, context)
    return AttendanceRecord(attendance, after.checked_in_at, after.checked_out_at)


def _with(
    tx: Transaction, attendance: int, before: _Attendance, maker: str, new: Said
) -> _Attendance | None:
    """What one sighting more makes of an attendance that is not withdrawn, however many there are; None
    where all have to be weighed.
    """
    if before.state is State.WITHDRAWN or new.delivery < (before.first_delivery or maker):
        return None
    if new.kind is Kind.CHECK_OUT:
        left = max(before.checked_out_at or new.at, new.at)
        return before._replace(checked_out_at=left, state=State.LEFT)
    if new.kind is not Kind.CHECK_IN:
        return None
    seen = before._replace(sightings=before.sightings + 1)
    if new.repeatable:
        return seen._replace(checked_in_at=min(before.checked_in_at, new.at))
    return seen if tx.row(SEEN_ONCE_BEFORE, attendance, new.delivery) else None


def _weighed(
    tx: Transaction, attendance: int, before: _Attendance, maker: str, is_firm: bool
) -> _Attendance:
    rows = tx.rows(STANDING, attendance) + (tx.rows(FIRM, attendance) if is_firm else [])
    found = weigh([_said(tx, row) for row in sorted(set(rows))])
    after = before._replace(state=found.state, sightings=found.sightings)
    if found.state is not State.WITHDRAWN:
        # What is withdrawn keeps the times that it had.
        after = after._replace(
            checked_in_at=found.checked_in_at or before.checked_in_at,
            checked_out_at=found.checked_out_at,
        )
    if found.first is not None:
        first = found.first
        first_delivery = None if first.delivery == maker else first.delivery
        after = after._replace(source=first.source, via=first.via, first_delivery=first_delivery)
    return after


def _change(before: _Attendance, after: _Attendance) -> str:
    if after.state is State.WITHDRAWN and before.state is not State.WITHDRAWN:
        return changes.WITHDRAWN
    if before.state is State.WITHDRAWN and after.state is not State.WITHDRAWN:
        return changes.RESTORED
    return changes.CHANGED if before[:3] != after[:3] else changes.SEEN_AGAIN


def _times(tx: Transaction, row: Row) -> tuple[datetime, datetime | None]:
    return tx.moment(row[0]), None if row[1] is None else tx.moment(row[1])


def _said(tx: Transaction, row: Row) -> Said:
    _, kind, delivery, source, via, at, repeatable, firm, stands = row
    return Said(
        Kind(kind), delivery, source, via, tx.moment(at), bool(repeatable), bool(firm), bool(stands)
    )
