"""Undo: what a delivery of the desk or an import did is taken back, deed by deed; an undo is undone by
doing it again. What sources sent since stays as it is, and never hinders.
"""

from typing import Any

from hub.domain.corrections import Undo
from hub.domain.delivery import Emptied
from hub.domain.identifiers import SINGLE, Identifier
from hub.domain.records import Change, Result
from hub.errors import Contradicted, NotFound
from hub.store import (
    attendances,
    changes,
    deeds,
    event_edits,
    events,
    evidence,
    members,
    merging,
    rebuilding,
    student_edits,
    students,
)
from hub.store.context import Context
from hub.store.deeds import Deed
from hub.store.transaction import Row, Transaction

DELIVERY = "SELECT emptied, of_delivery FROM delivery WHERE id = ?"
ROWS = "SELECT id, emptied FROM delivery WHERE of_delivery = ? ORDER BY of_row DESC, id DESC"
RELEASE_KEY = "UPDATE delivery SET idempotency_key = NULL, body_digest = NULL WHERE id = ?"
DROP_DOUBT = "DELETE FROM settled_doubt WHERE doubt = ?"
ADD_DOUBT = "INSERT INTO settled_doubt (doubt, delivery) VALUES (?, ?) ON CONFLICT DO NOTHING"
SET_MEANT = """
    UPDATE delivery SET meant_student = ?, meant_event = ?, outcome = ?, waiting = ? WHERE id = ?"""
RELEASE_CLAIMED = """
    UPDATE delivery SET idempotency_key = NULL, body_digest = NULL, key_attempt = NULL
    WHERE id = ? AND key_attempt IS NOT NULL"""

_ONLY = "Only what the desk or an import did can be undone"


def undo(tx: Transaction, operation: Undo, context: Context) -> Result:
    """Take back what a delivery did: all of it, or of an import all the rows that can be.

    Raises NotFound and Contradicted.
    """
    delivery = operation.delivery
    row = tx.row(DELIVERY, delivery)
    if row is None:
        raise NotFound(f"Delivery {delivery[:64]} not found")
    if row[0] == Emptied.FORGOTTEN.value:
        raise Contradicted("Forgotten", "It told of a student who was forgotten")
    rows = tx.rows(ROWS, delivery)
    if rows:
        return _undo_import(tx, operation, rows, context)
    result = _undo_one(tx, operation, delivery, context)
    if row[1] is not None:
        tx.run(RELEASE_KEY, delivery)
    return result


def _undo_import(tx: Transaction, operation: Undo, rows: list[Row], context: Context) -> Result:
    done, left = 0, []
    for one, emptied in rows:
        if emptied == Emptied.FORGOTTEN.value:
            left.append(f"{one}: Forgotten")
            continue
        if not deeds.of(tx, one):
            tx.run(RELEASE_KEY, one)
            continue  # refused, or it found all as it was
        try:
            with tx.savepoint("undoing"):
                _undo_one(tx, operation, one, context)
        except Contradicted as refused:
            left.append(f"{one}: {refused.error}")
        else:
            tx.run(RELEASE_KEY, one)
            done += 1
    if not done and left:
        raise Contradicted("Nothing of the import can be undone", "; ".join(left[:20]))
    details = f"{done} rows undone"
    if left:
        details += f"; {len(left)} could not be: {'; '.join(left[:20])}"
    return context.result(operation, Change.UPDATED, reason=details)


def _undo_one(tx: Transaction, operation: Undo, delivery: str, context: Context) -> Result:
    done = deeds.of(tx, delivery)
    if not done:
        raise Contradicted(_ONLY)
    if done[0].what == deeds.UNDOING:
        # Of an import there is one for each of its rows.
        results = [_undo_undo(tx, operation, one, context) for one in reversed(done)]
        return results[-1]
    if done[0].undone_by is not None:
        raise Contradicted("Already undone", f"By delivery {done[0].undone_by}")
    for deed in reversed(done):
        _require_bare(tx, deed, delivery)
        _turn(tx, deed, delivery, None, context)
    deeds.mark(tx, delivery, context.delivery)
    deeds.add(tx, context, deeds.UNDOING, 0, delivery, True, False)
    return _result(tx, operation, done, context)


def _undo_undo(tx: Transaction, operation: Undo, deed: Deed, context: Context) -> Result:
    """Do again what an undo took back; or take back again what the undo of an undo did."""
    delivery, was_standing = deed.member, deed.before
    done = deeds.of(tx, delivery)
    is_undone = bool(done) and done[0].undone_by is not None
    if is_undone != was_standing:
        raise Contradicted("Already undone")
    if not was_standing:
        return _undo_one(tx, operation, delivery, context)
    undone_by = done[0].undone_by
    assert undone_by is not None
    for one in done:
        _require_bare(tx, one, delivery)
        _turn(tx, one, delivery, undone_by, context)
    deeds.mark(tx, delivery, None)
    deeds.add(tx, context, deeds.UNDOING, 0, delivery, False, True)
    return _result(tx, operation, done, context)


def _require_bare(tx: Transaction, deed: Deed, delivery: str) -> None:
    other = deeds.resting_on(tx, deed, delivery)
    if other is not None:
        raise Contradicted(
            f"Delivery {other} rests on it",
            f"It changed {deed.what} {deed.subject} ({deed.member}) later; undo that one first",
        )


def _turn(
    tx: Transaction, deed: Deed, delivery: str, undone_by: str | None, context: Context
) -> None:
    """Take a deed of a delivery back; or do again what the delivery ``undone_by`` took back."""
    quiet = context._replace(undoable=False)
    is_undone = undone_by is None
    now, wanted = (deed.after, deed.before) if is_undone else (deed.before, deed.after)
    if deed.member == deeds.REBUILT:
        rebuilding.change(tx, deed.subject, now, wanted, quiet)
    elif deed.what == deeds.ATTENDANCE:
        if undone_by is None:
            evidence.undo(tx, deed.subject, deed.after or delivery, quiet)
        else:
            evidence.redo(tx, deed.subject, undone_by, quiet)
    elif deed.what == deeds.DOUBT:
        tx.run(DROP_DOUBT, deed.member) if is_undone else tx.run(ADD_DOUBT, deed.member, delivery)
    elif deed.what == deeds.DELIVERY:
        tx.run(SET_MEANT, *wanted, deed.member)
        if is_undone:
            # It may be attempted again, as meaning somebody else.
            tx.run(RELEASE_CLAIMED, deed.member)
    elif deed.member == deeds.MADE:
        _hide(tx, deed, (context.delivery, False) if is_undone else None, quiet)
    elif deed.member == deeds.HIDDEN:
        _hide(tx, deed, wanted, quiet)
    elif deed.member == deeds.MERGED:
        _merge(tx, deed, wanted, quiet)
    else:
        _set(tx, deed, now, wanted, quiet)


def _hide(tx: Transaction, deed: Deed, by: Any, context: Context) -> None:
    kind = members.KINDS[deed.what]
    is_hidden = members.hidden_by(tx, kind, deed.subject) is not None
    if is_hidden != (by is not None):  # else a source has done so since
        members.set_hidden(tx, kind, deed.subject, by, context)


def _merge(tx: Transaction, deed: Deed, keep: int | None, context: Context) -> None:
    if keep is None:
        merging.split(tx, deed.what, deed.subject, context)
    else:
        merging.join(tx, deed.what, keep, deed.subject, context)


def _set(tx: Transaction, deed: Deed, now: Any, wanted: Any, context: Context) -> None:
    """Make a member what is wanted, if it is as it was left; identifiers: what came goes, and what went
    comes.
    """
    edits: Any = student_edits if deed.what == deeds.STUDENT else event_edits
    if deed.member.startswith(deeds.IDENTIFIERS):
        kind = deed.member.removeprefix(deeds.IDENTIFIERS)
        _set_identifiers(tx, deed, kind, now or [], wanted or [], context)
    elif edits.members(tx, deed.subject)[deed.member] == now:
        edits.set_member(tx, deed.subject, deed.member, wanted, context)
    changes.add(tx, members.KINDS[deed.what].saved, deed.subject, context)


def _set_identifiers(
    tx: Transaction,
    deed: Deed,
    kind: str,
    now: list[list[str]],
    wanted: list[list[str]],
    context: Context,
) -> None:
    is_student = deed.what == deeds.STUDENT
    for value, _ in now:
        if value not in [one for one, _ in wanted]:
            tx.run(members.KINDS[deed.what].drop, deed.subject, kind, value)
    for value, shown in wanted:
        if value in [one for one, _ in now]:
            continue
        owner = tx.row(students.OWNER if is_student else event_edits.OWNER, kind, value)
        if is_student and owner is not None and owner[0] != deed.subject and owner[1]:
            # Of one who is hidden, such as one who was made by what is undone by now.
            students.release(tx, (Identifier(kind, value),), context)
            owner = None
        if owner is not None and owner[0] != deed.subject:
            raise Contradicted(
                f"{kind} {shown} is {deed.what} {owner[0]}'s now",
                "Take it from there first, or leave the undo",
            )
        own = members.identifiers(tx, members.KINDS[deed.what], deed.subject).get(deed.member)
        if kind in SINGLE and own and is_student:
            continue  # a source has given another one since
        if owner is None:
            add = students.ADD_IDENTIFIER if is_student else events.ADD_IDENTIFIER
            tx.run(add, kind, value, shown, deed.subject)


def _result(tx: Transaction, operation: Undo, done: list[Deed], context: Context) -> Result:
    """What was changed, as the answer shows it: the last thing that the delivery did."""
    for deed in reversed(done):
        if deed.what == deeds.ATTENDANCE:
            student, event = attendances.whose(tx, deed.subject, context)
            # It is found by whom it is about: there is no evidence of it.
            return context.result(
                operation,
                Change.UPDATED,
                student=student,
                event=event,
                attendance=evidence.record(tx, deed.subject),
                is_told=False,
            )
        if deed.what == deeds.STUDENT:
            row = tx.row(students.BY_ID, deed.subject)
            assert row is not None
            return context.result(operation, Change.UPDATED, student=students.record(row))
        if deed.what == deeds.EVENT:
            row = tx.row(events.ANY, deed.subject)
            assert row is not None
            return context.result(operation, Change.UPDATED, event=events.record(tx, row, context))
    return context.result(operation, Change.UPDATED)
