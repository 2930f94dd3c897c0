"""What the desk does to doubts and to kept deliveries: settled, taken as meaning somebody else."""

from hub.domain.corrections import Replay, Settle
from hub.domain.delivery import Outcome
from hub.domain.records import Change, Result
from hub.errors import NotFound
from hub.store import deeds, events, students
from hub.store.context import Context
from hub.store.transaction import Transaction

SETTLE = """
    INSERT INTO settled_doubt (doubt, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING doubt"""
MEANT = "SELECT meant_student, meant_event, outcome, waiting FROM delivery WHERE id = ?"
SET_MEANT = "UPDATE delivery SET meant_student = ?, meant_event = ? WHERE id = ?"
OWN = """
    SELECT a.id FROM attendance a
    WHERE (a.id = ? OR a.joined_in = ?) AND (a.delivery = ? OR EXISTS (
        SELECT 1 FROM evidence e WHERE e.attendance = a.id AND e.delivery = ?))"""


def settle(tx: Transaction, operation: Settle, context: Context) -> Result:
    """Have a doubt told no more."""
    if tx.row(SETTLE, operation.doubt, context.delivery) is None:
        return context.result(operation, Change.UNCHANGED)
    deeds.add(tx, context, deeds.DOUBT, 0, operation.doubt, None, True)
    return context.result(operation, Change.UPDATED)


def replay(tx: Transaction, operation: Replay, context: Context) -> Result:
    """Attempt a kept delivery again, as meaning the student and the event that are given: which is kept
    with it, for each later attempt. Raises NotFound, and what the attempt refuses.
    """
    if context.again is None:
        return context.ignored(operation, "Deliveries are attempted by the hub itself")
    row = tx.row(MEANT, operation.delivery)
    if row is None:
        raise NotFound(f"Delivery {operation.delivery[:64]} not found")
    student, event = row[:2]
    if operation.student is not None:
        found = students.find(tx, operation.student)
        if found is None:
            raise students.unknown(operation.student)
        student = found.id
    if operation.event is not None:
        meant = events.find(tx, operation.event, context.received_at, context)
        if meant is None:
            raise events.unknown(operation.event)
        event = meant.id
    before, after = [*row], [student, event, Outcome.APPLIED.value, None]
    deeds.add(tx, context, deeds.DELIVERY, 0, operation.delivery, before, after)
    tx.run(SET_MEANT, student, event, operation.delivery)
    results = context.again(operation.delivery)
    for one in results:
        if one.attendance is not None and one.is_told:
            word = f"{deeds.SIGHTING}.{operation.delivery}"
            told = one.attendance.id
            for (attendance,) in tx.rows(OWN, told, told, operation.delivery, operation.delivery):
                deeds.add(tx, context, deeds.ATTENDANCE, attendance, word, None, operation.delivery)
            break
    last = next((one for one in reversed(results) if one.change is not Change.IGNORED), None)
    if last is None:
        return context.ignored(operation, "There is nothing to record")
    return context.result(
        operation,
        last.change,
        student=last.student,
        event=last.event,
        attendance=last.attendance,
    )
