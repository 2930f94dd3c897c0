"""The changes of the record over HTTP, for another system that follows it."""

import re
from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from hub.api.access import PRIVATE, Answered, Asked, Door
from hub.api.listing import DEFAULT_LIMIT, tagged
from hub.api.route import Route
from hub.api.waiting import Waiting
from hub.domain.tokens import Scope
from hub.errors import Refused
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.record import changes
from hub.record.changes import Position
from hub.record.objects import Objects
from hub.record.search import read_limit
from hub.store.store import Store

PATH = "/api/changes"

LONGEST_WAIT = 30
"""Seconds that a request may wait for a change."""

_NOW = "now"


class ChangesApi:
    """All changes, in order. ``zone`` is the hub's."""

    def __init__(self, store: Store, tokens: Tokens, zone: tzinfo) -> None:
        self._store = store
        self._door = Door(tokens, PRIVATE)
        self._objects = Objects(zone)

    def routes(self) -> Iterator[Route]:
        """The one path."""
        parameters = ("after", "limit", "wait")
        yield self._door.route("GET", PATH, self._changes, Scope.READ, parameters, lane="changes")

    def _changes(self, asked: Asked) -> Answered:
        limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        wait = _wait(asked.query.get("wait", "0"))
        after = asked.query.get("after")
        with self._store.reading() as db:
            if after == _NOW:
                # Nothing has come after now; who would wait asks again with the cursor.
                return self._answer(asked, [], changes.cursor(db, changes.now(db)))
            begin = Position() if after is None else changes.position(db, after)
        if not wait:
            return self._look(asked, begin, limit, True) or answers.unavailable()
        return Waiting(lambda is_last: self._look(asked, begin, limit, is_last), wait)

    def _look(self, asked: Asked, begin: Position, limit: int, is_last: bool) -> Answer | None:
        """The changes there are; None where there is none, and it may wait for one."""
        with self._store.reading() as db:
            if not is_last and changes.now(db) == begin:
                return None
            found, position = changes.page(db, begin, limit)
            cursor = changes.cursor(db, position)
        if not found and not is_last:
            return None
        return self._answer(asked, [self._objects.change(one) for one in found], cursor)

    def _answer(self, asked: Asked, told: list[Any], cursor: str) -> Answer:
        answer = answers.answer(200, {"changes": told, "next": cursor})
        return tagged(asked, answer, PRIVATE)


def _wait(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,2}(?:\.[0-9]{1,3})?", text, re.ASCII) and float(text) <= LONGEST_WAIT:
        return float(text)
    raise Refused(f"Invalid wait: use seconds from 0 to {LONGEST_WAIT}")
