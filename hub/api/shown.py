"""Kept deliveries as they are shown, by the command and by the API: members of a JSON object."""

import base64
import json
from collections.abc import Sequence
from typing import Any

from hub.domain.delivery import Attempt, KeptDelivery
from hub.domain.timestamps import format_utc
from hub.jobs.replay import Replayed


def summary(kept: KeptDelivery) -> dict[str, Any]:
    """A delivery in a list. ``error`` is what its sender was told."""
    delivery = kept.delivery
    return {
        "id": delivery.id,
        "source": delivery.source,
        "received_at": format_utc(delivery.received_at),
        "outcome": kept.outcome,
        "status": kept.status,
        "error": error_of(kept.answer),
        "waiting_for": kept.waiting,
        "attempts": kept.attempts,
        "emptied": kept.emptied,
        "key_of": kept.key_holder,
        "of": delivery.of,
        "row": delivery.row,
    }


def whole(kept: KeptDelivery, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Everything that is kept of a delivery. A body that is not UTF-8 is in Base64 (RFC 4648, 4)."""
    body = kept.delivery.body
    shown: dict[str, Any] = {"body": None}
    if kept.emptied is None:
        try:
            shown = {"body": body.decode()}
        except UnicodeDecodeError:
            shown = {"body_base64": base64.b64encode(body).decode("ascii")}
    return {
        **summary(kept),
        "headers": dict(kept.delivery.headers),
        **shown,
        "answer": _json(kept.answer),
        "attempts": [
            {
                "number": attempt.number,
                "at": format_utc(attempt.at),
                "outcome": attempt.outcome,
                "status": attempt.status,
                "answer": _json(attempt.answer),
                "duration_ms": attempt.duration / 1000,
            }
            for attempt in attempts
        ],
    }


def replayed(done: Replayed) -> dict[str, Any]:
    """A replay, and what became of it."""
    settlement = done.settlement
    return {
        "id": done.before.delivery.id,
        "source": done.before.delivery.source,
        "attempt": done.number,
        "before": done.before.outcome,
        "outcome": settlement.outcome,
        "status": settlement.status,
        "answer": _json(settlement.answer),
    }


def error_of(answer: str) -> str | None:
    """The ``error`` of an answer, if it has one."""
    if '"error"' not in answer:
        return None
    found = _json(answer)
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, str) else None


def _json(text: str) -> Any:
    return json.loads(text)
