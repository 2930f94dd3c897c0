"""The API, asked from inside: by the pages, with the token of whoever looks at them."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from hub.api.files import File
from hub.api.route import Route, pattern_of
from hub.api.stream import Stream
from hub.api.waiting import Waiting
from hub.domain.tokens import Scope, Token
from hub.errors import HubError
from hub.intake.answers import Answer
from hub.intake.tokens import LET_IN

JSON = "application/json"
_PAGE = 500


class Said(HubError):
    """What the API said instead of doing what it was asked for: status, sentence, and how to mend it."""

    def __init__(self, status: int, error: str, details: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.details = details


class Inside:
    """The routes of a hub, by method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._plain: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Route]] = []
        for route in routes:
            if "<" in route.path:
                self._patterns.append((route.method, pattern_of(route.path), route))
            else:
                self._plain[route.method, route.path] = route

    def find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of a path, and its parts."""
        path = path.rstrip("/")
        plain = self._plain.get((method, path))
        if plain is not None:
            return plain, {}
        for own, pattern, route in self._patterns:
            if own == method and (match := pattern.fullmatch(path)):
                return route, match.groupdict()
        return None


class Api:
    """The API as one token may ask it. ``environ`` (PEP 3333) is the request of whoever looks."""

    def __init__(self, inside: Inside, token: Token, environ: Mapping[str, Any]) -> None:
        self._inside = inside
        self._token = token
        self._environ = environ

    def with_scopes(self, *scopes: Scope) -> "Api":
        """The same for a token that may do more, for a view that looks itself at what it shows."""
        token = replace(self._token, scopes=self._token.scopes | set(scopes))
        return Api(self._inside, token, self._environ)

    def get(self, path: str, **query: str | int | None) -> Any:
        """The answer to a question, without the parameters that are None or ''. Raises Said."""
        return self._json(self.answer("GET", path, _text(query)))

    def rows(self, path: str, plural: str, **query: str | int | None) -> Iterator[Any]:
        """All rows of a listing, a page at a time."""
        cursor: str | None = None
        while True:
            told = self.get(path, limit=_PAGE, cursor=cursor, **query)
            yield from told[plural]
            cursor = told["next"]
            if cursor is None:
                return

    def post(
        self,
        path: str,
        payload: Mapping[str, Any] | bytes,
        content_type: str = JSON,
        query: Sequence[tuple[str, str]] = (),
    ) -> Any:
        """The answer to what is posted. Raises Said."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return self._json(self.answer("POST", path, urlencode(query), body, content_type))

    def answer(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> Answer | File:
        """What the API answers, as it is."""
        found = self._inside.find(method, path)
        if found is None:
            raise Said(404, "Not found", "There is no such path")
        route, parts = found
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": self._environ.get("REMOTE_ADDR", ""),
            "wsgi.url_scheme": self._environ.get("wsgi.url_scheme", "http"),
            LET_IN: self._token,
        }
        if body is not None:
            environ["wsgi.input"] = io.BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["CONTENT_TYPE"] = content_type
        made = route.answer(environ, **parts)
        if isinstance(made, Waiting | Stream):
            raise Said(400, "This is not for pages")
        return made

    def _json(self, made: Answer | File) -> Any:
        if isinstance(made, File):
            raise Said(400, "It is a file")
        if made.status == 301:
            raise Said(301, "Merged", str(json.loads(made.body)["merged_into"]))
        told = json.loads(made.body)
        if made.status >= 400:
            details = told.get("details")
            if errors := told.get("errors"):
                details = "; ".join(f"{one['pointer']} {one['message']}" for one in errors)
            raise Said(made.status, told.get("error", "It failed"), details)
        return told


def _text(query: Mapping[str, str | int | None]) -> str:
    given = {name.rstrip("_"): one for name, one in query.items() if one not in (None, "")}
    return urlencode(given)
