"""Attendances in the store: check-in, check-out and withdrawal."""

from datetime import datetime

from hub.domain import subjects
from hub.domain.evidence import Kind, Said, State
from hub.domain.identifiers import Identifier, student_identifier
from hub.domain.operations import CheckIn, CheckOut, Withdraw
from hub.domain.records import AttendanceRecord, Change, EventRecord, Result, StudentRecord
from hub.domain.timestamps import to_utc
from hub.errors import AlreadyCheckedIn, NotFound, WithdrawnAtDesk, Witness
from hub.store import events, evidence, students
from hub.store.context import Context
from hub.store.transaction import Row, Statement, Transaction

_COLUMNS = """
    student, event, checked_in_at, source, metadata, delivery, via, repeatable, participant"""
INSERT = Statement(f"""
    INSERT INTO attendance ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (student, event) DO NOTHING RETURNING id""")
FIND_AND_INSERT = Statement(f"""
    WITH found_student AS ({students.FIND}),
    found_event AS (
        SELECT near.* FROM ({events.NEAREST}) AS near
        ORDER BY greatest(near.starts_at - ?, ? - near.starts_at), near.starts_at DESC LIMIT 1),
    inserted AS (
        INSERT INTO attendance ({_COLUMNS})
        SELECT found_student.id, found_event.id, ?, ?, ?, ?, ?, ?, ? FROM found_student, found_event
        ON CONFLICT (student, event) DO NOTHING RETURNING id)
    SELECT found_student.*, found_event.*, inserted.id FROM (SELECT 1) AS one
    LEFT JOIN found_student ON TRUE LEFT JOIN found_event ON TRUE LEFT JOIN inserted ON TRUE""")
"""What ``FIND``, ``NEAREST`` and ``INSERT`` do, in one; PostgreSQL only. SQLite, which is in the process,
gains nothing by it, and has no INSERT in a WITH clause.
"""
_RECORD = "a.id, a.checked_in_at, a.checked_out_at, a.state, a.firm"
EXISTS = "SELECT 1 FROM attendance WHERE id = ?"
BY_STUDENT_AND_EVENT = f"SELECT {_RECORD} FROM attendance a WHERE a.student = ? AND a.event = ?"
BY_IDENTIFIER = f"""
    SELECT {_RECORD} FROM attendance_identifier i JOIN attendance a ON a.id = i.attendance
    WHERE i.kind = ? AND i.value = ?"""
ADD_IDENTIFIER = """
    INSERT INTO attendance_identifier (kind, value, attendance) VALUES (?, ?, ?)
    ON CONFLICT (kind, value) DO UPDATE SET attendance = excluded.attendance"""


def check_in(tx: Transaction, operation: CheckIn, context: Context) -> Result:
    """Record an attendance, or what else says so. The database's unique key decides who was first.

    A second check-in that is refused leaves nothing behind; ``witness`` keeps it as evidence.
    """
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
        result = context.result(
            operation,
            Change.CREATED,
            student=student,
            event=event,
            attendance=AttendanceRecord(made, moment, None),
        )
    else:
        result = _seen_again(tx, operation, student, event, moment, context)
    if operation.identifiers and result.attendance is not None:
        for identifier in operation.identifiers:
            tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, result.attendance.id)
    return result


def _seen_again(
    tx: Transaction,
    operation: CheckIn,
    student: StudentRecord,
    event: EventRecord,
    moment: datetime,
    context: Context,
) -> Result:
    """A check-in of a student and an event that have an attendance: one more sighting of it, which
    brings it back where it was withdrawn, unless that was said with authority. Raises AlreadyCheckedIn.
    """
    row = tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
    assert row is not None
    was_withdrawn = row[3] == State.WITHDRAWN
    stays_withdrawn = was_withdrawn and bool(row[4]) and not context.firm
    if not operation.repeatable and (stays_withdrawn or not was_withdrawn):
        witness = Witness(row[0], moment, context.source_of(operation), _participant(operation))
        raise WithdrawnAtDesk(witness) if stays_withdrawn else AlreadyCheckedIn(witness)
    said = _said(Kind.CHECK_IN, moment, operation, context)
    is_new = evidence.add(tx, row[0], said, context, _participant(operation))
    if not is_new and not operation.repeatable:
        raise AlreadyCheckedIn
    attendance = evidence.settle(tx, row[0], said, context) if is_new else _record(tx, row)
    if stays_withdrawn:
        return context.ignored(operation, "The attendance was withdrawn at the desk")
    change = Change.CREATED if was_withdrawn and is_new else Change.UNCHANGED
    return context.result(
        operation, change, student=student, event=event, attendance=attendance, is_told=is_new
    )


def witness(tx: Transaction, seen: Witness, context: Context) -> bool:
    """Keep a second check-in that was refused as a sighting of the attendance that there is;
    whether it is a new one.
    """
    if tx.row(EXISTS, seen.attendance) is None:
        return False  # it was made by this very delivery, and undone with it
    said = Said(Kind.CHECK_IN, context.delivery, seen.source, context.via, seen.at)
    if not evidence.add(tx, seen.attendance, said, context, seen.participant):
        return False
    evidence.settle(tx, seen.attendance, said, context)
    return True


def check_out(tx: Transaction, operation: CheckOut, context: Context) -> Result:
    """A sighting of somebody who leaves; ignored where there is no attendance, or one that is withdrawn
    (and kept as evidence: a check-in that is late may bring it back).
    """
    found = _find(tx, operation, context)
    if found is None:
        awaits = _awaited(tx, operation, context)
        return context.ignored(operation, _NOTHING_TO_LEAVE, awaits)
    attendance = found[0]
    moment = _recorded(operation.at, _near(operation.at, context))
    said = _said(Kind.CHECK_OUT, moment, operation, context)
    if evidence.add(tx, attendance, said, context, _named_participant(operation)):
        left = evidence.settle(tx, attendance, said, context)
    else:
        left = _record(tx, found)
    if found[3] == State.WITHDRAWN:
        return context.ignored(operation, _NOTHING_TO_LEAVE)
    return context.result(operation, Change.UPDATED, attendance=left)


def withdraw(tx: Transaction, operation: Withdraw, context: Context) -> Result:
    """Take back what the source has said of an attendance; ignored where it has said nothing that stands.

    The attendance is withdrawn when no check-in of any source is left. It keeps its id and its place.
    """
    found = _find(tx, operation, context)
    if found is None:
        awaits = _awaited(tx, operation, context)
        return context.ignored(operation, _NOTHING_TO_WITHDRAW, awaits)
    attendance = found[0]
    participant = _named_participant(operation)
    if not evidence.take_back(tx, attendance, participant, context) and not context.firm:
        return context.ignored(operation, _NOTHING_TO_WITHDRAW)
    moment = _recorded(operation.at, _near(operation.at, context))
    said = _said(Kind.WITHDRAWAL, moment, operation, context)
    evidence.add(tx, attendance, said, context, participant)
    settled = evidence.settle(tx, attendance, said, context)
    return context.result(operation, Change.UPDATED, attendance=settled)


_NOTHING_TO_LEAVE = "There is no attendance to check out of"
_NOTHING_TO_WITHDRAW = "There is no attendance to withdraw"


def _said(
    kind: Kind, at: datetime, operation: CheckIn | CheckOut | Withdraw, context: Context
) -> Said:
    """What the context's delivery says of an attendance."""
    repeatable = isinstance(operation, CheckIn) and operation.repeatable
    label = context.source_of(operation)
    return Said(kind, context.delivery, label, context.via, at, repeatable, context.firm)


def _participant(operation: CheckIn) -> str | None:
    """What the sender calls the attendance itself."""
    return _text(operation.identifiers[0]) if operation.identifiers else None


def _named_participant(operation: CheckOut | Withdraw) -> str | None:
    return _text(operation.attendance) if operation.attendance is not None else None


def _text(identifier: Identifier) -> str:
    return f"{identifier.kind}:{identifier.key}"


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
        context.via,
        operation.repeatable,
        _participant(operation),
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


def _find(tx: Transaction, operation: CheckOut | Withdraw, context: Context) -> Row | None:
    row: Row | None = None
    if isinstance(operation.attendance, Identifier):
        row = tx.row(BY_IDENTIFIER, operation.attendance.kind, operation.attendance.key)
    if row is None:
        student = _student(tx, operation, context)
        event = _event(tx, operation, _near(operation.at, context), context)
        if student and event:
            row = tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
    return row


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
