"""Many check-ins at once: those whose student and event are told by nothing but their names, and that are
the first of them. What becomes of each is what ``attendances.check_in`` makes of it alone.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hub.domain.identifiers import ROW, student_identifier
from hub.domain.operations import CheckIn, Operation
from hub.store import events
from hub.store.attendances import moments_of
from hub.store.context import Context
from hub.store.transaction import Transaction

LAST = "SELECT coalesce(max(id), 0) FROM attendance"
MADE = "SELECT delivery FROM attendance WHERE id > ?"
EVENTS = """
    SELECT e.id, e.starts_at, e.joined OR e.hidden_firmly FROM event e
    WHERE e.name = ? AND (e.hidden_at IS NULL OR e.hidden_firmly) ORDER BY e.starts_at"""
INSERT = """
    INSERT INTO attendance (student, event, checked_in_at, source, metadata, delivery, via, repeatable)
    SELECT s.id, ?, ?, ?, ?, ?, ?, ? FROM student_identifier i JOIN student s ON s.id = i.student
    WHERE i.kind = ? AND i.value = ? AND s.hidden_at IS NULL AND NOT s.joined
    ON CONFLICT (student, event) DO NOTHING"""


class Plain(NamedTuple):
    """A check-in that may be among many: the event's name, and how near to which moment it must start;
    and the values of its row, but for the event.
    """

    called: str
    near: datetime
    window: timedelta | None
    row: tuple[Any, ...]


class _Events(NamedTuple):
    """The events of a name, by their start; None is one for which a check-in must be looked at alone."""

    starts: list[datetime]
    ids: list[int | None]


def plain(wanted: Sequence[Operation], context: Context) -> Plain | None:
    """What a delivery wants, if that is one check-in that may be among many."""
    if len(wanted) != 1 or context.undoable:
        return None
    (one,) = wanted
    if type(one) is not CheckIn or one.student is None or one.identifiers:
        return None
    who = student_identifier(one.student)
    if who.kind == ROW or not events.is_name(one.event):
        return None
    near, moment = moments_of(one.at, context)
    row = (
        moment,
        context.source_of(one),
        context.metadata_of(one),
        context.delivery,
        context.via,
        one.repeatable,
        who.kind,
        who.key,
    )
    return Plain(str(one.event), near, context.nearness.window, row)


def record(tx: Transaction, asked: Sequence[Plain]) -> frozenset[str]:
    """Record those of the check-ins, of a delivery each, that are the first of a student and an event;
    the deliveries of those. The others are left to be looked at alone, in their order.
    """
    known = {name: _events(tx, name) for name in {one.called for one in asked}}
    rows = []
    for one in asked:
        event = _nearest(known[one.called], one.near, one.window)
        if event is not None:
            rows.append((event, *one.row))
    last = tx.rows(LAST)[0][0]
    tx.run_many(INSERT, rows)
    return frozenset(delivery for (delivery,) in tx.rows(MADE, last))


def _events(tx: Transaction, name: str) -> _Events:
    rows = tx.rows(EVENTS, name)
    return _Events(
        [tx.moment(start) for _, start, _ in rows],
        [None if is_other else event for event, _, is_other in rows],
    )


def _nearest(named: _Events, near: datetime, window: timedelta | None) -> int | None:
    """The event that is nearest in time, the later one of two that are as near."""
    after = bisect_right(named.starts, near)
    around = [at for at in (after, after - 1) if 0 <= at < len(named.starts)]
    if not around:
        return None
    nearest = min(around, key=lambda at: abs(named.starts[at] - near))
    if window is not None and abs(named.starts[nearest] - near) > window:
        return None
    return named.ids[nearest]
