"""Operations to the tables they change."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hub.domain import corrections, operations
from hub.domain.operations import Ignore, Operation
from hub.domain.records import Result
from hub.store import (
    attendances,
    event_edits,
    events,
    evidence,
    merging,
    settling,
    student_edits,
    students,
    undoing,
)
from hub.store.context import Context
from hub.store.transaction import Transaction


def _ignore(tx: Transaction, operation: Ignore, context: Context) -> Result:
    return context.ignored(operation, operation.reason)


_APPLIED_BY: dict[type[Operation], Callable[[Transaction, Any, Context], Result]] = {
    operations.CreateStudent: students.create,
    operations.UpdateStudent: students.update,
    operations.SaveStudent: students.save,
    operations.HideStudent: students.hide,
    operations.CreateEvent: events.create,
    operations.UpdateEvent: events.update,
    operations.SaveEvent: events.save,
    operations.HideEvent: events.hide,
    operations.CheckIn: attendances.check_in,
    operations.CheckOut: attendances.check_out,
    operations.Withdraw: attendances.withdraw,
    operations.Ignore: _ignore,
    corrections.Restore: attendances.restore,
    corrections.Attend: attendances.attend,
    corrections.Correct: attendances.correct,
    corrections.EditStudent: student_edits.edit,
    corrections.EnrolStudent: student_edits.enrol,
    corrections.ShowStudent: student_edits.show,
    corrections.EditEvent: event_edits.edit,
    corrections.ScheduleEvent: event_edits.schedule,
    corrections.ShowEvent: event_edits.show,
    corrections.MergeStudents: merging.merge_students,
    corrections.MergeEvents: merging.merge_events,
    corrections.SplitStudents: merging.split_students,
    corrections.SplitEvents: merging.split_events,
    corrections.Replay: settling.replay,
    corrections.Settle: settling.settle,
    corrections.Undo: undoing.undo,
}


def apply(tx: Transaction, wanted: Sequence[Operation], context: Context) -> tuple[Result, ...]:
    """Apply all the operations of a delivery, or none: what raises Refused leaves nothing behind.

    A single operation of a source that cannot be undone checks before it writes, so that only the others
    need a savepoint.
    """
    if len(wanted) == 1 and not context.undoable:
        return (_told(tx, _APPLIED_BY[type(wanted[0])](tx, wanted[0], context), context),)
    results: list[Result] = []
    with tx.savepoint():
        for one in wanted:
            results.append(_APPLIED_BY[type(one)](tx, one, context))
            context = context.after(results[-1])
    return tuple(_told(tx, one, context) for one in results)


def _told(tx: Transaction, result: Result, context: Context) -> Result:
    """A result as it is answered: of those that others were merged with, what is kept."""
    student, event = result.student, result.event
    is_joined = (student is not None and student.joined) or (event is not None and event.joined)
    if not is_joined:
        return result
    if student is not None and not _is_of_itself(result):
        student = students.told(tx, student)
    if event is not None and not _is_of_itself(result):
        event = events.told(tx, event, context)
    attendance = result.attendance
    if attendance is not None:
        attendance = evidence.record(tx, attendance.id)
    return replace(result, student=student, event=event, attendance=attendance)


def _is_of_itself(result: Result) -> bool:
    """Whether the row itself is told: it was split off."""
    return isinstance(result.operation, corrections.SplitStudents | corrections.SplitEvents)
