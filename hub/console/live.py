"""Live parts of pages, as streams: made anew when something was received, or changed."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hub.api.stream import Stream
from hub.console.forms import EMPTY, Form
from hub.console.frame import page
from hub.console.inside import Said
from hub.console.paths import ROOT
from hub.console.screen import Answered, Environ, Screen
from hub.console.sessions import Sessions
from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Token
from hub.errors import FAULTS, StoreUnavailable
from hub.log import log_fault
from hub.record import changes, deliveries
from hub.store.store import Store

Found = tuple[View, Mapping[str, str]] | None


class Live:
    """``find`` gives the view of a path and its parts, ``visit`` a visit of it."""

    def __init__(
        self,
        store: Store,
        sessions: Sessions,
        screen: Screen,
        find: Callable[[str, str], Found],
        visit: Callable[[Environ, Token, Form], Visit],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._screen = screen
        self._find = find
        self._visit = visit

    def answer(self, environ: Mapping[str, Any], path: str) -> Answered:
        """The live part of the page with this path; never raises."""
        try:
            return self._answer(environ, path)
        except Said as said:
            return page(said.status if said.status >= 400 else 404, "")
        except StoreUnavailable:
            return page(503, "")
        except FAULTS as error:
            log_fault("a page failed", error)
            return page(500, "")

    def _answer(self, environ: Environ, path: str) -> Answered:
        token = self._sessions.token(environ)
        if token is None:
            return page(401, "")
        found = self._find("GET", path)
        if found is None or found[0].scope is None or not token.may(found[0].scope):
            return page(404, "")
        view, parts = found
        own = {**environ, "PATH_INFO": f"{ROOT}/{path.strip('/')}"}

        def render() -> str | None:
            visit = self._visit(own, token, EMPTY)
            shown = view.show(visit, **parts)
            return self._screen.part(own, token, shown) if isinstance(shown, Page) else None

        def look(version: object) -> tuple[object, str] | None:
            now = self._version()
            if now == version:
                return None
            try:
                return now, render() or ""
            except Said:  # what it showed is there no more
                return now, ""

        version, text = self._version(), render()
        if text is None:
            return page(404, "")
        address = self._visit(own, token, EMPTY).address
        scopes, query = ",".join(sorted(token.scopes)), environ.get("QUERY_STRING", "")
        key = f"{scopes} {address}{own['PATH_INFO']}?{query}"
        return Stream(key, (version, text), look, partial(self._sessions.is_open, environ, token))

    def _version(self) -> object:
        """What is another when something was received, or changed."""
        with self._store.reading() as db:
            return changes.mark(db), deliveries.last_id(db)
