"""A delivery: one webhook request that a source sent, and what became of it."""

import os
import re
import secrets
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from hub.domain.records import Result

_ID = re.compile(r"[0-9a-f]{28}")
_NONE: Mapping[str, str] = MappingProxyType({})


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

    ``headers`` have lower-case names and no secrets; ``received_at`` is naive and in UTC; ``sent_by``
    is the name of the hub's token that it came with; ``of`` is the delivery that it is the row ``row``
    of. ``path`` is '' for the source's usual one; ``query`` and ``parts`` are without credentials, too,
    and ``parts`` those of the path that the source has named. ``fetched`` is what was fetched for it,
    as JSON.
    """

    id: str
    source: str
    received_at: datetime
    headers: Mapping[str, str]
    body: bytes
    sent_by: str | None = None
    of: str | None = None
    row: int | None = None
    method: str = "POST"
    path: str = ""
    query: str = ""
    parts: Mapping[str, str] = field(default_factory=lambda: _NONE)
    fetched: bytes | None = None


class Settlement(NamedTuple):
    """What became of a delivery, and the answer to it.

    ``duration`` is in microseconds. ``students`` and ``events`` name whom and what it is about
    (``hub.domain.subjects``), ``mentions`` by which of them it has to be found, ``waiting`` the one that
    has to appear before it can be applied.
    """

    outcome: Outcome
    status: int
    answer: str
    duration: int
    students: str = ""
    events: str = ""
    waiting: str | None = None
    mentions: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a kept delivery. ``number`` counts from 1; ``at`` is naive and in UTC.

    ``duration`` is in microseconds.
    """

    number: int
    at: datetime
    outcome: Outcome
    status: int
    answer: str
    duration: int


class Told(NamedTuple):
    """What a sender was told in its source's own words."""

    status: int
    content_type: str
    body: str


class Emptied(StrEnum):
    """Why a delivery has no body any more."""

    RETENTION = "retention"
    """It was older than bodies are kept."""
    FORGOTTEN = "forgotten"
    """It told of a student who was forgotten."""


@dataclass(frozen=True, slots=True)
class KeptDelivery:
    """A delivery as the store has it.

    ``outcome`` and ``waiting`` are those of its last attempt, ``status`` and ``answer`` the hub's own
    answer to its first; ``told`` is what its sender was told instead, if its source has words of its own.
    ``attempts`` are how many there were. ``key_holder`` is the delivery whose idempotency key
    this one used with another body, ``meant_student`` and ``meant_event`` the rows that the desk has said
    it means.
    """

    delivery: Delivery
    outcome: Outcome
    status: int
    answer: str
    duration: int
    waiting: str | None
    emptied: Emptied | None
    attempts: int
    key_holder: str | None = None
    meant_student: int | None = None
    meant_event: int | None = None
    told: Told | None = None

    @property
    def first_attempt(self) -> Attempt:
        """The attempt that answered the sender, of a delivery that has had no other."""
        return Attempt(
            1, self.delivery.received_at, self.outcome, self.status, self.answer, self.duration
        )


@dataclass(frozen=True, slots=True)
class CommittedDelivery:
    """A delivery that is stored, with its outcome, the status of its answer and what it changed."""

    delivery: Delivery
    outcome: Outcome
    status: int
    results: tuple[Result, ...]


class _Sequence:
    """Ids that never go back, also where the clock does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._milliseconds = 0
        self._number = 0
        self.renew()

    def renew(self) -> None:
        """Become different from every other process; a fork is one too."""
        self._own = secrets.token_hex(6)

    def next(self) -> str:
        """The next id."""
        with self._lock:
            now = time.time_ns() // 1_000_000
            if now > self._milliseconds:
                self._milliseconds, self._number = now, 0
            else:
                self._number += 1
                if self._number > 0xFFFF:
                    self._milliseconds, self._number = self._milliseconds + 1, 0
            return f"{self._milliseconds:012x}{self._number:04x}{self._own}"


_SEQUENCE = _Sequence()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SEQUENCE.renew)


def new_delivery_id() -> str:
    """A new id, above all that this process has made before.

    It has twelve hex digits of milliseconds since 1970, four that count within a millisecond, and
    twelve that are the process's own, by chance (the idea is that of UUIDv7, RFC 9562).
    """
    return _SEQUENCE.next()


def delivery_id_at(moment: datetime) -> str:
    """A text that sorts between the ids made before ``moment`` (naive, UTC) and those made from it on."""
    milliseconds = (moment - datetime(1970, 1, 1)) // timedelta(milliseconds=1)
    return f"{max(0, milliseconds):012x}"


def moment_of(identifier: str) -> datetime:
    """When a delivery's id was made: naive, in UTC, to the millisecond."""
    return datetime(1970, 1, 1) + timedelta(milliseconds=int(identifier[:12], 16))


def is_delivery_id(text: str) -> bool:
    """Whether ``text`` has the form of an id."""
    return _ID.fullmatch(text) is not None
