"""A delivery: one webhook request that a source sent, and what became of it."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.domain.records import Result


class Outcome(StrEnum):
    """What became of a delivery."""

    APPLIED = "applied"
    """It changed the record, or found the change already there."""
    IGNORED = "ignored"
    """It was understood, and there was knowingly nothing to record."""
    REPEATED = "repeated"
    """It had come before, and was answered with the first answer."""
    REFUSED = "refused"
    """It was answered 4xx and changed nothing."""
    FAILED = "failed"
    """A fault of the hub or of a plugin; it changed nothing."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as it arrived.

    ``headers`` have lower-case names and no secrets; ``received_at`` is naive and in UTC.
    """

    id: str
    source: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class CommittedDelivery:
    """A delivery that is stored, with its outcome, the status of its answer and what it changed."""

    delivery: Delivery
    outcome: Outcome
    status: int
    results: tuple[Result, ...]


def new_delivery_id() -> str:
    """A new id: twelve hex digits of milliseconds since 1970 and sixteen random ones, so that ids
    sort by time and no two processes make the same one.
    """
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"
