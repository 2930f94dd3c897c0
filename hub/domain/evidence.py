"""Evidence: all that was said of one attendance, and what follows from it.

Each check-in and check-out of a delivery is a sighting. It stands until its own source takes it back.
What a source with authority says (``Source.authority``) is a word about the attendance as a whole, and
stands above the sightings; the last one counts. Attendances of a student who was merged with another
keep their own evidence, and are told as one (``together``).
"""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What was said."""

    CHECK_IN = "check_in"
    CHECK_OUT = "check_out"
    WITHDRAWAL = "withdrawal"
    CORRECTION = "correction"
    RESTORING = "restoring"


class State(IntEnum):
    """What an attendance is, as the store has it."""

    PRESENT = 0
    LEFT = 1
    WITHDRAWN = 2
    JOINED = 3
    """It is told as a part of another one; or there is nothing to tell, as nobody was seen."""

    @property
    def word(self) -> str:
        """As it is shown."""
        return self.name.lower()


TOLD = frozenset({State.PRESENT, State.LEFT, State.WITHDRAWN})
"""The states of what is told at all."""


class Correction(NamedTuple):
    """The times that somebody with authority sets; None: not this one. ``stays``: nobody left."""

    checked_in_at: datetime | None = None
    checked_out_at: datetime | None = None
    stays: bool = False


class Said(NamedTuple):
    """One piece of evidence. ``at`` is naive and in UTC.

    delivery: the one that said it; deliveries are received in the order of their ids.
    repeatable: of check-ins, whether its source may say it again. firm: said with authority.
    stands: no withdrawal has taken it back.
    """

    kind: Kind
    delivery: str
    source: str
    via: str
    at: datetime
    repeatable: bool = False
    firm: bool = False
    stands: bool = True
    reason: str | None = None
    correction: Correction | None = None


class Standing(NamedTuple):
    """What the evidence comes to: of what stands, the times, how many check-ins, and the first of them
    (None: there is none).
    """

    state: State
    checked_in_at: datetime | None
    checked_out_at: datetime | None
    sightings: int
    first: Said | None


def weigh(evidence: Sequence[Said]) -> Standing:
    """What follows from the evidence, which is given in the order in which it was recorded; what was
    taken back, and has no authority, may be left out.

    The check-in's time is the earliest of all repeatable check-ins and of the first received among the
    others, the check-out's the latest. Between two withdrawals the order changes nothing.
    """
    came = [said for said in evidence if said.kind is Kind.CHECK_IN and said.stands]
    left = [said.at for said in evidence if said.kind is Kind.CHECK_OUT and said.stands]
    was_there = last_word(evidence, otherwise=bool(came))
    once = min((said for said in came if not said.repeatable), key=_received, default=None)
    moments = [said.at for said in came if said.repeatable or said is once]
    checked_in_at, checked_out_at = corrected(
        min(moments, default=None), max(left, default=None), evidence
    )
    there = State.PRESENT if checked_out_at is None else State.LEFT
    return Standing(
        there if was_there else State.WITHDRAWN,
        checked_in_at,
        checked_out_at,
        len(came),
        min(came, key=_received, default=None),
    )


def last_word(evidence: Sequence[Said], otherwise: bool) -> bool:
    """Whether somebody was there, by the last word with authority; ``otherwise``, where there is none."""
    words = (said.kind for said in reversed(evidence) if said.firm and said.stands)
    last = next(words, None)
    return otherwise if last is None else last is not Kind.WITHDRAWAL


def corrected(
    checked_in_at: datetime | None, checked_out_at: datetime | None, evidence: Sequence[Said]
) -> tuple[datetime | None, datetime | None]:
    """Both times as they were corrected: the last correction of each."""
    for said in evidence:
        if said.correction is not None and said.stands:
            checked_in_at = said.correction.checked_in_at or checked_in_at
            if said.correction.stays:
                checked_out_at = None
            checked_out_at = said.correction.checked_out_at or checked_out_at
    return checked_in_at, checked_out_at


class Own(NamedTuple):
    """What the evidence of an attendance comes to by itself: what is told of it, if it is not told as a
    part of another one. ``first_delivery`` is the one of the first check-in that stands.
    """

    attendance: int
    state: State
    checked_in_at: datetime
    checked_out_at: datetime | None
    sightings: int
    source: str
    via: str
    first_delivery: str
    withdrawal: str | None


def together(owns: Sequence[Own], words: Sequence[Said]) -> Own:
    """What is told of the attendances of one person at one meeting: the lowest id, the earliest check-in,
    the latest check-out. ``words`` are all that were said of them with authority, in their order.
    """
    seen = [own for own in owns if own.state is not State.JOINED] or list(owns)
    there = [own for own in seen if own.state in (State.PRESENT, State.LEFT)]
    was_there = last_word(words, otherwise=bool(there))
    timed = there or seen
    unseen = [own for own in owns if own.state is State.JOINED and was_there]
    left = [own.checked_out_at for own in (*timed, *unseen) if own.checked_out_at is not None]
    checked_in_at, checked_out_at = corrected(
        min(own.checked_in_at for own in timed), max(left, default=None), words
    )
    state = State.PRESENT if checked_out_at is None else State.LEFT
    first = min(
        (own for own in owns if own.sightings),
        key=lambda own: own.first_delivery,
        default=min(seen),
    )
    firm = [said for said in words if said.stands and said.kind is Kind.WITHDRAWAL]
    withdrawals = [own.withdrawal for own in seen if own.withdrawal is not None]
    withdrawal = firm[-1].delivery if firm else max(withdrawals, default=None)
    return Own(
        min(own.attendance for own in seen),
        state if was_there else State.WITHDRAWN,
        checked_in_at or timed[0].checked_in_at,
        checked_out_at,
        sum(own.sightings for own in owns),
        first.source,
        first.via,
        first.first_delivery,
        None if was_there else withdrawal,
    )


def _received(said: Said) -> str:
    return said.delivery
