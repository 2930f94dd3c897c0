"""Kept deliveries as they are shown, by the command and by the API: members of a JSON object."""

import base64
import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from hub.domain.delivery import Attempt, KeptDelivery, Told
from hub.domain.identifiers import Identifier
from hub.domain.operations import Operation
from hub.domain.timestamps import format_utc
from hub.jobs.mends import Mend
from hub.jobs.replay import Replayed
from hub.record.causes import Cause


def summary(kept: KeptDelivery) -> dict[str, Any]:
    """A delivery in a list. ``status`` is what its sender was told, ``error`` why it was not taken."""
    delivery = kept.delivery
    return {
        "id": delivery.id,
        "source": delivery.source,
        "received_at": format_utc(delivery.received_at),
        "outcome": kept.outcome,
        "status": kept.status if kept.told is None else kept.told.status,
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
        "method": kept.delivery.method,
        "path": kept.delivery.path or None,
        "query": kept.delivery.query or None,
        "headers": dict(kept.delivery.headers),
        **shown,
        "fetched": None if kept.delivery.fetched is None else _json(kept.delivery.fetched.decode()),
        "answer": _json(kept.answer) if kept.told is None else _told(kept.told),
        "told": None if kept.told is None else kept.told.body,
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


def operation(made: Operation) -> dict[str, Any]:
    """An operation that a plugin made: its kind, and what it says."""
    told: dict[str, Any] = {"operation": type(made).__name__}
    for entry in fields(made):
        value = getattr(made, entry.name)
        if value not in (None, "", (), {}):
            told[entry.name] = _plain(value)
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, Identifier):
        return f"{value.kind}:{value.value}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | int | float) else str(value)


def cause(one: Cause, owner: str | None) -> dict[str, Any]:
    """What is refused or waits for one reason; ``owner`` has by now what was missing."""
    return {
        "id": one.id,
        "owner": owner,
        "what": one.what,
        "kind": one.kind,
        "value": one.value,
        "waiting_for": one.waiting_for,
        "error": one.error,
        "deliveries": one.deliveries,
        "sources": dict(one.sources.most_common()),
        "first": format_utc(one.first),
        "last": format_utc(one.last),
        "newest": one.newest,
    }


def mend(done: Mend) -> dict[str, Any]:
    """What was mended, or would be."""
    applied = sum(one.error is None for one in done.results)
    return {
        "answer": done.answer,
        "attempted": len(done.results),
        "applied": applied,
        "more": done.has_more,
        "results": [
            {
                "delivery": one.delivery,
                "outcome": one.outcome,
                "error": one.error,
                **{name: one.told[name] for name in _ABOUT if name in one.told},
            }
            for one in done.results
        ],
    }


_ABOUT = ("attendance", "student", "event", "checked_in_at")


def error_of(answer: str) -> str | None:
    """The ``error`` of an answer, if it has one."""
    if '"error"' not in answer:
        return None
    found = _json(answer)
    error = found.get("error") if isinstance(found, dict) else None
    return error if isinstance(error, str) else None


def _told(told: Told) -> Any:
    """What a sender was told in its source's words: JSON as such, anything else as text."""
    if told.content_type.startswith("application/json"):
        try:
            return _json(told.body)
        except ValueError:
            return told.body
    return told.body


def _json(text: str) -> Any:
    return json.loads(text)
