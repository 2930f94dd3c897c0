"""What the commands that change the record post to: a running hub, or a hub over the store."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from hub.cli.asking import Local, Remote
from hub.cli.options import is_given
from hub.config.settings import Settings
from hub.errors import SettingError
from hub.http.app import Application

if TYPE_CHECKING:
    from hub.hub import Hub
    from hub.jobs.imports import Imports

_TIMEOUT = 600
DESK = "/api/webhook/desk/"
JSON = "application/json"


class Writing(Protocol):
    """A hub that takes what is posted. What is refused is raised as Refused."""

    imports: "Imports | None"
    """What imports by itself, where it is a hub over the store."""

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = JSON,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """The body of the answer to what is posted to a path."""


@contextmanager
def writing(settings: Settings, url: str | None, token: str | None) -> Iterator[Writing]:
    """The hub at ``url``, else one over the store of the settings."""
    if url is not None:
        yield _Hub(Remote(url, token, _TIMEOUT), None)
        return
    if is_given(token):
        raise SettingError("--token is for --url: the store asks for none")
    with opened(settings) as hub:
        yield over(hub)
        if settings.apply_waiting:
            hub.upkeep.apply_waiting()


@contextmanager
def opened(settings: Settings) -> "Iterator[Hub]":
    """A hub over the store of the settings, with a token of its own."""
    from hub.hub import Hub  # most commands do without

    hub = Hub(replace(settings, admin_token=secrets.token_hex(16)), create_store=False)
    try:
        yield hub
    finally:
        hub.close()


def over(hub: "Hub") -> Writing:
    """What posts to a hub in this process, which was ``opened``."""
    application = Application(hub.routes, hub.store, hub.settings)
    return _Hub(Local(application, hub.settings.admin_token), hub.imports)


def desk(hub: Writing, action: str, data: Mapping[str, Any], reason: str | None) -> Any:
    """What the desk answers to an action."""
    payload = {"action": action, "data": dict(data), "reason": reason}
    return hub.post(DESK, json.dumps(payload).encode())


class _Hub:
    """A hub that is asked in one of both ways."""

    def __init__(self, hub: Local | Remote, imports: "Imports | None") -> None:
        self._hub = hub
        self.imports = imports

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = JSON,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        return json.loads(b"".join(self._hub.ask(path, query or {}, body, content_type)))
