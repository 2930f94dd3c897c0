"""What the commands that change the record post to: a running hub, or a hub over the store."""

import io
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlencode

from hub.cli.address import parse
from hub.config.settings import Settings
from hub.errors import HubError, Refused, SettingError
from hub.http.app import Application

if TYPE_CHECKING:
    from hub.hub import Hub
    from hub.jobs.imports import Imports

_TIMEOUT = 600
DESK = "/api/webhook/desk/"
JSON = "application/json"


class Failed(HubError):
    """A running hub could not be asked."""


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
        yield _Remote(url, token)
        return
    if token is not None:
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
    return _Local(hub)


def desk(hub: Writing, action: str, data: Mapping[str, Any], reason: str | None) -> Any:
    """What the desk answers to an action."""
    payload = {"action": action, "data": dict(data), "reason": reason}
    return hub.post(DESK, json.dumps(payload).encode())


class _Local:
    def __init__(self, hub: "Hub") -> None:
        self.imports: Imports | None = hub.imports
        self._token = hub.settings.admin_token
        self._application = Application(hub.routes, hub.store, hub.settings)

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = JSON,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        started: list[str] = []
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": urlencode(query or {}, doseq=True),
            "CONTENT_TYPE": content_type,
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "HTTP_AUTHORIZATION": f"Bearer {self._token}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            started.append(status)

        whole = b"".join(self._application(environ, start_response))
        return _checked(int(started[0][:3]), whole)


class _Remote:
    def __init__(self, url: str, token: str | None) -> None:
        parts = parse(url, "--url")
        self.imports: Imports | None = None
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token

    def post(
        self,
        path: str,
        body: bytes,
        content_type: str = JSON,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        url = f"{self._base}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        request = urllib.request.Request(url, body, method="POST")  # noqa: S310 - looked at
        request.add_header("Content-Type", content_type)
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                return _checked(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _checked(error.code, error.read())
        except (OSError, HTTPException, ValueError) as error:
            said = str(getattr(error, "reason", None) or error or type(error).__name__)
            raise Failed(f"{self._base} cannot be asked: {said}") from None


def _checked(status: int, whole: bytes) -> Any:
    try:
        told = json.loads(whole)
    except ValueError:
        told = {}
    if 200 <= status < 300 and isinstance(told, dict):
        return told
    if not isinstance(told, dict) or "error" not in told:
        raise Refused(f"The answer was {status}, and not a hub's")
    details = told.get("details")
    if told.get("errors"):
        details = "; ".join(f"{one['pointer']} {one['message']}" for one in told["errors"])
    sentence = str(told["error"])
    raise Refused(f"{sentence} ({details})" if details else sentence)
