"""Attendances in the store: check-in, check-out and withdrawal."""

from datetime import datetime

from hub.domain import subjects
from hub.domain.identifiers import Identifier, student_identifier
from hub.domain.operations import CheckIn, CheckOut, Withdraw
from hub.domain.records import AttendanceRecord, Change, EventRecord, Result, StudentRecord
from hub.domain.timestamps import to_utc
from hub.errors import AlreadyCheckedIn, NotFound
from hub.store import events, students
from hub.store.context import Context
from hub.store.transaction import Row, Statement, Transaction

INSERT = Statement("""
    INSERT INTO attendance (student, event, checked_in_at, source, metadata, delivery)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (student, event) DO NOTHING RETURNING id""")
FIND_AND_INSERT = Statement(f"""
    WITH found_student AS ({students.FIND}),
    found_event AS (
        SELECT near.* FROM ({events.NEAREST}) AS near
        ORDER BY greatest(near.starts_at - ?, ? - near.starts_at), near.starts_at DESC LIMIT 1),
    inserted AS (
        INSERT INTO attendance (student, event, checked_in_at, source, metadata, delivery)
        SELECT found_student.id, found_event.id, ?, ?, ?, ? FROM found_student, found_event
        ON CONFLICT (student, event) DO NOTHING RETURNING id)
    SELECT found_student.*, found_event.*, inserted.id FROM (SELECT 1) AS one
    LEFT JOIN found_student ON TRUE LEFT JOIN found_event ON TRUE LEFT JOIN inserted ON TRUE""")
"""What ``FIND``, ``NEAREST`` and ``INSERT`` do, in one; PostgreSQL only. SQLite, which is in the process,
gains nothing by it, and has no INSERT in a WITH clause.
"""
BY_STUDENT_AND_EVENT = """
    SELECT id, checked_in_at, checked_out_at FROM attendance WHERE student = ? AND event = ?"""
BY_IDENTIFIER = """
    SELECT a.id, a.checked_in_at, a.checked_out_at
    FROM attendance_identifier i JOIN attendance a ON a.id = i.attendance
    WHERE i.kind = ? AND i.value = ?"""
ADD_IDENTIFIER = """
    INSERT INTO attendance_identifier (kind, value, attendance) VALUES (?, ?, ?)
    ON CONFLICT (kind, value) DO UPDATE SET attendance = excluded.attendance"""
CHECK_OUT = "UPDATE attendance SET checked_out_at = ? WHERE id = ?"
KEEP_WITHDRAWN = """
    INSERT INTO withdrawn_attendance (attendance, student, event, checked_in_at, checked_out_at,
        source, metadata, delivery, withdrawn_at, withdrawn_by)
    SELECT id, student, event, checked_in_at, checked_out_at, source, metadata, delivery, ?, ?
    FROM attendance WHERE id = ?"""
DROP_IDENTIFIERS = "DELETE FROM attendance_identifier WHERE attendance = ?"
DROP = "DELETE FROM attendance WHERE id = ?"


def check_in(tx: Transaction, operation: CheckIn, context: Context) -> Result:
    """Record an attendance. The database's unique key decides who was first."""
    near = _near(operation.at, context)
    moment = _recorded(operation.at, near)
    student, event, made = _find_and_insert(tx, operation, near, moment, context)
    if student is None:
        named = operation.student or ""
        awaits = subjects.awaited_student(named) if named else None
        if operation.lenient:
            return context.ignored(operation, "The student is not known yet", awaits)
        raise students.unknown(named, awaits)
    if event is None:
        unknown = _unknown_event(tx, operation.event or "", near, context)
        if operation.lenient:
            return context.ignored(operation, "The event is not known yet", unknown.awaits)
        raise unknown
    if made is not None:
        attendance, change = AttendanceRecord(made, moment, None), Change.CREATED
    else:
        if not operation.repeatable:
            raise AlreadyCheckedIn
        row = tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
        assert row is not None
        attendance, change = _record(tx, row), Change.UNCHANGED
    for identifier in operation.identifiers:
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, attendance.id)
    return context.result(operation, change, student=student, event=event, attendance=attendance)


def check_out(tx: Transaction, operation: CheckOut, context: Context) -> Result:
    """Set the check-out time of an attendance; ignored where there is no attendance."""
    found = _find(tx, operation, context)
    if found is None:
        awaits = _awaited(tx, operation, context)
        return context.ignored(operation, "There is no attendance to check out of", awaits)
    moment = _recorded(operation.at, _near(operation.at, context))
    tx.run(CHECK_OUT, moment, found.id)
    left = AttendanceRecord(found.id, found.checked_in_at, moment)
    return context.result(operation, Change.UPDATED, attendance=left)


def withdraw(tx: Transaction, operation: Withdraw, context: Context) -> Result:
    """Move an attendance to the withdrawn ones; ignored where there is no attendance."""
    found = _find(tx, operation, context)
    if found is None:
        awaits = _awaited(tx, operation, context)
        return context.ignored(operation, "There is no attendance to withdraw", awaits)
    tx.run(KEEP_WITHDRAWN, context.received_at, context.delivery, found.id)
    tx.run(DROP_IDENTIFIERS, found.id)
    tx.run(DROP, found.id)
    return context.result(operation, Change.UPDATED, attendance=found)


def _find_and_insert(
    tx: Transaction, operation: CheckIn, near: datetime, moment: datetime, context: Context
) -> tuple[StudentRecord | None, EventRecord | None, int | None]:
    """The student, the event, and the new attendance's id. None for what is missing, and for an
    attendance that existed before.
    """
    new = (
        moment,
        context.source_of(operation),
        context.metadata_of(operation),
        context.delivery,
    )
    named, called = operation.student, operation.event
    in_one = tx.inserts_in_queries and context.nearness.window is None
    if in_one and named is not None and events.is_name(called):
        who = student_identifier(named)
        nearest = (called, near, called, near, near, near)
        row = tx.row(FIND_AND_INSERT, who.kind, who.key, *nearest, *new)
        assert row is not None
        student = students.record(row[:6]) if row[0] is not None else None
        event = events.record(tx, row[6:13], context) if row[6] is not None else None
        return student, event, row[13]
    student = _student(tx, operation, context)
    event = _event(tx, operation, near, context) if student else None
    made = tx.row(INSERT, student.id, event.id, *new) if student and event else None
    return student, event, made[0] if made else None


def _near(given: datetime | None, context: Context) -> datetime:
    """The moment in UTC, as it was sent; the time of receipt where none was."""
    return context.received_at if given is None else to_utc(given, context.zone)


def _recorded(given: datetime | None, near: datetime) -> datetime:
    """The moment as it is recorded: one that was sent as it is, the time of receipt to the second."""
    return near.replace(microsecond=0) if given is None else near


def _student(
    tx: Transaction, operation: CheckIn | CheckOut | Withdraw, context: Context
) -> StudentRecord | None:
    if operation.student is None:
        return context.student
    return students.find(tx, operation.student)


def _event(
    tx: Transaction, operation: CheckIn | CheckOut | Withdraw, near: datetime, context: Context
) -> EventRecord | None:
    if operation.event is None:
        return context.event
    return events.find(tx, operation.event, near, context)


def _find(
    tx: Transaction, operation: CheckOut | Withdraw, context: Context
) -> AttendanceRecord | None:
    row: Row | None = None
    if isinstance(operation.attendance, Identifier):
        row = tx.row(BY_IDENTIFIER, operation.attendance.kind, operation.attendance.key)
    if row is None:
        student = _student(tx, operation, context)
        event = _event(tx, operation, _near(operation.at, context), context)
        if student and event:
            row = tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
    return _record(tx, row) if row else None


def _awaited(tx: Transaction, operation: CheckOut | Withdraw, context: Context) -> str | None:
    """What has to appear before there can be the attendance: its check-in waits for the same, and comes
    first when it does.
    """
    named, called = operation.student, operation.event
    if named is None or called is None:
        return None
    if students.find(tx, named) is None:
        return subjects.awaited_student(named)
    near = _near(operation.at, context)
    if events.find(tx, called, near, context) is None:
        return _unknown_event(tx, called, near, context).awaits
    return None


def _unknown_event(
    tx: Transaction, called: str | Identifier, near: datetime, context: Context
) -> NotFound:
    """The refusal of what names an unknown event, and what it waits for. Not for a number: an event that
    is given this id one day is not the one that was meant.
    """
    if not called or (isinstance(called, str) and not events.is_name(called)):
        return events.unknown(called)
    refusal = events.not_near(tx, called, near, context) if isinstance(called, str) else None
    return refusal or events.unknown(called, subjects.awaited_event(called))


def _record(tx: Transaction, row: Row) -> AttendanceRecord:
    checked_out_at = None if row[2] is None else tx.moment(row[2])
    return AttendanceRecord(row[0], tx.moment(row[1]), checked_out_at)
