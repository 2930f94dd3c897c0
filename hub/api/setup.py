"""How a hub is set up, over HTTP: settings with their origins, plugins, targets, captures, routes. It
needs a token with the scope admin.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.api.access import NO_STORE, Asked, Door
from hub.api.listing import read_id
from hub.api.route import Route
from hub.config.described import Described
from hub.domain.captures import KEPT_FOR
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope
from hub.errors import NotFound
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.jobs.sender import Senders
from hub.plugin.loading import Plugins
from hub.record import captures, pending
from hub.store.store import Store
from hub.version import __version__


class SetupApi:
    """``described`` are the settings in force, ``routes`` gives those of the whole hub."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        plugins: Plugins,
        senders: Senders,
        described: Sequence[Described],
        routes: Callable[[], Iterable[Route]],
    ) -> None:
        self._store = store
        self._door = Door(tokens, NO_STORE)
        self._plugins = plugins
        self._senders = senders
        self._described = described
        self._all_routes = routes

    def routes(self) -> Iterator[Route]:
        """The set-up, and what each capture has taken."""
        yield self._door.route("GET", "/api/setup", self._setup, Scope.ADMIN, lane="record")
        yield self._door.route(
            "GET", "/api/captures/<capture>", self._capture, Scope.ADMIN, lane="record"
        )

    def _setup(self, asked: Asked) -> Answer:
        now = utc_now()
        with self._store.reading() as db:
            opened = captures.every(db)
            due = pending.counts(db)
        told = {
            "version": __version__,
            "database": self._store.address.shown,
            "settings": [one._asdict() for one in (*self._described, *self._of_plugins())],
            "plugins": [
                {
                    "name": plugin.name,
                    "version": plugin.version,
                    "origin": plugin.origin,
                    "hooks": list(plugin.hooks),
                    "sources": [source.name for source, _ in plugin.sources],
                    "targets": [target.name for target in plugin.targets],
                }
                for plugin in self._plugins.loaded
            ],
            "failed": [plugin.name for plugin in self._plugins.failed],
            "off": list(self._plugins.off),
            "targets": self._senders.counters(),
            "outbox": {
                target: {"waiting": one.waiting, "given_up": one.given_up}
                for target, one in due.items()
            },
            "captures": [
                {
                    "id": one.id,
                    "opened_at": format_utc(one.opened_at),
                    "expires_at": format_utc(one.expires_at),
                    "is_open": one.expires_at > now,
                    "kept_until": format_utc(one.expires_at + KEPT_FOR),
                    "requests": one.requests,
                }
                for one in opened
            ],
            "routes": [
                {
                    "method": route.method,
                    "path": f"{route.path}/",
                    "scope": route.scope,
                    "parameters": list(route.parameters),
                }
                for route in self._all_routes()
                if route.path.startswith("/api/")
            ],
        }
        return answers.answer(200, told)

    def _of_plugins(self) -> Iterator[Described]:
        for plugin in self._plugins.loaded:
            for name, value, origin in plugin.section.described():
                yield Described(f"plugin.{plugin.name}.{name}", value, origin)

    def _capture(self, asked: Asked, capture: str) -> Answer:
        number = read_id(capture)
        with self._store.reading() as db:
            if number is None or captures.find(db, number) is None:
                raise NotFound(f"Capture {capture[:64]} not found")
            found = captures.requests(db, number)
        told: list[Mapping[str, Any]] = [
            {
                "received_at": format_utc(one.received_at),
                "headers": dict(one.headers),
                "body": one.body.decode("utf-8", "backslashreplace"),
            }
            for one in found
        ]
        return answers.answer(200, {"capture": number, "requests": told})
