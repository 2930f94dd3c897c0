"""The sources over HTTP: how each must be posted to, and its pulse."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any

from hub.api.access import PRIVATE, Asked, Door
from hub.api.route import Route
from hub.api.signing import in_shell
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.intake.tokens import Tokens
from hub.jobs import imports
from hub.record import pulse
from hub.record.search import read_number
from hub.store.store import Store

_MOST_DAYS = 28


class SourcesApi:
    """Each source, without anything of a person. ``zone`` is the hub's."""

    def __init__(
        self, store: Store, tokens: Tokens, endpoints: Sequence[Endpoint], zone: tzinfo
    ) -> None:
        self._store = store
        self._door = Door(tokens, PRIVATE)
        self._endpoints = endpoints
        self._zone = zone

    def routes(self) -> Iterator[Route]:
        """One."""
        yield self._door.route(
            "GET", "/api/sources", self._list, Scope.COUNTS, ("days",), lane="reports"
        )

    def _list(self, asked: Asked) -> Answer:
        days = read_number(asked.query.get("days", "14"), "days", _MOST_DAYS)
        names = [endpoint.source.name for endpoint in self._endpoints]
        with self._store.reading() as db:
            found = pulse.every(db, names, utc_now(), days, self._zone, (imports.SOURCE,))
        told = [_shown(*both) for both in zip(self._endpoints, found, strict=True)]
        return answers.answer(200, {"sources": told})


def _shown(endpoint: Endpoint, one: pulse.Pulse) -> Mapping[str, Any]:
    signing = in_shell(endpoint.authentication) if endpoint.is_plain else None
    return {
        "name": endpoint.source.name,
        "plugin": endpoint.plugin,
        "path": endpoint.path,
        "protection": endpoint.protection,
        "scheme": endpoint.authentication.scheme,
        "headers": list(endpoint.authentication.headers),
        "open": endpoint.is_open,
        "example": endpoint.source.example,
        "signing": None if signing is None else signing._asdict(),
        "since_start": endpoint.counters.shown()["deliveries"],
        "last_delivery_at": None if one.last is None else format_utc(one.last),
        "silent": one.is_silent,
        "days": [{"date": day.isoformat(), **counts} for day, counts in one.days],
    }
