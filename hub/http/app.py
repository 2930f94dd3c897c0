"""A hub's routes as a WSGI application (PEP 3333): a Bottle core, JSON errors, CORS."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import bottle

from hub.api.files import File
from hub.api.route import Route
from hub.api.serving import Serving
from hub.api.stream import MAY_STREAM, Stream, Streams, once
from hub.api.waiting import LAST, LOOK_EVERY, MAY_WAIT, NotYet, Waiting
from hub.config.settings import Settings
from hub.domain.delivery import new_delivery_id
from hub.errors import FAULTS
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.request import DELIVERY_ID
from hub.log import log_fault
from hub.store.store import Store
from hub.wire.forwarded import Proxies

StartResponse = Callable[..., Any]

_PEER = "hub.peer"
"""The name in an environ of whoever has the connection: the sender, or a proxy."""


class Application:
    """Answers with ``routes``. ``store`` tells whether a batch is open, ``settings`` which origins' pages
    may read the answers and which proxies are trusted. In ``serving`` the server tells of itself.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        store: Store,
        settings: Settings,
        serving: Serving | None = None,
    ) -> None:
        self.routes = tuple(routes)
        self.store = store
        self.serving = serving or Serving()
        self._origins = frozenset(settings.allowed_origins)
        self._proxies = Proxies(settings.trusted_proxies)
        self._bottle = self._core()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if _PEER not in environ:  # a request may go again
            environ[_PEER] = environ.get("REMOTE_ADDR", "")
            environ["REMOTE_ADDR"] = self._proxies.sender_of(environ)
        try:
            body: Iterable[bytes] = self._bottle(environ, start_response)
            return body
        except FAULTS as error:
            if self.store.in_batch:
                raise  # the batch is undone, and each request goes again alone
            delivery = environ.get(DELIVERY_ID) or new_delivery_id()
            log_fault(f"delivery {delivery} failed", error)
            made = answers.failure(delivery).body.encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(made))),
                ("X-Delivery-Id", delivery),
            ]
            start_response("500 Internal Server Error", headers)
            return [made]

    def _core(self) -> bottle.Bottle:
        core = bottle.Bottle()
        # Bottle lets nothing that it has be replaced; its plugins might want the same.
        router = core.__dict__["router"] = _Router()
        core.config["catchall"] = False
        core.uninstall(True)  # its own plugins: nothing here returns a dict or has a template
        core.default_error_handler = self._error
        methods: dict[str, list[str]] = {}
        for route in self.routes:
            own = methods.setdefault(route.path, [])
            own += ("GET", "HEAD") if route.method == "GET" else (route.method,)
            core.route(route.path, route.method, partial(self._answer, route.answer))
        for named, own in methods.items():
            own.append("OPTIONS")
            core.route(named, "OPTIONS", partial(self._options, ", ".join(own)))
            router.allow(named, own)
        router.compile()
        return core

    def _answer(self, answer: Callable[..., Any], **parts: str) -> bytes | Iterator[bytes]:
        environ = bottle.request.environ
        made: Answer | File | Waiting | Stream = answer(environ, **parts)
        if isinstance(made, Waiting):
            made = _waited(made, environ.get(MAY_WAIT))
        if isinstance(made, Stream):
            if environ.get(MAY_STREAM):
                raise Streams(made)
            made = once(made)
        response = bottle.response
        response.status = made.status
        response.set_header("Content-Type", "application/json")
        for name, value in made.headers.items():
            response.set_header(name, value)
        if self._origins:
            self._add_cors()
        return made.chunks if isinstance(made, File) else made.body.encode()

    def _options(self, allow: str, **_: str) -> bottle.HTTPResponse:
        headers = {"Allow": allow, **self._cors()}
        if "Access-Control-Allow-Origin" in headers:
            headers["Access-Control-Allow-Methods"] = allow
            headers["Access-Control-Allow-Headers"] = (
                bottle.request.environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS") or "Content-Type"
            )
        return bottle.HTTPResponse(status=204, headers=headers)

    def _error(self, error: bottle.HTTPError) -> str:
        """Bottle's own errors, as JSON."""
        sentence, details = _ERRORS.get(error.status_code, ("Bad request", "See the status"))
        response = bottle.response
        response.content_type = "application/json"
        response.set_header("X-Delivery-Id", new_delivery_id())
        self._add_cors()
        if error.status_code == 405:
            methods = {one.strip() for one in error.get_header("Allow", "").split(",")}
            methods |= {"HEAD"} if "GET" in methods else set()
            response.set_header("Allow", ", ".join(sorted(methods)))
        return json.dumps({"error": sentence, "details": details})

    def _add_cors(self) -> None:
        for name, value in self._cors().items():
            if name == "Vary" and (varies := bottle.response.get_header("Vary")):
                value = f"{varies}, {value}"
            bottle.response.set_header(name, value)

    def _cors(self) -> dict[str, str]:
        """The headers that let a page of an allowed origin read the answer (Fetch, "CORS")."""
        if not self._origins:
            return {}
        origin = bottle.request.environ.get("HTTP_ORIGIN")
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": _EXPOSED,
            "Vary": "Origin",
        }


class _Router(bottle.Router):  # type: ignore[misc]
    """Bottle's router, which takes each path with and without a slash at its end.

    A path without parts has the methods that it allows, and no others: by Bottle itself another path,
    whose part may be any text, would answer for it. The rules with parts are compiled once. Bottle
    compiles all of a method anew with each further one, which takes a time that grows with their square.
    """

    def __init__(self) -> None:
        super().__init__()
        self._open: set[str] | None = set()
        self._allowed: dict[str, Sequence[str]] = {}

    def match(self, environ: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        allowed = self._allowed.get(environ["PATH_INFO"])
        if allowed is not None and environ["REQUEST_METHOD"].upper() not in allowed:
            raise bottle.HTTPError(405, Allow=", ".join(allowed))
        found: tuple[Any, dict[str, str]] = super().match(environ)
        return found

    def allow(self, path: str, methods: Sequence[str]) -> None:
        """Have a path without parts take these methods, and no others."""
        if "<" not in path:
            self._allowed.update(dict.fromkeys(_spelled(path), methods))

    def add(self, rule: str, method: str, target: Any, name: str | None = None) -> None:
        for path in _spelled(rule):
            super().add(path, method, target, name)

    def _compile(self, method: str) -> None:
        if self._open is None:
            super()._compile(method)
        else:
            self._open.add(method)

    def compile(self) -> None:
        """Make the rules that were added work."""
        methods, self._open = self._open or set(), None
        for method in sorted(methods):
            super()._compile(method)


def _spelled(path: str) -> tuple[str, ...]:
    """A path with and without its trailing slash. One with parts is one rule."""
    return (f"{path}<:re:/?>",) if "<" in path else (path, f"{path}/")


def _waited(waiting: Waiting, asked: str | None) -> Answer:
    """What is answered at last. Raises NotYet where the server waits by itself."""
    found = waiting.look(asked == LAST)
    if found is not None:
        return found
    if asked is not None:
        raise NotYet(waiting.seconds)
    end = time.monotonic() + waiting.seconds
    while found is None:
        left = end - time.monotonic()
        time.sleep(max(0.0, min(left, LOOK_EVERY)))
        found = waiting.look(left <= LOOK_EVERY)
    return found


_EXPOSED = "X-Delivery-Id, X-Delivery-Replayed, Retry-After, ETag, Link, Content-Disposition"

_ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("Bad request", "The request's path or headers cannot be read"),
    404: ("Not found", "There is no such path; see /api/webhook/status/ for those there are"),
    405: ("Method not allowed", "Use a method that the Allow header names"),
}
