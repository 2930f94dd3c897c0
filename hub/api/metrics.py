"""``/metrics``: what the hub measures, for Prometheus, as its text or as OpenMetrics.

For tokens of the scope ``metrics``, and for whoever is on the hub's own machine. The counters begin
with the process, as Prometheus expects; what waits, and when a source was heard last, is the store's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hub.api.access import NO_STORE, Asked, Door
from hub.api.route import Route
from hub.api.serving import Serving
from hub.domain.distribution import Distribution
from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope
from hub.errors import HubError
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.intake.tokens import Tokens
from hub.jobs.fetching import Fetchers
from hub.jobs.sender import Senders
from hub.plugin.observers import Observers
from hub.plugin.watch import Watch
from hub.record import events, pending
from hub.record.heard import LastHeard
from hub.store.space import space
from hub.store.store import Store
from hub.version import __version__
from hub.wire.loopback import is_loopback

if TYPE_CHECKING:
    from prometheus_client.core import Metric
    from prometheus_client.registry import CollectorRegistry

PATH = "/metrics"

_OF_A_PROXY = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA")
_OF_A_PAGE = ("HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE")
"""What a request has that a proxy, or a page in a browser, has sent on."""


class Metrics:
    """The page. Its library takes as long to load as the rest of the hub, so it is loaded when it is
    asked for.
    """

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        endpoints: Sequence[Endpoint],
        observers: Observers,
        senders: Senders,
        fetchers: Fetchers,
        watch: Watch,
        serving: Serving,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._observers = observers
        self._senders = senders
        self._fetchers = fetchers
        self._watch = watch
        self._serving = serving
        self._heard = LastHeard([endpoint.source.name for endpoint in endpoints])
        self._registry: CollectorRegistry | None = None
        door = Door(tokens, NO_STORE)
        self._guarded = door.route("GET", PATH, self._page, Scope.METRICS, lane="metrics")

    def routes(self) -> Iterator[Route]:
        """One."""
        yield self._guarded._replace(answer=self._answer)

    def collect(self) -> Iterator["Metric"]:
        """The metrics, as the library's registry asks for them."""
        from prometheus_client import core as of

        info = of.GaugeMetricFamily("hub_build_info", "The version of the hub", labels=["version"])
        info.add_metric([__version__], 1)
        yield info
        yield from self._deliveries()
        batches = of.HistogramMetricFamily(
            "hub_batch_size", "Requests that shared a transaction", labels=[]
        )
        _add(batches, [], self._serving.batch_sizes)
        yield batches
        yield of.GaugeMetricFamily(
            "hub_event_streams", "Event streams that are open", self._serving.streams()
        )
        yield of.GaugeMetricFamily(
            "hub_plugins_hanging",
            "Calls of plugins that have not come back within a second",
            len(self._watch.hanging()),
        )
        yield from self._observed()
        yield from self._sent()
        yield from self._of_store()

    def _answer(self, environ: Mapping[str, Any]) -> Any:
        if is_local(environ) and not environ.get("HTTP_AUTHORIZATION"):
            return self._made(environ)
        return self._guarded.answer(environ)

    def _page(self, asked: Asked) -> Answer:
        return self._made(asked.environ)

    def _made(self, environ: Mapping[str, Any]) -> Answer:
        from prometheus_client import CollectorRegistry, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        if self._registry is None:
            registry = CollectorRegistry(auto_describe=False)
            ProcessCollector(registry=registry)
            registry.register(self)
            self._registry = registry
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        headers = {**NO_STORE, "Content-Type": content_type}
        return Answer(200, encode(self._registry).decode(), headers)

    def _deliveries(self) -> Iterator["Metric"]:
        from prometheus_client import core as of

        counted = of.CounterMetricFamily(
            "hub_deliveries",
            "Requests to a source, by what became of them",
            labels=["source", "outcome"],
        )
        took = of.HistogramMetricFamily(
            "hub_delivery_seconds",
            "How long deliveries took until they were on the disk",
            labels=["source"],
        )
        not_kept = of.CounterMetricFamily(
            "hub_deliveries_not_kept",
            "Deliveries that were answered and not kept (keep_refused)",
            labels=["source"],
        )
        for endpoint in self._endpoints:
            name = endpoint.source.name
            for outcome, number in endpoint.counters.by_outcome().items():
                counted.add_metric([name, str(outcome)], number)
            _add(took, [name], endpoint.counters.seconds)
            not_kept.add_metric([name], endpoint.budget.not_kept)
        yield from (counted, took, not_kept)

    def _observed(self) -> Iterator["Metric"]:
        from prometheus_client import core as of

        shown = of.CounterMetricFamily(
            "hub_observer_deliveries",
            "Deliveries that a plugin observes, by what became of that",
            labels=["plugin", "outcome"],
        )
        dropped = of.CounterMetricFamily(
            "hub_observer_dropped",
            "Deliveries that were not shown to a plugin, which was too slow",
            labels=["plugin"],
        )
        waiting = of.GaugeMetricFamily(
            "hub_observer_waiting", "Deliveries that are still to be shown", labels=["plugin"]
        )
        for plugin, counts in self._observers.counters().items():
            for outcome in ("seen", "failed", "timed_out"):
                shown.add_metric([plugin, outcome], counts[outcome])
            dropped.add_metric([plugin], counts["dropped"])
            waiting.add_metric([plugin], counts["waiting"])
        yield from (shown, dropped, waiting)

    def _sent(self) -> Iterator["Metric"]:
        from prometheus_client import core as of

        sent = of.CounterMetricFamily(
            "hub_sent", "Check-ins that were sent on, or not", labels=["target", "outcome"]
        )
        for target, counts in self._senders.counters().items():
            for outcome in ("sent", "failed"):
                sent.add_metric([target, outcome], counts[outcome])
        fetched = of.CounterMetricFamily(
            "hub_fetches", "Documents that were fetched, or not", labels=["source", "outcome"]
        )
        away = of.GaugeMetricFamily(
            "hub_fetch_server_away",
            "1 while the server is away that a source fetches from",
            labels=["source"],
        )
        for source, counters in self._fetchers.counters().items():
            for outcome in ("fetched", "failed"):
                fetched.add_metric([source, outcome], counters[outcome])
            away.add_metric([source], counters["server_away"])
        yield from (sent, fetched, away)

    def _of_store(self) -> Iterator["Metric"]:
        """What the store tells, as far as it answers."""
        from prometheus_client import core as of

        yield of.GaugeMetricFamily(
            "hub_store_up",
            "1 while the store answers, and takes what it is given",
            self._store.is_reachable(),
        )
        try:
            with self._store.reading() as db:
                heard = self._heard.look(db)
                waiting = pending.waiting(db)
                outbox = pending.counts(db)
                fetches = pending.fetches(db)
                running = len(events.running(db, utc_now()))
                backed_up = pending.last_backup(db)
            taken, free, disk = space(self._store)
        except HubError:
            return
        last = of.GaugeMetricFamily(
            "hub_last_delivery_timestamp_seconds",
            "When the last delivery of a source came, in seconds since 1970",
            labels=["source"],
        )
        for source, at in heard.items():
            last.add_metric([source], _seconds(at))
        yield last
        yield of.GaugeMetricFamily("hub_events_running", "Events that are on now", running)
        yield of.GaugeMetricFamily(
            "hub_waiting", "Deliveries that wait for a student or an event", waiting
        )
        pending_ = of.GaugeMetricFamily(
            "hub_outbox_pending", "Check-ins that are still to be sent on", labels=["target"]
        )
        given_up = of.GaugeMetricFamily(
            "hub_outbox_given_up",
            "Check-ins that are sent on no more until somebody says so",
            labels=["target"],
        )
        for target in {*outbox, *self._senders.counters()}:
            one = outbox.get(target, pending.Waiting())
            pending_.add_metric([target], one.waiting)
            given_up.add_metric([target], one.given_up)
        fetching = of.GaugeMetricFamily(
            "hub_fetches_pending", "Documents that are still to be fetched", labels=["source"]
        )
        for source in {*fetches, *self._fetchers.counters()}:
            fetching.add_metric([source], fetches.get(source, 0))
        yield from (pending_, given_up, fetching)
        for name, about, value in (
            (
                "hub_last_backup_timestamp_seconds",
                "When the last backup was begun, in seconds since 1970",
                None if backed_up is None else _seconds(backed_up),
            ),
            ("hub_store_bytes", "Bytes that the store takes", taken),
            ("hub_disk_free_bytes", "Bytes that are free on the store's disk", free),
            ("hub_disk_bytes", "Bytes of the store's disk", disk),
        ):
            if value is not None:
                yield of.GaugeMetricFamily(name, about, value)


def is_local(environ: Mapping[str, Any]) -> bool:
    """Whether a request comes from the hub's own machine, and through no proxy or page there."""
    if any(environ.get(name) for name in (*_OF_A_PROXY, *_OF_A_PAGE)):
        return False
    try:
        host = urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        return False
    # A name may be a stranger's that means this machine (DNS rebinding).
    return is_loopback(environ.get("REMOTE_ADDR", "")) and is_loopback(host)


def _add(family: Any, labels: Sequence[str], distribution: Distribution) -> None:
    below, total = distribution.measured()
    buckets = [("+Inf" if bound == float("inf") else str(bound), count) for bound, count in below]
    family.add_metric(labels, buckets, total)


def _seconds(at: datetime) -> float:
    return at.replace(tzinfo=UTC).timestamp()
