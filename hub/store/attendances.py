"""Attendances in the store: check-in, check-out and withdrawal; and what puts them right."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hub.domain import subjects
from hub.domain.corrections import Attend, Correct, Restore
from hub.domain.evidence import Correction, Kind, Said, State
from hub.domain.identifiers import ROW, Identifier, row_id, student_identifier
from hub.domain.operations import CheckIn, CheckOut, NamedEvent, Withdraw
from hub.domain.records import AttendanceRecord, Change, EventRecord, Result, StudentRecord
from hub.domain.timestamps import to_utc
from hub.errors import AlreadyCheckedIn, Contradicted, NotFound, WithdrawnAtDesk, Witness
from hub.store import deeds, events, evidence, joining, students
from hub.store.context import Context
from hub.store.transaction import Row, Statement, Transaction

About = CheckOut | Withdraw | Restore | Correct
"""What is said of an attendance that there is."""

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
        WHERE NOT (found_student.joined OR found_event.joined OR found_event.hidden_firmly)
        ON CONFLICT (student, event) DO NOTHING RETURNING id)
    SELECT found_student.*, found_event.*, inserted.id FROM (SELECT 1) AS one
    LEFT JOIN found_student ON TRUE LEFT JOIN found_event ON TRUE LEFT JOIN inserted ON TRUE""")
"""What ``FIND``, ``NEAREST`` and ``INSERT`` do, in one; PostgreSQL only. SQLite, which is in the process,
gains nothing by it, and has no INSERT in a WITH clause.
"""
INSERT_UNSEEN = """
    INSERT INTO attendance (student, event, checked_in_at, source, metadata, delivery, via, repeatable,
        state, sightings, unseen)
    VALUES (?, ?, ?, ?, '{}', ?, ?, FALSE, 3, 0, TRUE) RETURNING id"""
_RECORD = (
    "a.id, a.checked_in_at, a.checked_out_at, a.state, a.firm, a.student, a.event, a.joined_in"
)
EXISTS = "SELECT 1 FROM attendance WHERE id = ?"
BY_ID = f"SELECT {_RECORD} FROM attendance a WHERE a.id = ?"
STUDENT_AND_EVENT = """
    SELECT s.id, e.id, s.joined OR e.joined FROM attendance a
    JOIN student s ON s.id = a.student JOIN event e ON e.id = a.event WHERE a.id = ?"""
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
        if operation.repeatable and (not named or students.is_put_away(tx, named)):
            return context.ignored(operation, "The student was hidden at the desk", awaits)
        if operation.lenient:
            return context.ignored(operation, "The student is not known yet", awaits)
        raise students.unknown(named, awaits)
    if event is None:
        called = operation.event or ""
        if operation.repeatable and (not called or events.is_put_away(tx, called, near, context)):
            return context.ignored(operation, "The event was hidden at the desk")
        unknown = _unknown_event(tx, called, near, context)
        if operation.lenient:
            return context.ignored(operation, "The event is not known yet", unknown.awaits)
        raise unknown
    if made is not None:
        if context.firm:
            said = _said(Kind.CHECK_IN, moment, operation, context)
            evidence.make_first_firm(tx, made, said)
        _keep_deed(tx, made, context)
        result = context.result(
            operation,
            Change.CREATED,
            student=student,
            event=event,
            attendance=AttendanceRecord(made, moment, None),
        )
    elif student.joined or event.joined:
        return _seen_joined(tx, operation, student, event, moment, context)
    else:
        result = _seen_again(tx, operation, student, event, moment, context)
    if result.attendance is not None:
        _name(tx, operation, result.attendance.id)
    return result


def _name(tx: Transaction, operation: CheckIn, attendance: int) -> None:
    """Have an attendance be found by what its sender calls it."""
    for identifier in operation.identifiers:
        tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, attendance)


def _keep_deed(tx: Transaction, attendance: int, context: Context) -> None:
    """Keep that something was said, if it can be taken back: words with authority rest on each other,
    sightings do not.
    """
    if context.undoable:
        word = deeds.WORD if context.firm else f"{deeds.SIGHTING}.{context.delivery}"
        deeds.add(tx, context, deeds.ATTENDANCE, attendance, word)


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
    # One of which nobody was seen yet is as good as withdrawn.
    was_withdrawn = row[3] in (State.WITHDRAWN, State.JOINED)
    stays_withdrawn = was_withdrawn and bool(row[4]) and not context.firm
    if not operation.repeatable and (stays_withdrawn or not was_withdrawn):
        witness = Witness(row[0], moment, context.source_of(operation), _participant(operation))
        raise WithdrawnAtDesk(witness) if stays_withdrawn else AlreadyCheckedIn(witness)
    said = _said(Kind.CHECK_IN, moment, operation, context)
    is_new = evidence.add(tx, row[0], said, context, _participant(operation))
    if not is_new and not operation.repeatable:
        raise AlreadyCheckedIn
    attendance = evidence.settle(tx, row[0], said, context) if is_new else _record(tx, row)
    if is_new:
        _keep_deed(tx, row[0], context)
    if stays_withdrawn:
        return context.ignored(operation, "The attendance was withdrawn at the desk")
    change = Change.CREATED if was_withdrawn and is_new else Change.UNCHANGED
    return context.result(
        operation, change, student=student, event=event, attendance=attendance, is_told=is_new
    )


def _seen_joined(
    tx: Transaction,
    operation: CheckIn,
    student: StudentRecord,
    event: EventRecord,
    moment: datetime,
    context: Context,
) -> Result:
    """A check-in of a student or an event that was merged: a sighting of the one that it names, and
    answered as that of the two together. What is said with authority is said of what is kept.
    """
    if context.firm:
        student, event = students.root(tx, student), events.root(tx, event, context)
    roots = students.root_id(tx, student.id), events.root_id(tx, event.id)
    before = joining.told(tx, *roots)
    was_there = before is not None and before.state in (State.PRESENT, State.LEFT)
    stays_withdrawn = (
        before is not None and before.state is State.WITHDRAWN and before.firm and not context.firm
    )
    row = tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
    seen = Witness(
        None if row is None else row[0],
        moment,
        context.source_of(operation),
        _participant(operation),
        student.id,
        event.id,
        context.metadata_of(operation),
    )
    if not operation.repeatable and (was_there or stays_withdrawn):
        raise WithdrawnAtDesk(seen) if stays_withdrawn else AlreadyCheckedIn(seen)
    said = _said(Kind.CHECK_IN, moment, operation, context)
    is_new, own = _keep_seen(tx, seen, said, context)
    if not is_new and not operation.repeatable:
        raise AlreadyCheckedIn
    if is_new:
        _keep_deed(tx, own, context)
    _name(tx, operation, own)
    if stays_withdrawn:
        return context.ignored(operation, "The attendance was withdrawn at the desk")
    told = joining.told(tx, *roots)
    assert told is not None
    change = Change.CREATED if is_new and not was_there else Change.UNCHANGED
    return context.result(
        operation, change, student=student, event=event, attendance=told.record, is_told=is_new
    )


def _keep_seen(tx: Transaction, seen: Witness, said: Said, context: Context) -> tuple[bool, int]:
    """Keep a check-in as a sighting, which may be the first under its name: whether it is new, and the
    attendance that it is of.
    """
    if seen.attendance is not None:
        is_new = evidence.add(tx, seen.attendance, said, context, seen.participant)
        if is_new:
            evidence.settle(tx, seen.attendance, said, context)
        return is_new, seen.attendance
    (made,) = tx.rows(
        INSERT,
        seen.student,
        seen.event,
        seen.at,
        seen.source,
        seen.metadata,
        context.delivery,
        context.via,
        said.repeatable,
        seen.participant,
    )[0]
    if said.firm:
        evidence.make_first_firm(tx, made, said)
    joining.regroup(tx, students.root_id(tx, seen.student), events.root_id(tx, seen.event), context)
    return True, made


def witness(tx: Transaction, seen: Witness, context: Context) -> bool:
    """Keep a second check-in that was refused as a sighting of the attendance that there is;
    whether it is a new one.
    """
    if seen.attendance is not None and tx.row(EXISTS, seen.attendance) is None:
        return False  # it was made by this very delivery, and undone with it
    said = Said(Kind.CHECK_IN, context.delivery, seen.source, context.via, seen.at)
    if seen.attendance is None or seen.student:
        row = tx.row(BY_STUDENT_AND_EVENT, seen.student, seen.event)
        own = replace(seen, attendance=None if row is None else row[0])
        return _keep_seen(tx, own, said, context)[0]
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
        if context.firm:
            raise _no_attendance(operation)
        return context.ignored(operation, _NOTHING_TO_LEAVE, awaits)
    attendance = found[0]
    moment = _recorded(operation.at, _near(operation.at, context))
    said = _said(Kind.CHECK_OUT, moment, operation, context)
    if evidence.add(tx, attendance, said, context, _named_participant(operation)):
        left = evidence.settle(tx, attendance, said, context)
        _keep_deed(tx, attendance, context)
    else:
        left = _record(tx, found)
    if not context.firm and not _stands(tx, found):
        return context.ignored(operation, _NOTHING_TO_LEAVE)
    return context.result(operation, Change.UPDATED, attendance=left)


def withdraw(tx: Transaction, operation: Withdraw, context: Context) -> Result:
    """Take back what the source has said of an attendance; ignored where it has said nothing that stands.
    With authority: have it be withdrawn, whatever others say.

    The attendance is withdrawn when no check-in of any source is left. It keeps its id and its place.
    """
    found = _find(tx, operation, context)
    if found is None:
        awaits = _awaited(tx, operation, context)
        if context.firm:
            raise _no_attendance(operation)
        return context.ignored(operation, _NOTHING_TO_WITHDRAW, awaits)
    attendance = found[0]
    participant = _named_participant(operation)
    if context.firm:
        if not _stands(tx, found):
            raise Contradicted("Already withdrawn")
    elif not evidence.take_back(tx, attendance, participant, context):
        return context.ignored(operation, _NOTHING_TO_WITHDRAW)
    moment = _recorded(operation.at, _near(operation.at, context))
    said = _said(Kind.WITHDRAWAL, moment, operation, context)
    evidence.add(tx, attendance, said, context, participant)
    settled = evidence.settle(tx, attendance, said, context)
    _keep_deed(tx, attendance, context)
    return context.result(operation, Change.UPDATED, attendance=settled)


def restore(tx: Transaction, operation: Restore, context: Context) -> Result:
    """Bring an attendance back that was withdrawn, whatever others say."""
    found = _find(tx, operation, context)
    if found is None:
        raise _no_attendance(operation)
    if _stands(tx, found):
        raise Contradicted("Not withdrawn")
    return _say(tx, operation, Kind.RESTORING, found[0], context)


def correct(tx: Transaction, operation: Correct, context: Context) -> Result:
    """Set the times of an attendance, whatever is seen."""
    found = _find(tx, operation, context)
    if found is None:
        raise _no_attendance(operation)
    came, left = (
        None if one is None else to_utc(one, context.zone)
        for one in (operation.checked_in_at, operation.checked_out_at)
    )
    told = _told(tx, found)
    begin = told.checked_in_at if came is None else came
    end = None if operation.stays else told.checked_out_at if left is None else left
    if end is not None and end < begin:
        raise Contradicted("checked_out_at is before checked_in_at")
    correction = Correction(came, left, operation.stays)
    return _say(tx, operation, Kind.CORRECTION, found[0], context, correction)


def attend(tx: Transaction, operation: Attend, context: Context) -> Result:
    """A row of an attendance sheet: a check-in, which is one sighting more where there is one, and maybe
    a check-out.
    """
    found = students.one_of(tx, operation.identifiers)
    if found is None:
        named = operation.identifiers[0]
        raise students.unknown(named, subjects.awaited_student(named))
    near = _near(operation.at, context)
    event = events.find(tx, operation.event, near, context)
    if event is None:
        raise _unknown_event(tx, operation.event, near, context)
    about = {"student": found[1], "event": Identifier(ROW, str(event.id))}
    common: dict[str, Any] = {"source": operation.source, "metadata": operation.metadata, **about}
    at = event.starts_at.replace(tzinfo=UTC) if operation.at is None else operation.at
    result = check_in(tx, CheckIn(at=at, repeatable=True, **common), context)
    if operation.left_at is not None and result.change is not Change.IGNORED:
        left = check_out(tx, CheckOut(at=operation.left_at, **common), context)
        result = replace(result, attendance=left.attendance or result.attendance)
    return replace(result, operation=operation)


def whose(tx: Transaction, attendance: int, context: Context) -> tuple[StudentRecord, EventRecord]:
    """The student and the event of an attendance."""
    student, event, _ = tx.rows(STUDENT_AND_EVENT, attendance)[0]
    who, what = tx.row(students.BY_ID, student), tx.row(events.ANY, event)
    assert who is not None
    assert what is not None
    return students.record(who), events.record(tx, what, context)


def _say(
    tx: Transaction,
    operation: Restore | Correct,
    kind: Kind,
    attendance: int,
    context: Context,
    correction: Correction | None = None,
) -> Result:
    """Keep a word with authority that is no sighting."""
    now = context.received_at.replace(microsecond=0)
    said = _said(kind, now, operation, context)._replace(firm=True, correction=correction)
    evidence.add(tx, attendance, said, context, None)
    settled = evidence.settle(tx, attendance, said, context)
    deeds.add(tx, context, deeds.ATTENDANCE, attendance, deeds.WORD)
    return context.result(operation, Change.UPDATED, attendance=settled)


def _told(tx: Transaction, row: Row) -> joining.Told:
    """What is told of an attendance, maybe as a part of another one."""
    attendance, came, left, state, firm, student, event, joined_in = row
    if joined_in is None:
        checked_out_at = None if left is None else tx.moment(left)
        return joining.Told(attendance, State(state), tx.moment(came), checked_out_at, bool(firm))
    told = joining.told(tx, students.root_id(tx, student), events.root_id(tx, event))
    assert told is not None
    return told


def _stands(tx: Transaction, row: Row) -> bool:
    """Whether an attendance, or what it is a part of, is not withdrawn."""
    return _told(tx, row).state in (State.PRESENT, State.LEFT)


def _no_attendance(operation: CheckOut | Withdraw | Restore | Correct) -> NotFound:
    if isinstance(operation.attendance, Identifier):
        return NotFound(f"Attendance with id {operation.attendance.value} not found")
    student = students.shown_name(operation.student or "")
    return NotFound(
        f"Attendance of {student} at {events.shown_name(operation.event or '')} not found"
    )


_NOTHING_TO_LEAVE = "There is no attendance to check out of"
_NOTHING_TO_WITHDRAW = "There is no attendance to withdraw"


def _said(kind: Kind, at: datetime, operation: CheckIn | About, context: Context) -> Said:
    """What the context's delivery says of an attendance."""
    repeatable = isinstance(operation, CheckIn) and operation.repeatable
    label = context.source_of(operation)
    return Said(
        kind,
        context.delivery,
        label,
        context.via,
        at,
        repeatable,
        context.firm,
        reason=operation.reason,
    )


def _participant(operation: CheckIn) -> str | None:
    """What the sender calls the attendance itself."""
    return _text(operation.identifiers[0]) if operation.identifiers else None


def _named_participant(operation: CheckOut | Withdraw) -> str | None:
    named = operation.attendance
    return None if named is None or named.kind == ROW else _text(named)


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
    who = None if named is None else student_identifier(named)
    if in_one and who is not None and who.kind != ROW and events.is_name(called):
        nearest = (called, near, called, near, near, near)
        row = tx.row(FIND_AND_INSERT, who.kind, who.key, *nearest, *new)
        assert row is not None
        student = students.record(row[:7]) if row[0] is not None else None
        rest = row[7:]
        event = events.record(tx, rest, context) if rest[0] is not None and not rest[8] else None
        if student is not None and event is not None and not (student.joined or event.joined):
            return student, event, rest[events.WIDTH]
    student = _student(tx, operation, context)
    event = _event(tx, operation, near, context) if student else None
    if student is None or event is None or student.joined or event.joined:
        return student, event, None
    made = tx.row(INSERT, student.id, event.id, *new)
    return student, event, made[0] if made else None


def moments_of(given: datetime | None, context: Context) -> tuple[datetime, datetime]:
    """The moment of a check-in as its event must be near to it, and as it is recorded."""
    near = _near(given, context)
    return near, _recorded(given, near)


def _near(given: datetime | None, context: Context) -> datetime:
    """The moment in UTC, as it was sent; the time of receipt where none was."""
    return context.received_at if given is None else to_utc(given, context.zone)


def _recorded(given: datetime | None, near: datetime) -> datetime:
    """The moment as it is recorded: one that was sent as it is, the time of receipt to the second."""
    return near.replace(microsecond=0) if given is None else near


def _student(tx: Transaction, operation: CheckIn | About, context: Context) -> StudentRecord | None:
    if operation.student is None:
        return context.student
    return students.find(tx, operation.student)


def _event(
    tx: Transaction, operation: CheckIn | About, near: datetime, context: Context
) -> EventRecord | None:
    if operation.event is None:
        return context.event
    return events.find(tx, operation.event, near, context)


def _find(tx: Transaction, operation: About, context: Context) -> Row | None:
    """The attendance that is meant. Of students and events that were merged it is that of the ones that
    are named, and with authority, that of the ones that are kept; it is made where others have one.
    """
    row: Row | None = None
    named = operation.attendance
    if isinstance(named, Identifier):
        if named.kind == ROW:
            row = tx.row(BY_ID, row_id(named))
            # One of which nobody was seen is no attendance.
            row = None if row and row[3] == State.JOINED and row[7] is None else row
        else:
            row = tx.row(BY_IDENTIFIER, named.kind, named.key)
    if row is not None:
        if context.firm:
            student, event, is_joined = tx.rows(STUDENT_AND_EVENT, row[0])[0]
            if is_joined:
                roots = students.root_id(tx, student), events.root_id(tx, event)
                return _own(tx, *roots, context)
        return row
    student = _student(tx, operation, context)
    event = _event(tx, operation, _near(_at(operation), context), context)
    if student is None or event is None:
        if context.firm and operation.student is not None and operation.event is not None:
            raise (
                students.unknown(operation.student)
                if student is None
                else events.unknown(operation.event)
            )
        return None
    if not student.joined and not event.joined:
        return tx.row(BY_STUDENT_AND_EVENT, student.id, event.id)
    if context.firm:
        student, event = students.root(tx, student), events.root(tx, event, context)
    return _own(tx, student.id, event.id, context, only_checks_out=isinstance(operation, Withdraw))


def _own(
    tx: Transaction, student: int, event: int, context: Context, only_checks_out: bool = False
) -> Row | None:
    """The attendance of just these two, who are merged with others: made, with nobody seen, where it is
    told through another; None where there is none at all.
    """
    row = tx.row(BY_STUDENT_AND_EVENT, student, event)
    if row is not None or (only_checks_out and not context.firm):
        return row
    roots = students.root_id(tx, student), events.root_id(tx, event)
    told = joining.told(tx, *roots)
    if told is None:
        return None
    label = context.label
    made = tx.insert(
        INSERT_UNSEEN, student, event, told.checked_in_at, label, context.delivery, context.via
    )
    joining.regroup(tx, *roots, context)
    return tx.row(BY_ID, made)


def _at(operation: About) -> datetime | None:
    return operation.at if isinstance(operation, CheckOut | Withdraw) else None


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
    tx: Transaction, called: events.Named, near: datetime, context: Context
) -> NotFound:
    """The refusal of what names an unknown event, and what it waits for. Not for a number: an event that
    is given this id one day is not the one that was meant.
    """
    if not called or isinstance(called, NamedEvent):
        return events.unknown(called)
    if isinstance(called, str) and not events.is_name(called):
        return events.unknown(called)
    if events.is_put_away(tx, called, near, context):
        return events.unknown(called)
    refusal = events.not_near(tx, called, near, context) if isinstance(called, str) else None
    return refusal or events.unknown(called, subjects.awaited_event(called))


def _record(tx: Transaction, row: Row) -> AttendanceRecord:
    checked_out_at = None if row[2] is None else tx.moment(row[2])
    return AttendanceRecord(row[0], tx.moment(row[1]), checked_out_at)
