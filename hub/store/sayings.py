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
FIRM = f"SELECT {_SAID} FROM evidence WHERE attendance = ? AND firm AND taken_back_by IS NULL"


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
