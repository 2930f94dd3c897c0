"""Rows of evidence as values: read by what weighs one attendance, and by what joins several."""

import json
from datetime import datetime

from hub.domain.evidence import Correction, Kind, Said
from hub.store.transaction import Row, Transaction

STANDS = "kind IN ('check_in', 'check_out') AND taken_back_by IS NULL"
"""Written as the index of what stands has it: it is found, and no more, however much was taken back."""

KEEP_FIRST = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable, participant)
    SELECT a.id, 'check_in', a.delivery, a.source, a.via, a.checked_in_at, a.repeatable, a.participant
    FROM attendance a WHERE a.id = ? AND NOT a.unseen ON CONFLICT DO NOTHING"""
"""Gives the check-in that made an attendance a row of its own, before anything else is said."""

_SAID = "id, kind, delivery, source, via, at, repeatable, firm, taken_back_by IS NULL, reason, correction"
STANDING = f"SELECT {_SAID} FROM evidence WHERE attendance = ? AND {STANDS}"
FIRST_CHECK_IN = """
    SELECT min(e.id) FROM evidence e
    WHERE e.attendance = ? AND e.kind = 'check_in' AND (e.taken_back_by IS NULL OR EXISTS (
        SELECT 1 FROM evidence w
        WHERE w.attendance = e.attendance AND w.kind = 'withdrawal' AND w.delivery = e.taken_back_by))"""
"""The first check-in that was not undone; one that its source took back has been."""
FIRM = f"SELECT {_SAID} FROM evidence WHERE attendance = ? AND firm AND taken_back_by IS NULL"


def standing(tx: Transaction, attendance: int) -> list[Row]:
    """The sightings of an attendance that count, in the order in which they were recorded.

    A check-out before the first check-in says nothing: where there is no attendance it is not even kept.
    It is, where the desk or a merge had made one; and it counts for those who are merged as long as
    nobody was seen.
    """
    rows = sorted(tx.rows(STANDING, attendance))
    if not rows or Kind(rows[0][1]) is Kind.CHECK_IN:
        return rows
    first = tx.rows(FIRST_CHECK_IN, attendance)[0][0]
    if first is None:
        return rows
    return [row for row in rows if row[0] >= first or row[7]]


def said(tx: Transaction, row: Row) -> Said:
    """One piece of evidence, as a row tells it."""
    _, kind, delivery, source, via, at, repeatable, firm, stands, reason, correction = row
    return Said(
        Kind(kind),
        delivery,
        source,
        via,
        tx.moment(at),
        bool(repeatable),
        bool(firm),
        bool(stands),
        reason,
        None if correction is None else _correction(correction),
    )


def text_of(correction: Correction) -> str:
    """A correction as the store has it."""
    came, left = correction.checked_in_at, correction.checked_out_at
    return json.dumps(
        [came and came.isoformat(), left and left.isoformat(), correction.stays],
        separators=(",", ":"),
    )


def _correction(text: str) -> Correction:
    came, left, stays = json.loads(text)
    return Correction(
        came and datetime.fromisoformat(came), left and datetime.fromisoformat(left), stays
    )
