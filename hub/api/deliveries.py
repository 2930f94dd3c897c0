"""The API of the kept deliveries, under ``/api/deliveries/``: search, show, replay.

It needs a token with the scope admin, or desk for what was refused or waits. It never runs on the thread
that takes check-ins (``Route.lane``).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from hub.api import shown
from hub.api.access import NO_STORE, Asked, Door
from hub.api.listing import DEFAULT_LIMIT, read_flag
from hub.api.members import PAYLOAD, TEXT, read_members
from hub.api.route import Route
from hub.domain.delivery import KeptDelivery, Outcome
from hub.domain.tokens import Scope
from hub.errors import Refused, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.jobs import imports, replay
from hub.jobs.mends import Means, Mends
from hub.jobs.replay import Replays
from hub.record import causes, deliveries, search
from hub.store.store import Entities, Store

PATH = "/api/deliveries"
_LARGEST_MEND = 65_536
"""Bytes of a request for a mend."""

_MEND = {
    "payload": PAYLOAD,
    **dict.fromkeys(("waiting_for", "error", "since", "student", "event"), TEXT),
}

_PAGED = (*search.NAMES, "limit", "cursor")


class DeliveriesApi:
    """Each method takes a request and returns the answer. ``zone`` is the hub's; once ``ending`` is
    set, no further delivery is replayed. ``lasting`` are the sources with authority: what those are
    refused, whoever asked is told.
    """

    def __init__(
        self,
        store: Store,
        replays: Replays,
        tokens: Tokens,
        zone: tzinfo,
        ending: threading.Event,
        mends: Mends,
        lasting: Sequence[str],
    ) -> None:
        self._store = store
        self._replays = replays
        self._mends = mends
        self._lasting = lasting
        self._door = Door(tokens, NO_STORE)
        self._zone = zone
        self._ending = ending

    def routes(self) -> Iterator[Route]:
        """List, the causes of what is refused or waits and their mends, one delivery, and the replay of
        one and of many.
        """
        for method, path, what, parameters in (
            ("GET", PATH, self._list, _PAGED),
            ("GET", f"{PATH}/causes", self._causes, ("since",)),
            ("GET", f"{PATH}/<identifier>", self._show, ("operations",)),
            ("POST", f"{PATH}/replay", self._replay_all, (*_PAGED, "dry_run")),
            ("POST", f"{PATH}/<identifier>/replay", self._replay, ("dry_run",)),
        ):
            yield self._door.route(method, path, what, Scope.DESK, parameters, lane="deliveries")
        yield self._door.route(
            "POST",
            f"{PATH}/mend",
            self._mend,
            Scope.DESK,
            ("dry_run",),
            lane="work",
            body_limit=_LARGEST_MEND,
        )

    def _list(self, asked: Asked) -> Answer:
        filters = search.filters(asked.query, self._zone)
        limit = search.read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        cursor = search.read_cursor(asked.query.get("cursor", ""))
        with self._store.reading() as db:
            wanted = replace(filters.wanted(db), unsettled=_is_of_desk(asked))
            found, following = search.page(db, wanted, limit, cursor)
        return _ok({"deliveries": [shown.summary(kept) for kept in found], "next": following})

    def _show(self, asked: Asked, identifier: str) -> Answer:
        with self._store.reading() as db:
            kept = _found(db, asked, identifier)
            attempts = deliveries.attempts(db, kept)
        told = shown.whole(kept, attempts)
        if read_flag(asked.query, "operations"):
            told["operations"] = [shown.operation(one) for one in self._replays.operations(kept)]
        if _is_of_desk(asked):
            del told["headers"]
        return _ok(told)

    def _causes(self, asked: Asked) -> Answer:
        since = search.filters({"since": asked.query.get("since") or "14d"}, self._zone).since
        assert since is not None
        with self._store.reading() as db:
            found = causes.every(db, since, self._lasting, (imports.SOURCE,))
            told = [shown.cause(one, causes.owner(db, one)) for one in found]
        return _ok({"causes": told})

    def _mend(self, asked: Asked) -> Answer:
        """Have the desk do something, and attempt again all that had one cause."""
        given = read_members(asked.body, _MEND)
        filters = search.filters(
            {name: given[name] for name in ("waiting_for", "error", "since") if given.get(name)},
            self._zone,
        )
        if filters.awaited is None and filters.error is None:
            raise Refused("waiting_for or error is required", "They are members of each cause")
        with self._store.reading() as db:
            wanted = replace(
                filters.replayable().wanted(db, with_body=True), unsettled=_is_of_desk(asked)
            )
        done = self._mends.run(
            given.get("payload"),
            wanted,
            Means(given.get("student") or None, given.get("event") or None),
            trial=read_flag(asked.query, "dry_run"),
            by=asked.token.name,
        )
        return _ok(shown.mend(done))

    def _replay(self, asked: Asked, identifier: str) -> Answer:
        with self._store.reading() as db:
            _found(db, asked, identifier)
        done = self._replays.replay(identifier, trial=read_flag(asked.query, "dry_run"))
        return _ok(shown.replayed(done))

    def _replay_all(self, asked: Asked) -> Answer:
        """Replay a page of those that match, the oldest first."""
        filters = search.filters(asked.query, self._zone)
        if filters.is_empty:
            raise Refused("Name a filter: which deliveries are meant", "For example status=waiting")
        limit = search.read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        cursor = search.read_cursor(asked.query.get("cursor", ""))
        trial = read_flag(asked.query, "dry_run")
        with self._store.reading() as db:
            wanted = filters.replayable().wanted(db, with_body=True)
            wanted = replace(wanted, unsettled=_is_of_desk(asked))
            found = deliveries.page(db, wanted, limit, after=cursor, oldest_first=True)
        done: list[dict[str, Any]] = []
        for kept in found:
            try:
                if self._ending.is_set():
                    raise StoreUnavailable("the hub ends")
                done.append(shown.replayed(self._replays.replay(kept.delivery.id, trial=trial)))
            except Refused as refused:
                why = {"error": refused.error, "details": refused.details}
                done.append({"id": kept.delivery.id, **why})
            except StoreUnavailable:
                if not done:
                    raise
                # What was done is told; the rest is for the next page.
                return _ok({"replayed": done, "next": done[-1]["id"]})
        following = found[-1].delivery.id if len(found) == limit else None
        return _ok({"replayed": done, "next": following})


def _is_of_desk(asked: Asked) -> bool:
    """Whether the token is one of the desk: it is shown what was refused, or waits, without headers."""
    return not asked.token.may(Scope.ADMIN)


def _found(db: Entities, asked: Asked, identifier: str) -> KeptDelivery:
    """The delivery with this id, if the token may see it. Raises NotFound."""
    kept = replay.find(db, identifier)
    if _is_of_desk(asked) and kept.outcome is not Outcome.REFUSED and kept.waiting is None:
        raise replay.unknown(identifier)
    return kept


def _ok(body: Mapping[str, Any]) -> Answer:
    return answers.answer(200, body)
