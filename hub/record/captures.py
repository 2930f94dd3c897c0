"""Captures, and what they have taken."""

import json
from typing import Any

from pony.orm import count, select

from hub.domain.captures import Capture, CapturedRequest
from hub.domain.request_line import parted
from hub.store.store import Entities


def find(db: Entities, identifier: int) -> Capture | None:
    """A capture, open or not."""
    found = _captures(db).where(lambda c: c.id == identifier)
    return next((Capture(*row) for row in found), None)


def every(db: Entities) -> list[Capture]:
    """All captures, the oldest first."""
    return [Capture(*row) for row in _captures(db).order_by(1)]


def requests(db: Entities, capture: int) -> list[CapturedRequest]:
    """What a capture has taken, in order."""
    found = select(
        (r.id, r.received_at, r.headers, r.body)
        for r in db.CapturedRequest
        if r.capture.id == capture
    )
    return [_request(row) for row in found.order_by(1)]


def all_requests(db: Entities) -> list[tuple[int, CapturedRequest]]:
    """What all captures have taken, with its ids."""
    found = select((r.id, r.received_at, r.headers, r.body) for r in db.CapturedRequest)
    return [(row[0], _request(row)) for row in found.order_by(1)]


def _captures(db: Entities) -> Any:
    return select((c.id, c.opened_at, c.expires_at, count(c.requests)) for c in db.Capture)


def _request(row: tuple[Any, ...]) -> CapturedRequest:
    headers, line = parted(json.loads(row[2]))
    return CapturedRequest(row[1], headers, bytes(row[3]), line.method, line.path, line.query)
