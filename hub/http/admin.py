"""The API of the kept deliveries, under ``/api/deliveries/``: search, show, replay.

Only who has the admin token may use it; without a configured one it is not there. It never runs on the
thread that takes check-ins (``hub.http.asgi``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from hub import answers
from hub.answers import Answer
from hub.archive import replay, search, shown
from hub.errors import FAULTS, Refused, StoreUnavailable, TooManyAttempts, Unauthenticated
from hub.http.bearer import BearerToken
from hub.log import log_fault
from hub.store import archive

if TYPE_CHECKING:
    from hub.http.app import Hub

PATH = "/api/deliveries"
_DEFAULT_LIMIT = "50"
_PARAMETERS = (*search.NAMES, "limit", "cursor", "dry_run")
_NO_STORE = {"Cache-Control": "no-store"}

Query = Mapping[str, str]


class DeliveriesApi:
    """Each method takes a request's query and returns the answer."""

    def __init__(self, hub: Hub, token: str) -> None:
        self._hub = hub
        self._token = BearerToken(token)

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Answer]]]:
        """Method, path and what answers it."""
        yield "GET", PATH, self._list
        yield "GET", f"{PATH}/<identifier>", self._show
        yield "POST", f"{PATH}/replay", self._replay_all
        yield "POST", f"{PATH}/<identifier>/replay", self._replay

    def answer(
        self, environ: Mapping[str, Any], what: Callable[..., Answer], **path: str
    ) -> Answer:
        """Answer a request, if it has the token; never raises."""
        try:
            authorization = environ.get("HTTP_AUTHORIZATION", "")
            self._token.verify(authorization, environ.get("REMOTE_ADDR", ""))
            return what(_query(environ.get("QUERY_STRING", "")), **path)
        except TooManyAttempts as many:
            wait = {"Retry-After": str(math.ceil(many.seconds))}
            return _with(answers.refusal(many), wait)
        except Unauthenticated as refused:
            return _with(answers.refusal(refused), {"WWW-Authenticate": "Bearer"})
        except Refused as refused:
            return _with(answers.refusal(refused), {})
        except StoreUnavailable:
            return answers.unavailable()
        except FAULTS as error:
            log_fault("the API of the deliveries failed", error)
            return answers.answer(500, {"error": "Internal server error", "details": "See the log"})

    def _list(self, query: Query) -> Answer:
        filters = search.filters(query, self._hub.settings.time_zone)
        limit = search.read_limit(query.get("limit", _DEFAULT_LIMIT))
        cursor = search.read_cursor(query.get("cursor", ""))
        with self._hub.store.reading() as reader:
            found, following = search.page(reader, filters.wanted(reader), limit, cursor)
        return _ok({"deliveries": [shown.summary(kept) for kept in found], "next": following})

    def _show(self, query: Query, identifier: str) -> Answer:
        with self._hub.store.reading() as reader:
            kept = replay.find(reader, identifier)
            attempts = archive.attempts(reader, kept)
        return _ok(shown.whole(kept, attempts))

    def _replay(self, query: Query, identifier: str) -> Answer:
        done = self._hub.replays.replay(identifier, trial=_is_trial(query))
        return _ok(shown.replayed(done))

    def _replay_all(self, query: Query) -> Answer:
        """Replay a page of those that match, the oldest first."""
        filters = search.filters(query, self._hub.settings.time_zone)
        if filters.is_empty:
            raise Refused("Name a filter: which deliveries are meant", "For example status=waiting")
        limit = search.read_limit(query.get("limit", _DEFAULT_LIMIT))
        cursor = search.read_cursor(query.get("cursor", ""))
        trial = _is_trial(query)
        with self._hub.store.reading() as reader:
            wanted = filters.replayable().wanted(reader, with_body=True)
            found = archive.page(reader, wanted, limit, after=cursor or "0")
        done = []
        for kept in found:
            try:
                done.append(shown.replayed(self._hub.replays.replay(kept.delivery.id, trial=trial)))
            except Refused as refused:
                done.append({"id": kept.delivery.id, "error": refused.error})
        following = found[-1].delivery.id if len(found) == limit else None
        return _ok({"replayed": done, "next": following})


def _query(text: str) -> Query:
    """The parameters of a request. Raises Refused for one that there is not, or that is there twice:
    a misspelt filter would match everything.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in _PARAMETERS:
            raise Refused(f"Unknown parameter: {name[:64]}", f"Use {', '.join(_PARAMETERS)}")
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
