"""Merges: two students, or two events, that are one from now on, and are two again after a split.

Nothing is moved. Who was merged keeps identifiers and attendances, and has two references:
``merged_into`` is the one that everything is told of, ``merged_under`` the one that it was merged into
itself, so that who was merged into it goes along when it is split off.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from hub.domain.corrections import MergeEvents, MergeStudents, SplitEvents, SplitStudents
from hub.domain.identifiers import student_identifier
from hub.domain.records import Change, Result
from hub.errors import Contradicted
from hub.store import changes, deeds, event_edits, events, joining, students
from hub.store.context import Context
from hub.store.transaction import Transaction

_Regroup = Callable[[Transaction, Sequence[int], Sequence[int], Context], None]


class _Kind(NamedTuple):
    """What is merged: its table, what a deed calls it, and the changes that are told of it."""

    what: str
    merged: str
    split: str
    saved: str
    regroup: _Regroup

    @property
    def group(self) -> str:
        """The row and all that were merged into it."""
        return f"SELECT o.id FROM {self.what} o WHERE o.id = ? OR o.merged_into = ? ORDER BY o.id"

    @property
    def state(self) -> str:
        """What a row was merged into and under, and whether it is hidden."""
        return (
            f"SELECT o.merged_into, o.merged_under, o.hidden_at IS NOT NULL FROM {self.what} o "
            "WHERE o.id = ?"
        )

    @property
    def under(self) -> str:
        """What was merged into a row itself."""
        return f"SELECT o.id FROM {self.what} o WHERE o.merged_under = ? ORDER BY o.id"

    @property
    def join(self) -> str:
        """Have a row be told as another one."""
        return f"UPDATE {self.what} SET merged_into = ?, joined = TRUE WHERE id = ?"

    @property
    def set_under(self) -> str:
        """Keep what a row was merged into itself."""
        return f"UPDATE {self.what} SET merged_under = ? WHERE id = ?"

    @property
    def set_joined(self) -> str:
        """Keep whether a row is one of several that are told as one."""
        return f"UPDATE {self.what} SET joined = ? WHERE id = ?"


_STUDENTS = _Kind(
    "student",
    changes.STUDENT_MERGED,
    changes.STUDENT_SPLIT,
    changes.STUDENT_SAVED,
    joining.regroup_students,
)
_EVENTS = _Kind(
    "event",
    changes.EVENT_MERGED,
    changes.EVENT_SPLIT,
    changes.EVENT_SAVED,
    joining.regroup_events,
)
KINDS = {deeds.STUDENT: _STUDENTS, deeds.EVENT: _EVENTS}


def merge_students(tx: Transaction, operation: MergeStudents, context: Context) -> Result:
    """Have a student mean another one. Raises NotFound, Contradicted."""
    found = []
    for named in (operation.keep, operation.merge):
        student = students.find(tx, named)
        if student is None:
            raise students.unknown(named)
        found.append(student)
    keep, merge = found
    kept = students.root(tx, keep)
    _merge(tx, _STUDENTS, kept.id, merge.id, context)
    return context.result(operation, Change.UPDATED, student=kept._replace(joined=True))


def merge_events(tx: Transaction, operation: MergeEvents, context: Context) -> Result:
    """Have an event mean another one. Raises NotFound, Contradicted."""
    found = []
    for named in (operation.keep, operation.merge):
        event = events.find(tx, named, context.received_at, context)
        if event is None:
            raise events.unknown(named)
        found.append(event)
    keep, merge = found
    kept = events.root(tx, keep, context)
    _merge(tx, _EVENTS, kept.id, merge.id, context)
    return context.result(operation, Change.UPDATED, event=kept._replace(joined=True))


def split_students(tx: Transaction, operation: SplitStudents, context: Context) -> Result:
    """Have a student be itself again, also one whom a source has hidden. Raises NotFound,
    Contradicted.
    """
    owner = students.owner_of(tx, student_identifier(operation.merge))
    if owner is None:
        raise students.unknown(operation.merge)
    split(tx, deeds.STUDENT, owner.student, context)
    row = tx.row(students.BY_ID, owner.student)
    assert row is not None
    return context.result(operation, Change.UPDATED, student=students.record(row))


def split_events(tx: Transaction, operation: SplitEvents, context: Context) -> Result:
    """Have an event be itself again, also one that a source has hidden. Raises NotFound,
    Contradicted.
    """
    event = event_edits.hidden_too(tx, operation.merge, context)
    if event is None:
        raise events.unknown(operation.merge)
    split(tx, deeds.EVENT, event, context)
    row = tx.row(events.ANY, event)
    assert row is not None
    return context.result(operation, Change.UPDATED, event=events.record(tx, row, context))


def _merge(tx: Transaction, kind: _Kind, keep: int, merge: int, context: Context) -> None:
    merged_into, _, _ = tx.rows(kind.state, merge)[0]
    if keep == merge:
        raise Contradicted(f"Cannot merge {_article(kind)} with itself")
    if merged_into is not None:
        raise Contradicted("Already merged", f"It is merged into {kind.what} {merged_into}")
    if tx.rows(kind.state, keep)[0][2]:
        raise Contradicted(f"Cannot merge into {_article(kind)} that is hidden")
    join(tx, kind.what, keep, merge, context)
    deeds.add(tx, context, kind.what, merge, deeds.MERGED, None, keep)


def join(tx: Transaction, what: str, keep: int, merge: int, context: Context) -> None:
    """Have a row, and what was merged into it, be told as another one."""
    kind = KINDS[what]
    merged_into, under, _ = tx.rows(kind.state, merge)[0]
    root = tx.rows(kind.state, keep)[0][0] or keep
    if under is not None or root == merge:
        raise Contradicted("Already merged", f"It is merged into {kind.what} {merged_into}")
    moved = [row[0] for row in tx.rows(kind.group, merge, merge)]
    for one in moved:
        tx.run(kind.join, root, one)
        changes.add(tx, kind.merged, one, context)
    tx.run(kind.set_under, keep, merge)
    tx.run(kind.set_joined, True, root)
    changes.add(tx, kind.saved, root, context)
    kind.regroup(tx, (root,), moved, context)


def split(tx: Transaction, what: str, merge: int, context: Context) -> None:
    """Have a row, with what was merged into it before, be itself again. Raises Contradicted."""
    kind = KINDS[what]
    root, under, _ = tx.rows(kind.state, merge)[0]
    if under is None:
        raise Contradicted("Not merged")
    deeds.add(tx, context, what, merge, deeds.MERGED, under, None)
    moved = _with_those_under(tx, kind, merge)
    tx.run(kind.set_under, None, merge)
    for one in moved:
        tx.run(kind.join, None if one == merge else merge, one)
        changes.add(tx, kind.split if one == merge else kind.merged, one, context)
    changes.add(tx, kind.saved, root, context)
    for one in (root, merge):
        is_joined = len(tx.rows(kind.group, one, one)) > 1
        tx.run(kind.set_joined, is_joined, one)
    kind.regroup(tx, (root, merge), moved, context)


def _with_those_under(tx: Transaction, kind: _Kind, row: int) -> list[int]:
    """A row, and what was merged into it or into one of these."""
    found = [row]
    for one in found:
        found += [under for (under,) in tx.rows(kind.under, one)]
    return found


def _article(kind: _Kind) -> str:
    return "an event" if kind is _EVENTS else "a student"
