"""The status pages: open to anyone, so they name no reason, no path of a file and no person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.domain.timestamps import format_utc
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.version import __version__

if TYPE_CHECKING:
    from hub.http.app import Hub


class StatusPage:
    """What a hub tells of itself. ``since`` is when it started, naive and in UTC."""

    def __init__(self, hub: Hub, since: datetime) -> None:
        self._hub = hub
        self._since = format_utc(since.replace(microsecond=0))

    def hub(self) -> Answer:
        """The whole hub: 200, or 503 when the store does not answer."""
        plugins = self._hub.plugins
        return self._page(
            {
                "sources": [_source(endpoint) for endpoint in self._hub.endpoints],
                "plugins": {
                    "loaded": [plugin.name for plugin in plugins.loaded],
                    "failed": [plugin.name for plugin in plugins.failed],
                },
                "observers": self._hub.observers.counters(),
                "targets": self._hub.outbox.counters(),
                "sections": plugins.status_sections(),
            }
        )

    def of(self, endpoint: Endpoint) -> Answer:
        """One source: 200, or 503 when the store does not answer."""
        return self._page({"source": _source(endpoint)})

    def _page(self, content: dict[str, Any]) -> Answer:
        reachable = self._hub.store.is_reachable()
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
    }
