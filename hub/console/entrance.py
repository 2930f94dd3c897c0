"""The entrance: logging in and out, and the link that makes the first token."""

import logging
import secrets
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from hub.api.route import Route
from hub.console.forms import read
from hub.console.frame import redirect
from hub.console.paths import ROOT, local
from hub.console.screen import Answered, Environ, Screen
from hub.console.sessions import Sessions
from hub.console.visit import Page
from hub.domain.tokens import Scope
from hub.errors import TooManyAttempts, Unauthenticated
from hub.intake.answers import Answer
from hub.intake.browsers import Browsers
from hub.intake.request import headers_of
from hub.intake.tokens import Tokens
from hub.jobs import tokens as jobs
from hub.store.store import Store
from hub.wire.body import read_body

_log = logging.getLogger(__name__)

FIRST = "first"
"""What the first token is called."""

_LARGEST = 16_384


class Entrance:
    """Lets people in. ``own`` tells the hub's own pages from those of others."""

    def __init__(
        self, store: Store, tokens: Tokens, sessions: Sessions, own: Browsers, screen: Screen
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._sessions = sessions
        self._own = own
        self._screen = screen
        self._code: str | None = None
        self._lock = threading.Lock()

    def routes(self, lane: str) -> Iterator[Route]:
        """Log in, log out, begin."""
        for method, path, answer in (
            ("GET", "login", self._login_page),
            ("POST", "login", self._log_in),
            ("POST", "logout", self._log_out),
            ("GET", f"{FIRST}/<code>", self._first_page),
            ("POST", f"{FIRST}/<code>", self._make_first),
        ):
            yield Route(method, f"{ROOT}/{path}", partial(self._guarded, answer), lane)

    def first_link(self) -> str | None:
        """The path that makes the first token, and logs in, once; None where there is a token."""
        with self._lock:
            if self._tokens.is_any():
                return None
            self._code = secrets.token_urlsafe(24)
            return f"{ROOT}/{FIRST}/{self._code}"

    def ask(self, environ: Environ) -> Answer:
        """To the page to log in at, which leads back."""
        to = f"{ROOT}/"
        if environ["REQUEST_METHOD"] == "GET":
            text = environ.get("QUERY_STRING", "")
            path = quote(environ.get("PATH_INFO", ""), errors="replace")
            to = f"{path}?{text}" if text else path
        return redirect(f"{ROOT}/login?{urlencode({'next': to})}")

    def require_own(self, environ: Environ) -> None:
        """Raise Refused for a form that a page of another site may have sent."""
        self._own.require_own("POST", headers_of(environ), takes_json=False)

    def _guarded(self, answer: Any, environ: Mapping[str, Any], **parts: str) -> Answered:
        return self._screen.guarded(environ, lambda: answer(environ, **parts))

    def _login_page(self, environ: Environ) -> Answer:
        query = dict(parse_qsl(environ.get("QUERY_STRING", "")))
        return self._login(environ, 200, query.get("next", ""), None)

    def _login(self, environ: Environ, status: int, to: str, error: str | None) -> Answer:
        refusal = self._sessions.refusal(environ)
        values = {"next": local(to) or f"{ROOT}/", "error": error, "refusal": refusal}
        return self._screen.page(environ, None, Page("login.html", values, status))

    def _log_in(self, environ: Environ) -> Answer:
        self.require_own(environ)
        form = read(dict(environ), read_body(environ, _LARGEST))
        to, address = form.get("next"), environ.get("REMOTE_ADDR", "")
        if self._sessions.refusal(environ) is not None:
            return self._login(environ, 403, to, None)
        try:
            token = self._tokens.log_in(form.get("token"), address)
        except (Unauthenticated, TooManyAttempts) as refused:
            _log.warning("login from %s: %d %s", address, refused.status, refused.error)
            return self._login(environ, refused.status, to, refused.error)
        cookie = self._sessions.opened(environ, token)
        return redirect(local(to) or f"{ROOT}/", **{"Set-Cookie": cookie})

    def _log_out(self, environ: Environ) -> Answer:
        self.require_own(environ)
        self._sessions.end(environ)
        return redirect(f"{ROOT}/login", **{"Set-Cookie": self._sessions.closed(environ)})

    def _first_page(self, environ: Environ, code: str) -> Answer:
        if not self._is_right(code):
            return self._screen.missing(environ)
        values = {"made": None, "refusal": self._sessions.refusal(environ)}
        return self._screen.page(environ, None, Page("first.html", values))

    def _make_first(self, environ: Environ, code: str) -> Answer:
        self.require_own(environ)
        with self._lock:
            if not self._is_right(code) or self._sessions.refusal(environ) is not None:
                return self._screen.missing(environ)
            made = jobs.create(self._store, FIRST, [Scope.ADMIN], [], None)
            self._code = None
        self._tokens.read_again()
        token = self._tokens.log_in(made, environ.get("REMOTE_ADDR", ""))
        values = {"made": made, "refusal": None}
        shown = self._screen.page(environ, token, Page("first.html", values))
        cookie = {"Set-Cookie": self._sessions.opened(environ, token)}
        return shown._replace(headers={**shown.headers, **cookie})

    def _is_right(self, code: str) -> bool:
        return self._code is not None and secrets.compare_digest(
            code.encode("utf-8", "replace"), self._code.encode()
        )
