"""Requests to forget a person, in the store: asked, claimed, advanced, ended.

Whoever works on a request has a claim, which ends by itself, and is renewed with each step. Its moment of
ending tells the claim from every other one.
"""

from dataclasses import dataclass
from datetime import datetime

from hub.store.transaction import Transaction

ASK = """
    INSERT INTO forgetting (asked_at, names, upto, looked_upto, emptied, claimed_until)
    VALUES (?, ?, ?, '', ?, ?) RETURNING id"""
CLAIM = """
    UPDATE forgetting SET claimed_until = ?
    WHERE id = ? AND ended_at IS NULL AND claimed_until <= ? RETURNING id"""
ADVANCE = """
    UPDATE forgetting SET looked_upto = ?, emptied = emptied + ?, claimed_until = ?
    WHERE id = ? AND ended_at IS NULL AND claimed_until = ? RETURNING id"""
END = """
    UPDATE forgetting SET names = '', ended_at = ?
    WHERE id = ? AND ended_at IS NULL AND claimed_until = ? RETURNING emptied"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has it works on a request, until then. ``until`` is naive and in UTC."""

    request: int
    until: datetime


class ClaimLost(Exception):
    """Somebody else works on the request now, or has ended it."""


def ask(
    tx: Transaction, now: datetime, names: str, upto: str, emptied: int, claimed_until: datetime
) -> Claim:
    """Keep a request, and have the claim to it. ``names`` is what is to be searched for."""
    return Claim(tx.insert(ASK, now, names, upto, emptied, claimed_until), claimed_until)


def claim(tx: Transaction, request: int, until: datetime, over_by: datetime) -> Claim | None:
    """The claim to a request, if nobody has one to it after ``over_by``, and it has not ended."""
    return Claim(request, until) if tx.row(CLAIM, until, request, over_by) else None


def advance(
    tx: Transaction, claim: Claim, looked_upto: str, emptied: int, until: datetime
) -> Claim:
    """Keep how far the search has come, and that so many more were emptied; the claim renewed.

    Raises ClaimLost; then what the transaction did is not to be committed.
    """
    if not tx.row(ADVANCE, looked_upto, emptied, until, claim.request, claim.until):
        raise ClaimLost
    return Claim(claim.request, until)


def end(tx: Transaction, claim: Claim, now: datetime) -> int:
    """Have a request ended: it tells of nobody any more. How many deliveries were emptied for it.

    Raises ClaimLost.
    """
    row = tx.row(END, now, claim.request, claim.until)
    if row is None:
        raise ClaimLost
    return int(row[0])
