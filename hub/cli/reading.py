"""What the commands that read the record ask: the API of a running hub, or the same over a store."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import quote

from hub.api.doubts import DoubtsApi
from hub.api.record import RecordApi
from hub.api.reports import ReportsApi
from hub.cli.asking import Local, Query, Remote
from hub.cli.options import is_given
from hub.cli.store import existing_store
from hub.config.settings import Settings
from hub.errors import SettingError
from hub.http.app import Application
from hub.intake.tokens import Tokens
from hub.record.doubts import Sources
from hub.store.store import Store

_TIMEOUT = 60


class Reading(Protocol):
    """The record, by the paths of the API. What is refused is raised as Refused."""

    def chunks(self, path: str, query: Query) -> Iterator[bytes]:
        """What there is at a path, piece by piece."""


def no_sources() -> Sources:
    """None, for what does not ask for them."""
    return Sources((), ())


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
    if is_given(token):
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
        return Local(application, self._token).ask(path, query)


class _Remote:
    """The API of a running hub."""

    def __init__(self, url: str, token: str | None) -> None:
        self._hub = Remote(url, token, _TIMEOUT)

    def chunks(self, path: str, query: Query) -> Iterator[bytes]:
        return self._hub.ask(path, query)
