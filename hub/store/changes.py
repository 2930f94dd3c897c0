"""The changes of the record, for those who follow it: a row for each, but none for a new attendance.

A new attendance is told of by its own id, so that a check-in costs no row more. A row keeps how many
attendances there were before it, and with that its place among them.
"""

from datetime import datetime

from hub.domain.evidence import State
from hub.store.context import Context
from hub.store.transaction import Transaction

ADD = """
    INSERT INTO change (type, subject, delivery, at, attendances)
    VALUES (?, ?, ?, ?, (SELECT coalesce(max(a.id), 0) FROM attendance a))"""

STUDENT_SAVED = "student.saved"
STUDENT_HIDDEN = "student.hidden"
STUDENT_FORGOTTEN = "student.forgotten"
STUDENT_MERGED = "student.merged"
STUDENT_SPLIT = "student.split"
EVENT_SAVED = "event.saved"
EVENT_HIDDEN = "event.hidden"
EVENT_MERGED = "event.merged"
EVENT_SPLIT = "event.split"
RECORDED = "attendance.recorded"
CHANGED = "attendance.changed"
SEEN_AGAIN = "attendance.seen"
"""Another sighting, and the times stay; it is told as a change."""
WITHDRAWN = "attendance.withdrawn"
RESTORED = "attendance.restored"


def add(tx: Transaction, what: str, subject: int, context: Context) -> None:
    """Tell that the context's delivery has changed a row."""
    tx.run(ADD, what, subject, context.delivery, context.received_at)


def forgotten(tx: Transaction, student: int, now: datetime) -> None:
    """Tell that a student was forgotten, by no delivery."""
    tx.run(ADD, STUDENT_FORGOTTEN, student, "", now)


def of_states(before: State, after: State, has_changed: bool) -> str:
    """The type of an attendance's change."""
    gone = (State.WITHDRAWN, State.JOINED)
    if after in gone and before not in gone:
        return WITHDRAWN
    if before in gone and after not in gone:
        return RESTORED
    return CHANGED if has_changed else SEEN_AGAIN
