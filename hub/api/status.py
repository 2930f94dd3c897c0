"""The status pages: open to anyone, so they name no reason, no path of a file and no person."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from hub.api.recent import Recent
from hub.api.route import Route
from hub.domain.timestamps import format_utc
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.jobs.fetching import Fetchers
from hub.jobs.sender import Senders
from hub.plugin.loading import Plugins
from hub.plugin.observers import Observers
from hub.plugin.sections import Sections
from hub.store.store import Store
from hub.version import __version__

PATH = "/api/webhook/status"


class StatusPages:
    """What a hub tells of itself. ``since`` is when it started, naive and in UTC."""

    def __init__(
        self,
        store: Store,
        plugins: Plugins,
        endpoints: Sequence[Endpoint],
        observers: Observers,
        senders: Senders,
        fetchers: Fetchers,
        since: datetime,
    ) -> None:
        self._store = store
        self._plugins = plugins
        self._endpoints = endpoints
        self._observers = observers
        self._senders = senders
        self._fetchers = fetchers
        self._sections = Sections(plugins.hooks)
        self._since = format_utc(since.replace(microsecond=0))

    def routes(self) -> Iterator[Route]:
        """The page of the whole hub, and one for each source. Plugins add to the former only."""
        yield Route("GET", PATH, Recent(self._hub).answer, lane="status")
        for endpoint in self._endpoints:
            page = Recent(partial(self._source, endpoint))
            yield Route("GET", f"{endpoint.path}status", page.answer, lane="status")

    def _hub(self) -> Answer:
        return self._page(
            {
                "sources": [_source(endpoint) for endpoint in self._endpoints],
                "plugins": {
                    "loaded": [plugin.name for plugin in self._plugins.loaded],
                    "failed": [plugin.name for plugin in self._plugins.failed],
                },
                "observers": self._observers.counters(),
                "targets": self._senders.counters(),
                "fetching": self._fetchers.counters(),
                "hanging": [call._asdict() for call in self._plugins.watch.hanging()],
                "sections": self._sections.shown(),
            }
        )

    def _source(self, endpoint: Endpoint) -> Answer:
        return self._page({"source": _source(endpoint)})

    def _page(self, content: dict[str, Any]) -> Answer:
        """200, or 503 when the store does not answer."""
        reachable = self._store.is_reachable()
        body = {
            "status": "healthy" if reachable else "unhealthy",
            "version": __version__,
            "since": self._since,
            "store": {"reachable": reachable},
            **content,
        }
        return answers.answer(200 if reachable else 503, body, **{"Cache-Control": "no-store"})


def _source(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.source.name,
        "path": endpoint.path,
        "authentication": endpoint.authentication.scheme,
        "open": endpoint.is_open,
        **endpoint.counters.shown(),
        "not_kept": endpoint.budget.not_kept,
    }
