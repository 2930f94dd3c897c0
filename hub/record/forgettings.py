"""Requests to forget a person: what is searched for, and how far that has come."""

from dataclasses import dataclass
from datetime import datetime

from pony.orm import select

from hub.store.store import Entities


@dataclass(frozen=True, slots=True)
class Request:
    """A request to forget a person. Moments are naive and in UTC.

    ``names`` is what is searched for, and empty once it has ended. Deliveries are looked at up to the id
    ``upto``, and were up to ``looked_upto``; so many are emptied.
    """

    id: int
    asked_at: datetime
    names: str
    upto: str
    looked_upto: str
    emptied: int
    claimed_until: datetime
    ended_at: datetime | None


def every(db: Entities) -> list[Request]:
    """All requests, the oldest first."""
    found = select(
        (
            f.id,
            f.asked_at,
            f.names,
            f.upto,
            f.looked_upto,
            f.emptied,
            f.claimed_until,
            f.ended_at,
        )
        for f in db.Forgetting
    )
    return [Request(*row) for row in found.order_by(1)]


def unfinished(db: Entities) -> list[Request]:
    """The requests that have not ended, the oldest first."""
    return [request for request in every(db) if request.ended_at is None]


def find(db: Entities, identifier: int) -> Request:
    """The request with this id, which exists."""
    return next(request for request in every(db) if request.id == identifier)
