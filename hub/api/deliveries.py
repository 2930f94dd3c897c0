"""The API of the kept deliveries, under ``/api/deliveries/``: search, show, replay.

It needs the admin token. If none is configured, the API is off. It never runs on the thread that takes
check-ins (``Route.lane``).
"""

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from hub.api import shown
from hub.api.bearer import BearerToken
from hub.api.route import Route
from hub.errors import FAULTS, Refused, StoreUnavailable, TooManyAttempts, Unauthenticated
from hub.intake import answers
from hub.intake.answers import Answer
from hub.jobs import replay
from hub.jobs.replay import Replays
from hub.log import log_fault
from hub.record import deliveries, search
from hub.store.store import Store

_log = logging.getLogger(__name__)

PATH = "/api/deliveries"
_DEFAULT_LIMIT = "50"
_PAGED = (*search.NAMES, "limit", "cursor")
_NO_STORE = {"Cache-Control": "no-store"}

Query = Mapping[str, str]


class DeliveriesApi:
    """Each method takes a request's query and returns the answer.

    ``token`` opens it; ``zone`` is the hub's; once ``ending`` is set, no further delivery is replayed.
    """

    def __init__(
        self, store: Store, replays: Replays, token: str, zone: tzinfo, ending: threading.Event
    ) -> None:
        self._store = store
        self._replays = replays
        self._token = BearerToken(token)
        self._zone = zone
        self._ending = ending

    def routes(self) -> Iterator[Route]:
        """List, one delivery, and the replay of one and of many."""
        for method, path, what, parameters in (
            ("GET", PATH, self._list, _PAGED),
            ("GET", f"{PATH}/<identifier>", self._show, ()),
            ("POST", f"{PATH}/replay", self._replay_all, (*_PAGED, "dry_run")),
            ("POST", f"{PATH}/<identifier>/replay", self._replay, ("dry_run",)),
        ):
            yield Route(method, path, partial(self._answer, what, parameters), lane="deliveries")

    def _answer(
        self,
        what: Callable[..., Answer],
        parameters: Sequence[str],
        environ: Mapping[str, Any],
        **path: str,
    ) -> Answer:
        """Answer a request, if it has the token; never raises."""
        try:
            authorization = environ.get("HTTP_AUTHORIZATION", "")
            self._token.verify(authorization, environ.get("REMOTE_ADDR", ""))
            if environ.get("CONTENT_LENGTH") not in (None, "", "0"):
                raise Refused("Send no body: parameters are in the query", "Such as ?dry_run=true")
            return what(_query(environ.get("QUERY_STRING", ""), parameters), **path)
        except TooManyAttempts as many:
            _turned_away(environ, many)
            wait = {"Retry-After": str(math.ceil(many.seconds))}
            return _with(answers.refusal(many), wait)
        except Unauthenticated as refused:
            _turned_away(environ, refused)
            return _with(answers.refusal(refused), {"WWW-Authenticate": "Bearer"})
        except Refused as refused:
            return _with(answers.refusal(refused), {})
        except StoreUnavailable:
            return answers.unavailable()
        except FAULTS as error:
            log_fault("the API of the deliveries failed", error)
            return answers.answer(500, {"error": "Internal server error", "details": "See the log"})

    def _list(self, query: Query) -> Answer:
        filters = search.filters(query, self._zone)
        limit = search.read_limit(query.get("limit", _DEFAULT_LIMIT))
        cursor = search.read_cursor(query.get("cursor", ""))
        with self._store.reading() as db:
            found, following = search.page(db, filters.wanted(db), limit, cursor)
        return _ok({"deliveries": [shown.summary(kept) for kept in found], "next": following})

    def _show(self, query: Query, identifier: str) -> Answer:
        with self._store.reading() as db:
            kept = replay.find(db, identifier)
            attempts = deliveries.attempts(db, kept)
        return _ok(shown.whole(kept, attempts))

    def _replay(self, query: Query, identifier: str) -> Answer:
        done = self._replays.replay(identifier, trial=_is_trial(query))
        return _ok(shown.replayed(done))

    def _replay_all(self, query: Query) -> Answer:
        """Replay a page of those that match, the oldest first."""
        filters = search.filters(query, self._zone)
        if filters.is_empty:
            raise Refused("Name a filter: which deliveries are meant", "For example status=waiting")
        limit = search.read_limit(query.get("limit", _DEFAULT_LIMIT))
        cursor = search.read_cursor(query.get("cursor", ""))
        trial = _is_trial(query)
        with self._store.reading() as db:
            wanted = filters.replayable().wanted(db, with_body=True)
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


def _turned_away(environ: Mapping[str, Any], refused: Refused) -> None:
    # Not the path: whoever is turned away may have written anything there.
    address, status = environ.get("REMOTE_ADDR", ""), refused.status
    _log.warning("request to the kept deliveries from %s: %d %s", address, status, refused.error)


def _query(text: str, known: Sequence[str]) -> Query:
    """The parameters of a request. Raises Refused for an unknown or a repeated one: a misspelt filter
    would match everything.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in known:
            use = f"Use {', '.join(known)}" if known else "This request takes no parameters"
            raise Refused(f"Unknown parameter: {name[:64]}", use)
        if name in query:
            raise Refused(f"Parameter {name} is given twice")
        query[name] = value
    return query


def _is_trial(query: Query) -> bool:
    text = query.get("dry_run", "false").lower()
    if text not in ("true", "false"):
        raise Refused("Invalid dry_run: use true or false")
    return text == "true"


def _ok(body: Mapping[str, Any]) -> Answer:
    return answers.answer(200, body, **_NO_STORE)


def _with(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return Answer(answer.status, answer.body, {**answer.headers, **_NO_STORE, **headers})
