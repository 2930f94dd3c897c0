"""Operations to the tables they change."""

from collections.abc import Callable, Sequence
from typing import Any

from hub.domain import operations
from hub.domain.operations import Ignore, Operation
from hub.domain.records import Result
from hub.store import attendances, events, students
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
}


def apply(tx: Transaction, wanted: Sequence[Operation], context: Context) -> tuple[Result, ...]:
    """Apply all the operations of a delivery, or none: what raises Refused leaves nothing behind.

    A single operation checks before it writes, so only several need a savepoint.
    """
    if len(wanted) == 1:
        return (_APPLIED_BY[type(wanted[0])](tx, wanted[0], context),)
    results: list[Result] = []
    with tx.savepoint():
        for one in wanted:
            results.append(_APPLIED_BY[type(one)](tx, one, context))
            context = context.after(results[-1])
    return tuple(results)
