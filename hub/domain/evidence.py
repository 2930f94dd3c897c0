"""Evidence: all that was said of one attendance, and what follows from it.

Each check-in and check-out of a delivery is a sighting. It stands until its own source takes it back.
What a source with authority says (``Source.authority``) is a word about the attendance as a whole, and
stands above the sightings; the last one counts.
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

    @property
    def word(self) -> str:
        """As it is shown."""
        return self.name.lower()


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
    firm = next((said.kind for said in reversed(evidence) if said.firm), None)
    was_there = bool(came) if firm is None else firm is not Kind.WITHDRAWAL
    once = min((said for said in came if not said.repeatable), key=_received, default=None)
    moments = [said.at for said in came if said.repeatable or said is once]
    checked_out_at = max(left, default=None)
    there = State.PRESENT if checked_out_at is None else State.LEFT
    return Standing(
        there if was_there else State.WITHDRAWN,
        min(moments, default=None),
        checked_out_at,
        len(came),
        min(came, key=_received, default=None),
    )


def _received(said: Said) -> str:
    return said.delivery
