"""What is shown: a page in its frame, or one that says what was wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from hub.api.files import File
from hub.api.stream import Stream
from hub.console.frame import Frame, page
from hub.console.inside import Said
from hub.console.paths import ROOT
from hub.console.sessions import Sessions
from hub.console.visit import Page
from hub.domain.tokens import Scope, Token
from hub.errors import FAULTS, Refused, StoreUnavailable
from hub.intake.answers import Answer
from hub.log import log_fault

Environ = Mapping[str, Any]
Answered = Answer | File | Stream


class Screen:
    """``listed`` are the pages of plugins: their paths and titles."""

    def __init__(
        self, frame: Frame, sessions: Sessions, listed: Sequence[Mapping[str, str]]
    ) -> None:
        self._frame = frame
        self._sessions = sessions
        self._listed = listed

    def guarded(self, environ: Environ, make: Callable[[], Answered]) -> Answered:
        """What ``make`` answers, or a page that says why not; never raises."""
        try:
            return make()
        except Said as said:
            return self.error(environ, said)
        except Refused as refused:
            return self.error(environ, Said(refused.status, refused.error, refused.details))
        except StoreUnavailable:
            return self.error(environ, Said(503, "The store does not answer", "Try again"))
        except FAULTS as error:
            log_fault("a page failed", error)
            return self.error(environ, Said(500, "Internal server error", "See the log"))

    def page(self, environ: Environ, token: Token | None, shown: Page) -> Answer:
        """A page for whoever has the token."""
        notice = self._sessions.said(environ, token)
        values = {**self._common(environ, token), "notice": notice, **shown.values}
        more = {} if notice is None else {"Set-Cookie": self._sessions.unsaid()}
        return page(shown.status, self._frame.html(shown.template, values), **more)

    def part(self, environ: Environ, token: Token, shown: Page) -> str | None:
        """The live part of a page; None where it has none."""
        if shown.live is None:
            return None
        values = {**self._common(environ, token), "notice": None, **shown.values}
        return self._frame.html(shown.live, values)

    def error(self, environ: Environ, said: Said) -> Answer:
        """A page that says what was wrong."""
        try:
            token = self._sessions.token(environ)
        except StoreUnavailable:
            token = None
        values = {"notice": None, "error": said.error, "details": said.details}
        try:
            html = self._frame.html("error.html", {**self._common(environ, token), **values})
        except FAULTS as error:
            log_fault("a page failed", error)
            html = ""
        status = said.status if said.status >= 400 else 404
        return page(status, html)

    def missing(self, environ: Environ) -> Answer:
        """There is no such page."""
        said = Said(404, "There is no such page", "Go on from the pages named above")
        return self.error(environ, said)

    def _common(self, environ: Environ, token: Token | None) -> dict[str, Any]:
        """What the frame itself shows."""
        path, text = environ.get("PATH_INFO", ""), environ.get("QUERY_STRING", "")
        query = f"?{text}" if text else ""
        own = quote(path.removeprefix(ROOT).strip("/"), errors="replace") or "tonight"
        return {
            "token": token,
            "may": {scope.value: token is not None and token.may(scope) for scope in Scope},
            "path": path,
            "here": f"{path}{query}",
            "live_url": f"{ROOT}/live/{own}{query}",
            "given": dict(parse_qsl(text)),
            "plugin_pages": self._listed,
        }
