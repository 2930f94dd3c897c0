"""Deeds: what each delivery of the desk or an import did to which member, so that it can be taken back.

``before`` and ``after`` are JSON. What sources do is no deed: it never hinders that a deed is undone.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from hub.store.context import Context
from hub.store.transaction import Transaction

ADD = """
    INSERT INTO deed (delivery, what, subject, member, before, after) VALUES (?, ?, ?, ?, ?, ?)"""
OF = """
    SELECT id, what, subject, member, before, after, undone_by FROM deed
    WHERE delivery = ? ORDER BY id"""
LATER = """
    SELECT d.delivery FROM deed d
    WHERE d.what = ? AND d.subject = ? AND d.member = ? AND d.id > ? AND d.delivery <> ?
        AND d.undone_by IS NULL
    ORDER BY d.id DESC LIMIT 1"""
MARK = "UPDATE deed SET undone_by = ? WHERE delivery = ?"
FORGET = """
    UPDATE deed SET before = NULL, after = NULL
    WHERE (what = 'student' AND subject = ?)
        OR (what = 'attendance' AND subject IN (SELECT a.id FROM attendance a WHERE a.student = ?))"""

STUDENT, EVENT, ATTENDANCE, DELIVERY, DOUBT, UNDOING = (
    "student",
    "event",
    "attendance",
    "delivery",
    "doubt",
    "undoing",
)
MADE, MERGED, HIDDEN, MEANT = "made", "merged", "hidden", "meant"
WORD, SIGHTING, REBUILT = "word", "sighting", "rebuilt"
IDENTIFIERS = "identifiers."


class Deed(NamedTuple):
    """One thing that was done: ``member`` of the row ``subject`` of ``what`` was ``before``, and made
    ``after``.
    """

    id: int
    what: str
    subject: int
    member: str
    before: Any
    after: Any
    undone_by: str | None


def add(
    tx: Transaction,
    context: Context,
    what: str,
    subject: int,
    member: str,
    before: Any = None,
    after: Any = None,
) -> None:
    """Keep what the context's delivery does, if it is one that can be taken back."""
    if context.undoable:
        values = (_text(before), _text(after))
        tx.run(ADD, context.delivery, what, subject, member, *values)


def add_differences(
    tx: Transaction,
    context: Context,
    what: str,
    subject: int,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> bool:
    """Keep each member that has changed; whether one has."""
    changed = [name for name in after if before.get(name) != after[name]]
    for name in changed:
        add(tx, context, what, subject, name, before.get(name), after[name])
    return bool(changed)


def of(tx: Transaction, delivery: str) -> list[Deed]:
    """What a delivery did, in order."""
    return [
        Deed(identifier, what, subject, member, _value(before), _value(after), undone_by)
        for identifier, what, subject, member, before, after, undone_by in tx.rows(OF, delivery)
    ]


def resting_on(tx: Transaction, deed: Deed, delivery: str) -> str | None:
    """The delivery whose later deed rests on the same member, if there is one that stands."""
    row = tx.row(LATER, deed.what, deed.subject, deed.member, deed.id, delivery)
    return None if row is None else str(row[0])


def mark(tx: Transaction, delivery: str, undone_by: str | None) -> None:
    """Keep that a delivery's deeds were taken back, or (None) done again."""
    tx.run(MARK, undone_by, delivery)


def forget(tx: Transaction, student: int) -> None:
    """Remove what deeds tell of a student."""
    tx.run(FORGET, student, student)


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)
