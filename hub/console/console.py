"""The console: from a request to its page. Who is not logged in is asked to; what is refused is said."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any
from urllib.parse import parse_qsl

from hub.api.files import File
from hub.api.route import Route, pattern_of
from hub.config.settings import Settings
from hub.console import views
from hub.console.entrance import Entrance
from hub.console.forms import EMPTY, Form, read
from hub.console.frame import HEADERS, Frame, asset, page, redirect, static
from hub.console.inside import Api, Inside, Said
from hub.console.live import Found, Live
from hub.console.pages import PluginPages
from hub.console.paths import ROOT, local
from hub.console.screen import Answered, Environ, Screen
from hub.console.sessions import Notice, Sessions
from hub.console.visit import Go, Shown, View, Visit
from hub.domain.tokens import Scope, Token
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.browsers import Browsers
from hub.intake.tokens import Tokens
from hub.plugin.page import Page as PluginPage
from hub.store.store import Store
from hub.wire.body import read_body

LANE = "console"
PLUGIN = "console"
"""The plugin without which there are no pages."""

_LARGEST = 1_048_576
"""Bytes of a form without a file."""


class Console:
    """The pages of a hub. ``routes`` gives those of its API; ``pages`` are those of its plugins."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        settings: Settings,
        routes: Callable[[], Iterable[Route]],
        pages: Sequence[tuple[str, PluginPage]],
    ) -> None:
        self._zone = settings.time_zone
        self._public_url = settings.public_url.rstrip("/")
        self._largest = settings.import_limit + _LARGEST
        self._routes = routes
        frame = Frame(settings.time_zone)
        plugin_pages = PluginPages(store, pages, frame)
        self._sessions = Sessions(store, tokens, settings.public_url, settings.console_over_http)
        self._screen = Screen(frame, self._sessions, plugin_pages.listed)
        own = Browsers(settings.public_url, ())
        self.entrance = Entrance(store, tokens, self._sessions, own, self._screen)
        self._live = Live(store, self._sessions, self._screen, self._find, self._visit)
        self._views = (*views.every(), *plugin_pages.views())

    def routes(self) -> Iterator[Route]:
        """The front, the entrance, files, streams, the views that have a lane of their own, and all
        other paths.
        """
        yield Route("GET", f"{ROOT}/static/<path:path>", self._static, LANE)
        for method, path, answer in (
            ("GET", "/", self._front),
            ("GET", "/favicon.ico", lambda _: redirect(asset("icon.svg"))),
            ("POST", "/", _nothing),
            ("GET", ROOT, self._front),
        ):
            yield Route(method, path, answer, LANE)
        yield from self.entrance.routes(LANE)
        yield Route("GET", f"{ROOT}/live/<path:path>", self._live.answer, LANE)
        yield Route("GET", f"{ROOT}/get/<path:path>", self._get, "work")
        for view in self._views:
            if view.lane != LANE:
                path = f"{ROOT}/{view.path}"
                yield Route(
                    view.method, path, self._by_path, view.lane, takes_files=view.takes_files
                )
        yield Route("GET", f"{ROOT}/<path:path>", self._by_path, LANE)
        yield Route("POST", f"{ROOT}/<path:path>", self._by_path, LANE)

    @cached_property
    def _patterns(self) -> Sequence[tuple[View, re.Pattern[str]]]:
        """The views by what their paths look like; made with the first page: a start needs none."""
        return [(view, pattern_of(view.path)) for view in self._views]

    @cached_property
    def _inside(self) -> Inside:
        return Inside(self._routes())

    def _front(self, environ: Mapping[str, Any]) -> Answered:
        """A browser is led to the console; anybody else is told that there is nothing here."""
        path = environ["PATH_INFO"]
        if path == f"{ROOT}/":
            return self._by_path(environ)
        if path == ROOT or "text/html" in environ.get("HTTP_ACCEPT", ""):
            return redirect(f"{ROOT}/")
        return _nothing(environ)

    def _static(self, environ: Mapping[str, Any], path: str) -> Answered:
        return static(path) or page(404, "")

    def _by_path(self, environ: Mapping[str, Any], **_: str) -> Answered:
        """The page of a path."""
        return self._screen.guarded(environ, partial(self._answer, environ))

    def _find(self, method: str, path: str) -> Found:
        """The view of a path below the root, and the parts of its path."""
        for view, pattern in self._patterns:
            if view.method == method and (match := pattern.fullmatch(path.strip("/"))):
                return view, match.groupdict()
        return None

    def _answer(self, environ: Environ) -> Answered:
        """What the view of a request shows. Raises Said and Refused."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(ROOT)
        is_form = method == "POST"
        found = self._find("POST" if is_form else "GET", path)
        if found is None:
            if is_form and self._find("GET", path) is not None:
                raise Said(405, "This page cannot be sent to")
            return self._screen.missing(environ)
        view, parts = found
        if is_form:
            self.entrance.require_own(environ)
        token = self._sessions.token(environ)
        if token is None:
            return self.entrance.ask(environ)
        if view.scope is not None and not token.may(view.scope):
            if not view.path and token.may(Scope.POST):
                return redirect(f"{ROOT}/door")
            raise Said(403, "This token may not do that", f"It needs the scope {view.scope}")
        form = EMPTY
        if is_form:
            limit = self._largest if view.takes_files else _LARGEST
            form = read(dict(environ), read_body(environ, limit))
        try:
            return self._shown(
                environ, token, view.show(self._visit(environ, token, form), **parts)
            )
        except Said as said:
            return self._said(environ, token, said, form)

    def _said(self, environ: Environ, token: Token, said: Said, form: Form) -> Answered:
        """What the API said instead: where something was merged; else it is told on the page from which
        it was asked for. Raises it, where there is none.
        """
        if said.status == 301 and form is EMPTY:
            own = environ["PATH_INFO"]
            return redirect(re.sub(r"/[0-9]+(?=/|$)", f"/{said.details}", own, count=1))
        back = local(form.get("back"))
        if back is None or said.status in (401, 403):
            raise said
        notice = Notice(said.error, said.details, is_error=True)
        return redirect(back, **{"Set-Cookie": self._sessions.say(environ, notice, token)})

    def _visit(self, environ: Environ, token: Token, form: Form) -> Visit:
        return Visit(
            path=environ.get("PATH_INFO", ""),
            query=dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)),
            form=form,
            token=token,
            api=Api(self._inside, token, environ),
            zone=self._zone,
            address=self._address(environ),
        )

    def _shown(self, environ: Environ, token: Token, shown: Shown) -> Answered:
        if isinstance(shown, Answer | File):
            return shown._replace(headers={**HEADERS, **shown.headers})
        if isinstance(shown, Go):
            cookie = {}
            if shown.notice is not None:
                cookie = {"Set-Cookie": self._sessions.say(environ, shown.notice, token)}
            return redirect(local(shown.to) or f"{ROOT}/", **cookie)
        return self._screen.page(environ, token, shown)

    def _get(self, environ: Mapping[str, Any], path: str) -> Answered:
        """A file of the API, for whoever is logged in."""
        return self._screen.guarded(environ, partial(self._file, environ, path))

    def _file(self, environ: Environ, path: str) -> Answered:
        if not path.startswith("api/"):
            return self._screen.missing(environ)
        token = self._sessions.token(environ)
        if token is None:
            return self.entrance.ask(environ)
        visit = self._visit(environ, token, EMPTY)
        made = visit.api.answer("GET", f"/{path}", environ.get("QUERY_STRING", ""))
        headers = {"Content-Type": "application/json", **HEADERS, **made.headers}
        return made._replace(headers={**headers, "Cache-Control": "no-store"})

    def _address(self, environ: Environ) -> str:
        if self._public_url:
            return self._public_url
        host = environ.get("HTTP_HOST", "localhost")
        return f"{environ.get('wsgi.url_scheme', 'http')}://{host}"


def _nothing(environ: Environ) -> Answer:
    details = "There is no such path; see /api/webhook/status/ for those there are"
    return answers.answer(404, {"error": "Not found", "details": details})
