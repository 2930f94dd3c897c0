"""The hub as a WSGI application (PEP 3333): a Bottle core with a route for every source."""

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import bottle

from hub.api import capture
from hub.api.capture import CaptureApi
from hub.api.deliveries import DeliveriesApi
from hub.api.status import StatusPage
from hub.config.settings import Settings
from hub.domain.delivery import CommittedDelivery, new_delivery_id
from hub.domain.timestamps import utc_now
from hub.errors import FAULTS, SettingError, StoreConflict, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint, endpoints, unknown_sources
from hub.intake.pipeline import Pipeline
from hub.jobs.replay import Replays
from hub.jobs.sender import Outbox
from hub.jobs.upkeep import Upkeep
from hub.log import log_fault
from hub.plugin.observers import Observers
from hub.plugin.plugins import Plugins
from hub.store.database import parse_address
from hub.store.store import Store

_log = logging.getLogger(__name__)

STATUS_PATH = "/api/webhook/status"

StartResponse = Callable[..., Any]


class Hub:
    """One hub: its plugins, its endpoints, its store. A WSGI application; several may live side by
    side in a process. ``plugins`` are other ones than the settings would find.

    Raises SettingError, StoreUnavailable or StoreVersionError where it cannot start.
    """

    def __init__(
        self, settings: Settings, *, create_store: bool = True, plugins: Plugins | None = None
    ) -> None:
        self.settings = settings
        self.plugins = plugins or Plugins(settings)
        self.endpoints = endpoints(self.plugins, settings)
        for name in unknown_sources(self.endpoints, settings):
            _log.warning("sources.%s is configured, and no plugin declares such a source", name)
        self.store = Store.open(settings.database, create_store)
        self.observers = Observers(self.plugins)
        self.replays = Replays(
            self.store, self.plugins, self.endpoints, self._committed, settings.time_zone
        )
        self.outbox = Outbox(self.store, self.plugins.targets, settings.time_zone)
        self.upkeep = Upkeep(self.store, self.replays, settings)
        self._pipeline = Pipeline(self.store, self.plugins, self._committed, settings)
        self.ending = threading.Event()
        self._origins = frozenset(settings.allowed_origins)
        self._page = StatusPage(self, utc_now())
        self._captures = CaptureApi(self)
        self._bottle = self._routes()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            body: Iterable[bytes] = self._bottle(environ, start_response)
            return body
        except (StoreConflict, StoreUnavailable):
            raise  # only out of a batch, which tries again without
        except FAULTS as error:
            if self.store.in_batch:
                raise
            delivery = new_delivery_id()
            log_fault(f"delivery {delivery} failed", error)
            made = answers.failure(delivery)
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(made.body.encode()))),
                ("X-Delivery-Id", delivery),
            ]
            start_response("500 Internal Server Error", headers)
            return [made.body.encode()]

    def start(self) -> None:
        """Begin what a hub does by itself; in the process that serves, after a server has forked it."""
        self.upkeep.start()
        self.outbox.start()

    def close(self, seconds: float = 5) -> None:
        """Let the observers finish, for at most ``seconds``, and close this thread's connection."""
        self.ending.set()
        self.upkeep.close(seconds)
        self.outbox.close(seconds)
        self.observers.close(seconds)
        self.store.close()

    def _committed(self, delivery: CommittedDelivery) -> None:
        """Tell those who wait for what is on the disk."""
        self.observers.tell(delivery)
        self.upkeep.tell(delivery.results)
        if delivery.results:
            self.outbox.wake()

    def _routes(self) -> bottle.Bottle:
        app = bottle.Bottle()
        app.config["catchall"] = False
        app.uninstall(True)  # its own plugins: nothing here returns a dict or has a template
        app.default_error_handler = self._error
        self._route(app, STATUS_PATH, "GET", self._status)
        if self.settings.admin_token:
            api = DeliveriesApi(self, self.settings.admin_token)
            for method, path, callback in api.routes():
                self._route(app, path, method, partial(self._admin, callback))
        self._route(app, f"{capture.PATH}/<token>", "POST", self._capture)
        for endpoint in self.endpoints:
            path = endpoint.path.rstrip("/")
            self._route(app, path, "POST", partial(self._webhook, endpoint))
            self._route(app, f"{path}/status", "GET", partial(self._status, endpoint))
        return app

    def _route(
        self, app: bottle.Bottle, path: str, method: str, callback: Callable[..., Any]
    ) -> None:
        allow = f"{method}, OPTIONS" if method != "GET" else "GET, HEAD, OPTIONS"
        for form in (path, f"{path}/"):
            app.route(form, method, callback)
            app.route(form, "OPTIONS", partial(self._options, allow))

    def _webhook(self, endpoint: Endpoint) -> bytes:
        delivery, answer = self._pipeline.handle(endpoint, bottle.request.environ)
        return self._respond(answer, {"X-Delivery-Id": delivery})

    def _status(self, endpoint: Endpoint | None = None) -> bytes:
        return self._respond(self._page.of(endpoint) if endpoint else self._page.hub())

    def _admin(self, callback: Callable[..., Answer], **path: str) -> bytes:
        return self._respond(callback(bottle.request.environ, **path))

    def _capture(self, token: str) -> bytes:
        return self._respond(self._captures.take(bottle.request.environ, token))

    def _options(self, allow: str, **_: str) -> bottle.HTTPResponse:
        headers = {"Allow": allow, **self._cors()}
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Allow-Methods"] = allow
            headers["Access-Control-Allow-Headers"] = (
                bottle.request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS") or "Content-Type"
            )
        return bottle.HTTPResponse(status=204, headers=headers)

    def _respond(self, answer: Answer, headers: Mapping[str, str] | None = None) -> bytes:
        response = bottle.response
        response.status = answer.status
        response.set_header("Content-Type", "application/json")
        for some in (answer.headers, headers, self._cors()):
            for name, value in some.items() if some else ():
                response.set_header(name, value)
        return answer.body.encode()

    def _error(self, error: bottle.HTTPError) -> str:
        """Bottle's own errors, as JSON."""
        sentence, details = _ERRORS.get(error.status_code, ("Bad request", "See the status"))
        response = bottle.response
        response.content_type = "application/json"
        response.set_header("X-Delivery-Id", new_delivery_id())
        for name, value in self._cors().items():
            response.set_header(name, value)
        if error.status_code == 405:
            methods = set(error.get_header("Allow", "").split(","))
            methods |= {"HEAD"} if "GET" in methods else set()
            response.set_header("Allow", ", ".join(sorted(methods)))
        return json.dumps({"error": sentence, "details": details})

    def _cors(self) -> dict[str, str]:
        """The headers that let a page of an allowed origin read the answer (Fetch, "CORS")."""
        if not self._origins:
            return {}
        origin = bottle.request.environ.get("HTTP_ORIGIN")
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "X-Delivery-Id, X-Delivery-Replayed, Retry-After",
            "Vary": "Origin",
        }


def require_lasting(settings: Settings) -> None:
    """Raise SettingError for a store that is gone when the hub ends."""
    if parse_address(settings.database).in_memory:
        raise SettingError("database: a store in memory is for trials only; name a file")


_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("Bad request", "The request's path or headers cannot be read"),
    404: ("Not found", "There is no such path; see /api/webhook/status/ for those there are"),
    405: ("Method not allowed", "Use a method that the Allow header names"),
}
