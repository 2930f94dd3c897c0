"""The evidence of attendances in the store: what was said of each, and what follows from it.

The check-in that makes an attendance is told by the attendance itself, and gets a row of its own when
something else is said.
"""

from datetime import datetime
from typing import NamedTuple

from hub.domain.evidence import Kind, Said, State, weigh
from hub.domain.records import AttendanceRecord
from hub.store import changes, joining, sayings
from hub.store.context import Context
from hub.store.sayings import FIRM, KEEP_FIRST, STANDS
from hub.store.transaction import Row, Transaction

MAKE_FIRST_FIRM = """
    UPDATE evidence SET firm = TRUE, reason = ?
    WHERE attendance = ? AND delivery = ? AND kind = 'check_in'"""
MAKE_FIRM = "UPDATE attendance SET firm = TRUE WHERE id = ?"
ADD = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable, participant,
        idempotency_key, firm, reason, correction)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"""
TOLD_BEFORE = """
    SELECT 1 FROM evidence
    WHERE attendance = ? AND participant = ? AND at = ? AND via = ? AND kind = 'check_in' LIMIT 1"""
TAKE_BACK_OF_PARTICIPANT = f"""
    UPDATE evidence SET taken_back_by = ?
    WHERE attendance = ? AND participant = ? AND {STANDS} RETURNING id"""
TAKE_BACK_OF_SOURCE = f"""
    UPDATE evidence SET taken_back_by = ?
    WHERE attendance = ? AND via = ? AND {STANDS} RETURNING id"""
UNDO = """
    UPDATE evidence SET taken_back_by = ?
    WHERE attendance = ? AND delivery = ? AND taken_back_by IS NULL"""
REDO = "UPDATE evidence SET taken_back_by = NULL WHERE attendance = ? AND taken_back_by = ?"
WITHDRAWALS = """
    SELECT e.delivery, e.firm FROM evidence e
    WHERE e.attendance = ? AND e.kind = 'withdrawal' AND e.taken_back_by IS NULL ORDER BY e.id"""
SEEN_ONCE_BEFORE = f"""
    SELECT 1 FROM evidence
    WHERE attendance = ? AND {STANDS} AND kind = 'check_in' AND NOT repeatable AND delivery < ?
    LIMIT 1"""
_OWN = (
    "checked_in_at, checked_out_at, state, sightings, source, via, first_delivery, withdrawal, firm"
)
ATTENDANCE = f"SELECT {_OWN}, delivery, joined_in FROM attendance WHERE id = ?"
OWN = f"SELECT {_OWN} FROM own_attendance WHERE attendance = ?"
TOLD = """
    SELECT t.id, t.checked_in_at, t.checked_out_at
    FROM attendance a JOIN attendance t ON t.id = coalesce(a.joined_in, a.id) WHERE a.id = ?"""
_SETTLE = """
    SET checked_in_at = ?, checked_out_at = ?, state = ?, sightings = ?, source = ?, via = ?,
        first_delivery = ?, withdrawal = ?, firm = ?"""
SETTLE = f"UPDATE attendance {_SETTLE} WHERE id = ?"
SETTLE_OWN = f"UPDATE own_attendance {_SETTLE} WHERE attendance = ?"


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
    correction = None if said.correction is None else sayings.text_of(said.correction)
    more = (said.reason, correction)
    row = tx.row(ADD, attendance, said.kind.value, said.delivery, *values, *more)
    return row is not None


def make_first_firm(tx: Transaction, attendance: int, said: Said) -> None:
    """Have the check-in that has just made an attendance be said with authority."""
    tx.run(KEEP_FIRST, attendance)
    tx.run(MAKE_FIRST_FIRM, said.reason, attendance, said.delivery)
    tx.run(MAKE_FIRM, attendance)


def take_back(tx: Transaction, attendance: int, participant: str | None, context: Context) -> bool:
    """Have what was said of a participant, or else all that the source has said of an attendance, stand
    no more; whether something stood.
    """
    tx.run(KEEP_FIRST, attendance)
    if participant is None:
        return bool(tx.rows(TAKE_BACK_OF_SOURCE, context.delivery, attendance, context.via))
    return bool(tx.rows(TAKE_BACK_OF_PARTICIPANT, context.delivery, attendance, participant))


def undo(tx: Transaction, attendance: int, delivery: str, context: Context) -> None:
    """Have all that a delivery said of an attendance stand no more."""
    tx.run(KEEP_FIRST, attendance)
    tx.run(UNDO, context.delivery, attendance, delivery)
    settle(tx, attendance, None, context)


def redo(tx: Transaction, attendance: int, undone_by: str, context: Context) -> None:
    """Have stand again what an undo took back of an attendance."""
    tx.run(REDO, attendance, undone_by)
    settle(tx, attendance, None, context)


def settle(
    tx: Transaction, attendance: int, new: Said | None, context: Context
) -> AttendanceRecord:
    """Make an attendance what its evidence comes to, with what was said now (None: something was taken
    back), and tell whoever follows the record.
    """
    row = tx.row(ATTENDANCE, attendance)
    assert row is not None
    maker, joined_in = row[9], row[10]
    if joined_in is not None:
        # What it is by itself is kept apart from what is told.
        row = tx.row(OWN, attendance)
        assert row is not None
    before = _Attendance(*_times(tx, row), State(row[2]), *row[3:7])
    withdrawal = row[7]
    is_firm = bool(row[8]) or new.firm if new is not None else bool(tx.rows(FIRM, attendance))
    after = None if is_firm or new is None else _with(tx, attendance, before, maker, new)
    if after is None:
        after = _weighed(tx, attendance, before, maker, is_firm)
    if new is None:
        withdrawal = _withdrawal(tx, attendance) or context.delivery
    if after.state not in (State.WITHDRAWN, State.JOINED):
        withdrawal = None
    elif new is not None and new.kind is Kind.WITHDRAWAL:
        is_first = before.state is not State.WITHDRAWN
        withdrawal = new.delivery if is_first or new.firm else withdrawal
    own = (*after[:2], after.state.value, *after[3:], withdrawal, is_firm, attendance)
    if joined_in is not None:
        tx.run(SETTLE_OWN, *own)
        return joining.retell(tx, joined_in, context)
    tx.run(SETTLE, *own)
    changes.add(tx, _change(before, after), attendance, context)
    return AttendanceRecord(attendance, after.checked_in_at, after.checked_out_at)


def record(tx: Transaction, attendance: int) -> AttendanceRecord:
    """An attendance as it is told, maybe as a part of another one."""
    row = tx.row(TOLD, attendance)
    assert row is not None
    left = None if row[2] is None else tx.moment(row[2])
    return AttendanceRecord(row[0], tx.moment(row[1]), left)


def _with(
    tx: Transaction, attendance: int, before: _Attendance, maker: str, new: Said
) -> _Attendance | None:
    """What one sighting more makes of an attendance that is not withdrawn, however many there are; None
    where all have to be weighed.
    """
    is_told = before.state in (State.PRESENT, State.LEFT)
    if not is_told or new.delivery < (before.first_delivery or maker):
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
    rows = sayings.standing(tx, attendance) + (tx.rows(FIRM, attendance) if is_firm else [])
    found = weigh([sayings.said(tx, row) for row in sorted(set(rows))])
    after = before._replace(state=found.state, sightings=found.sightings)
    if found.state is not State.WITHDRAWN:
        # What is withdrawn keeps the times that it had.
        after = after._replace(
            checked_in_at=found.checked_in_at or before.checked_in_at,
            checked_out_at=found.checked_out_at,
        )
    elif before.state is State.JOINED and not is_firm:
        # Nobody was seen yet.
        after = after._replace(state=State.JOINED, checked_out_at=found.checked_out_at)
    if found.first is not None:
        first = found.first
        first_delivery = None if first.delivery == maker else first.delivery
        after = after._replace(source=first.source, via=first.via, first_delivery=first_delivery)
    return after


def _withdrawal(tx: Transaction, attendance: int) -> str | None:
    """The withdrawal that counts: the last one with authority, or else the first."""
    rows = tx.rows(WITHDRAWALS, attendance)
    firm = [row[0] for row in rows if row[1]]
    return firm[-1] if firm else rows[0][0] if rows else None


def _change(before: _Attendance, after: _Attendance) -> str:
    return changes.of_states(before.state, after.state, before[:3] != after[:3])


def _times(tx: Transaction, row: Row) -> tuple[datetime, datetime | None]:
    return tx.moment(row[0]), None if row[1] is None else tx.moment(row[1])
