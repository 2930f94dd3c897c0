"""What a source may say of its sender beside the form of its requests: handshakes, replies, fetching."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub.domain.delivery import Outcome
from hub.domain.records import Result
from hub.errors import Refused
from hub.wire.request import Request

TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as a sender needs it: any status, content type and text."""

    body: str = ""
    status: int = 200
    content_type: str = TEXT

    @classmethod
    def json(cls, value: Any, status: int = 200) -> "Reply":
        """The same with JSON."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        return cls(text, status, "application/json")


@dataclass(frozen=True, slots=True)
class Happened:
    """What really became of a delivery, for ``Source.reply``.

    status, body: the hub's own answer. payload: None where the request has none. results: what was done
    to the record. rows: of a batch, how many rows have each outcome.
    """

    outcome: Outcome
    status: int
    body: Mapping[str, Any]
    payload: Any = None
    results: Sequence[Result] = ()
    rows: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_recorded(self) -> bool:
        """Whether the hub took it: it is in the record, or there was knowingly nothing to record."""
        return self.outcome not in (Outcome.REFUSED, Outcome.FAILED)

    @property
    def sentence(self) -> str:
        """What the hub's own answer says, for people."""
        told = self.body.get("error") or self.body.get("message") or ""
        return str(told)


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a sender makes sure that somebody is there, before or beside its deliveries.

    answer: a pure function of the request and the source's secrets. None: it is no handshake. It is asked
        before the body is parsed. Nothing is recorded.
    signed: whether it must prove where it comes from, as a delivery must.
    methods: those that it comes with.
    """

    answer: Callable[[Request, Sequence[str]], Reply | None]
    signed: bool = False
    methods: Sequence[str] = ("POST",)

    def reply_to(self, request: Request, secrets: Sequence[str]) -> Reply | None:
        """The answer to a request; None for one that is no such handshake, or cannot be read."""
        if request.method not in self.methods:
            return None
        try:
            return self.answer(request, secrets)
        except Refused:
            return None


@dataclass(frozen=True, slots=True)
class Fetch:
    """What must be fetched, by GET, before a payload can be understood.

    url: at one of the source's ``fetch_hosts``. headers: ``{secret}`` in them is the source's setting
    ``fetch_secret``.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
