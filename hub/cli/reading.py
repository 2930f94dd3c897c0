"""What the commands that read the record ask: the API of a running hub, or the same over a store."""

import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

from hub.api.doubts import DoubtsApi
from hub.api.record import RecordApi
from hub.api.reports import ReportsApi
from hub.cli.address import parse
from hub.cli.store import existing_store
from hub.config.settings import Settings
from hub.errors import HubError, Refused, SettingError
from hub.http.app import Application
from hub.intake.tokens import Tokens
from hub.record.doubts import Sources
from hub.store.store import Store

_TIMEOUT = 60
_PIECE = 64 * 1024

Query = Mapping[str, str]


class Reading(Protocol):
    """The record, by the paths of the API. What is refused is raised as Refused."""

    def chunks(self, path: str, query: Query) -> Iterator[bytes]:
        """What there is at a path, piece by piece."""


def no_sources() -> Sources:
    """None, for what does not ask for them."""
    return Sources((), ())


class _Failed(HubError):
    """A running hub could not be asked."""


@contextmanager
def reading(
    settings: Settings,
    url: str | None,
    token: str | None,
    sources: Callable[[], Sources],
) -> Iterator[Reading]:
    """The record of the hub at ``url``, else of the store of the settings. ``sources`` tells how its
    sources are configured, which a store does not know.
    """
    if url is not None:
        yield _Remote(url, token)
        return
    if token is not None:
        raise SettingError("--token is for --url: the store asks for none")
    with existing_store(settings.database) as store:
        yield _Local(store, settings, sources)


def get(record: Reading, path: str, query: Query | None = None) -> Any:
    """The object at a path."""
    return json.loads(b"".join(record.chunks(path, query or {})))


def rows(record: Reading, path: str, plural: str, query: Query | None = None) -> Iterator[Any]:
    """All rows of a listing."""
    cursor: str | None = ""
    while cursor is not None:
        more = {"cursor": cursor} if cursor else {}
        page = get(record, path, {**(query or {}), "limit": "500", **more})
        yield from page[plural]
        cursor = page["next"]


def part(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


class _Local:
    """The API over a store, in this process, with a token of its own."""

    def __init__(self, store: Store, settings: Settings, sources: Callable[[], Sources]) -> None:
        self._token = secrets.token_hex(16)
        tokens = Tokens(store, self._token)
        zone = settings.time_zone
        self._record = Application(
            [
                *RecordApi(store, tokens, zone, "").routes(),
                *ReportsApi(store, tokens, zone, "").routes(),
            ],
            store,
            settings,
        )
        self._store, self._settings, self._tokens, self._sources = store, settings, tokens, sources

    def _doubts(self) -> Application:
        api = DoubtsApi(self._store, self._tokens, self._sources(), self._settings.time_zone, "")
        return Application(api.routes(), self._store, self._settings)

    def chunks(self, path: str, query: Query) -> Iterator[bytes]:
        application = self._doubts() if path.startswith("/api/doubts") else self._record
        started: list[str] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": urlencode(query),
            "HTTP_AUTHORIZATION": f"Bearer {self._token}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            started.append(status)

        return _checked(application(environ, start_response), lambda: int(started[0][:3]))


class _Remote:
    """The API of a running hub."""

    def __init__(self, url: str, token: str | None) -> None:
        parts = parse(url, "--url")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token

    def chunks(self, path: str, query: Query) -> Iterator[bytes]:
        url = f"{self._base}{path}" + (f"?{urlencode(query)}" if query else "")
        request = urllib.request.Request(url)  # noqa: S310 - the scheme was looked at
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            answer = urllib.request.urlopen(request, timeout=_TIMEOUT)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                return _checked([error.read()], lambda status=error.code: status)  # type: ignore[misc]
        except (OSError, HTTPException, ValueError) as error:
            raise _Failed(f"{self._base} cannot be asked: {_said(error)}") from None
        return _read(answer, self._base)


def _read(answer: Any, base: str) -> Iterator[bytes]:
    with answer:
        try:
            while piece := answer.read(_PIECE):
                yield piece
        except (OSError, HTTPException) as error:
            raise _Failed(f"{base}: the answer broke off: {_said(error)}") from None


def _said(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _checked(body: Iterable[bytes], status_of: Callable[[], int]) -> Iterator[bytes]:
    """The pieces of an answer. Raises Refused for a refusal."""
    status = status_of()
    if status == 200:
        return iter(body)
    whole = b"".join(body)
    try:
        told = json.loads(whole)
        sentence, details = str(told["error"]), told.get("details")
    except (ValueError, TypeError, KeyError):
        sentence, details = f"The answer was {status}, and not a hub's", None
    raise Refused(f"{sentence} ({details})" if details else sentence)
