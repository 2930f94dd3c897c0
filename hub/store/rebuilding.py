"""What a rebuild makes of attendances: their evidence is put in place of what there was, and weighed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hub.store import deeds, evidence, joining, sayings
from hub.store.context import Context
from hub.store.transaction import Transaction

_MEMBERS = (
    "kind", "delivery", "source", "via", "at", "repeatable", "participant", "idempotency_key", "firm",
    "reason", "correction", "taken_back_by",
)  # fmt: skip
ROWS = f"SELECT {', '.join(_MEMBERS)} FROM evidence WHERE attendance = ? ORDER BY id"
DROP = "DELETE FROM evidence WHERE attendance = ? AND delivery = ?"
ADD = f"""
    INSERT INTO evidence (attendance, {", ".join(_MEMBERS)})
    VALUES (?, {", ".join("?" for _ in _MEMBERS)}) ON CONFLICT DO NOTHING"""
FIND = "SELECT id FROM attendance WHERE student = ? AND event = ?"
MAKE = """
    INSERT INTO attendance (student, event, checked_in_at, source, metadata, delivery, via, repeatable,
        state, sightings, unseen)
    VALUES (?, ?, ?, ?, '{}', ?, ?, FALSE, 3, 0, TRUE) RETURNING id"""
SAY_ALL = "UPDATE attendance SET unseen = TRUE WHERE id = ?"
"""All is told by rows of evidence from now on, the check-in that made it too."""

Rows = Sequence[Mapping[str, Any]]


def rows(tx: Transaction, attendance: int) -> list[dict[str, Any]]:
    """All evidence of an attendance, as it is kept with a deed."""
    tx.run(sayings.KEEP_FIRST, attendance)
    found = []
    for row in tx.rows(ROWS, attendance):
        told = dict(zip(_MEMBERS, row, strict=True))
        told["at"] = tx.moment(told["at"]).isoformat()
        told["repeatable"], told["firm"] = bool(told["repeatable"]), bool(told["firm"])
        found.append(told)
    return found


def put(tx: Transaction, student: int, event: int, said: Rows, until: str, context: Context) -> int:
    """Have the evidence of a student at an event be this, as far as deliveries up to the id ``until`` are
    concerned; the attendance.
    """
    row = tx.row(FIND, student, event)
    if row is None:
        at = datetime.fromisoformat(said[0]["at"])
        attendance = tx.insert(
            MAKE, student, event, at, context.label, context.delivery, context.via
        )
    else:
        attendance = int(row[0])
    before = [one for one in rows(tx, attendance) if one["delivery"] <= until]
    change(tx, attendance, before, said, context)
    if row is None:
        joining.regroup_pair(tx, student, event, context)
    deeds.add(tx, context, deeds.ATTENDANCE, attendance, deeds.REBUILT, before, list(said))
    return attendance


def change(tx: Transaction, attendance: int, before: Rows, after: Rows, context: Context) -> None:
    """Put evidence in place of other evidence. What came besides stays."""
    tx.run(SAY_ALL, attendance)
    for delivery in _deliveries(before) | _deliveries(after):
        tx.run(DROP, attendance, delivery)
    for one in after:
        at = datetime.fromisoformat(one["at"])
        values = [at if name == "at" else one[name] for name in _MEMBERS]
        tx.run(ADD, attendance, *values)
    evidence.settle(tx, attendance, None, context)


def _deliveries(told: Rows) -> set[str]:
    return {one["delivery"] for one in told}
