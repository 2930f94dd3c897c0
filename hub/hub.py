"""One hub, put together: the one place that knows all the parts, and hands each what it needs."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType

from hub.api.capture import CaptureApi
from hub.api.changes import ChangesApi
from hub.api.deliveries import DeliveriesApi
from hub.api.doubts import DoubtsApi
from hub.api.forget import ForgetApi
from hub.api.imports import ImportsApi
from hub.api.metrics import Metrics
from hub.api.openapi.api import OpenApi
from hub.api.probes import Probes
from hub.api.record import RecordApi
from hub.api.reports import ReportsApi
from hub.api.route import Route
from hub.api.serving import Serving
from hub.api.setup import SetupApi
from hub.api.sources import SourcesApi
from hub.api.status import StatusPages
from hub.api.tokens import TokensApi
from hub.config.described import described
from hub.config.settings import Settings
from hub.console.console import PLUGIN, Console
from hub.domain.delivery import CommittedDelivery, Outcome
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.intake.decide import Inside
from hub.intake.endpoint import Endpoint, endpoints, require_known_sources
from hub.intake.shown import ShownObjects
from hub.intake.tokens import Tokens
from hub.intake.webhooks import Webhooks
from hub.jobs.alerts import Alerts
from hub.jobs.fetching import Fetchers
from hub.jobs.imports import Imports
from hub.jobs.keysets import KeySets
from hub.jobs.mends import Mends
from hub.jobs.replay import Replays
from hub.jobs.secrets import SecretFiles
from hub.jobs.sender import Senders
from hub.jobs.upkeep import Upkeep
from hub.plugin.loading import Plugins
from hub.plugin.observers import Observers
from hub.plugin.source import parts_in
from hub.record.doubts import Sources
from hub.store.database import parse_address
from hub.store.store import Store


class Hub:
    """One hub: its plugins, its endpoints, its store, and what it does by itself. Several may live side
    by side in a process. ``plugins`` replace those that the settings would load; ``origins`` tell where
    each setting came from.

    It knows no HTTP: ``routes`` are what a server answers with (``hub.http.app``). Raises SettingError,
    StoreUnavailable or StoreVersionError where it cannot start.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        create_store: bool = True,
        plugins: Plugins | None = None,
        origins: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.settings = settings
        self.plugins = plugins or Plugins(settings)
        self.endpoints = endpoints(self.plugins, settings)
        require_known_sources(self.endpoints, self.plugins, settings)
        self.store = Store.open(settings.database, create_store)
        self.store.require_sound()
        hooks, targets = self.plugins.hooks, self.plugins.targets
        names = [target.name for target in targets]
        self.observers = Observers(hooks)
        self.senders = Senders(self.store, targets, settings.time_zone)
        self.replays = Replays(
            self.store, hooks, self.endpoints, names, self._committed, settings.time_zone
        )
        self.tokens = Tokens(self.store, settings.admin_token)
        self._lasting = [one.source.name for one in self.endpoints if one.source.authority]
        self.upkeep = Upkeep(self.store, self.replays, self.tokens, settings, self._lasting)
        shown = ShownObjects(self.store, settings.time_zone)
        inside = Inside(self.replays.inside, shown.of)
        self.webhooks = Webhooks(
            self.store, hooks, names, self._committed, self.tokens, settings, inside
        )
        self.imports = Imports(
            self.store,
            hooks,
            self.endpoints,
            self.webhooks,
            settings.time_zone,
            settings.import_limit,
        )
        self.mends = Mends(self.store, hooks, self.endpoints, self.webhooks, self.replays)
        self._described = tuple(described(settings, origins, self.store.address.shown))
        self.secrets = SecretFiles(self.endpoints)
        self.fetchers = Fetchers(self.store, self.replays, self.endpoints)
        self.key_sets = KeySets(self.store, self.endpoints)
        self.alerts = Alerts(self.store, self.endpoints, self._lasting, settings)
        self._ending = threading.Event()
        self.serving = Serving()
        self.openapi = OpenApi(lambda: self.routes, self.endpoints, settings.public_url)
        self.console = self._console()
        self.routes = tuple(self._routes())

    def start(self) -> None:
        """Begin what a hub does by itself; in the process that serves, after a server has forked it."""
        self.plugins.watch.start()
        self.upkeep.start()
        self.senders.start()
        self.secrets.start()
        self.fetchers.start()
        self.key_sets.start()
        self.alerts.start()

    def close(self, seconds: float = 5) -> None:
        """End the threads, waiting at most ``seconds`` for each kind; close this thread's connection."""
        self._ending.set()
        self.secrets.close(seconds)
        self.fetchers.close(seconds)
        self.key_sets.close(seconds)
        self.alerts.close(seconds)
        self.upkeep.close(seconds)
        self.senders.close(seconds)
        self.observers.close(seconds)
        self.plugins.watch.close()
        self.store.close()

    def _committed(self, delivery: CommittedDelivery) -> None:
        """Tell those who wait for what is on the disk."""
        self.observers.tell(delivery)
        self.upkeep.tell(delivery.results)
        if delivery.results:
            self.senders.wake()
        elif delivery.outcome is Outcome.IGNORED:
            self.fetchers.wake(delivery.delivery.source)

    def _console(self) -> Console | None:
        """The pages for people; None where the plugin is left out that they go with."""
        if all(plugin.name != PLUGIN for plugin in self.plugins.loaded):
            return None
        pages = [(plugin.name, page) for plugin in self.plugins.loaded for page in plugin.pages]
        return Console(self.store, self.tokens, self.settings, lambda: self.routes, pages)

    def _routes(self) -> Iterator[Route]:
        settings = self.settings
        yield from Probes(self.store, self.serving).routes()
        yield from Metrics(
            self.store,
            self.tokens,
            self.endpoints,
            self.observers,
            self.senders,
            self.fetchers,
            self.plugins.watch,
            self.serving,
        ).routes()
        yield from StatusPages(
            self.store,
            self.plugins,
            self.endpoints,
            self.observers,
            self.senders,
            self.fetchers,
            utc_now(),
        ).routes()
        yield from DeliveriesApi(
            self.store,
            self.replays,
            self.tokens,
            settings.time_zone,
            self._ending,
            self.mends,
            self._lasting,
        ).routes()
        zone, public_url = settings.time_zone, settings.public_url
        yield from RecordApi(self.store, self.tokens, zone, public_url).routes()
        yield from ChangesApi(self.store, self.tokens, zone).routes()
        yield from ReportsApi(self.store, self.tokens, zone, public_url).routes()
        yield from DoubtsApi(
            self.store, self.tokens, sources_of(self.endpoints), zone, public_url
        ).routes()
        yield from ImportsApi(
            self.imports, self.store, self.tokens, settings.import_limit, zone
        ).routes()
        yield from ForgetApi(self.store, self.tokens).routes()
        yield from TokensApi(self.store, self.tokens).routes()
        yield from SourcesApi(self.store, self.tokens, self.endpoints, zone).routes()
        yield from SetupApi(
            self.store,
            self.tokens,
            self.plugins,
            self.senders,
            self._described,
            lambda: self.routes,
        ).routes()
        yield from CaptureApi(
            self.store, settings.body_limit, settings.capture_secret, settings.public_url
        ).routes()
        yield from self.openapi.routes()
        if self.console is not None:
            yield from self.console.routes()
        for endpoint in self.endpoints:
            yield from self._routes_of(endpoint)

    def _routes_of(self, endpoint: Endpoint) -> Iterator[Route]:
        """The paths of a source. A batch is taken beside the check-ins: it may have many rows."""
        handle = partial(self.webhooks.handle, endpoint)
        looked_at = partial(self.webhooks.look_at, endpoint)
        lane = "" if endpoint.source.rows is None else f"rows {endpoint.source.name}"
        for path in (f"/api/webhook/{endpoint.source.path}", *endpoint.source.paths):
            for method in endpoint.source.all_methods:
                answer = looked_at if method == "GET" else handle
                yield Route(method, parts_in(path), answer, lane)


def sources_of(endpoints: Iterable[Endpoint]) -> Sources:
    """Which sources anyone may post to, and which are signed."""
    is_open = {endpoint.source.name: endpoint.is_open for endpoint in endpoints}
    return Sources(
        tuple(name for name, open_ in is_open.items() if open_),
        tuple(name for name, open_ in is_open.items() if not open_),
    )


def require_lasting(settings: Settings) -> None:
    """Raise SettingError for a store that is gone when the hub ends."""
    if parse_address(settings.database).in_memory:
        raise SettingError("database: a store in memory is for trials only; name a file")
