"""Requests of commands: to a running hub, or to its application over a store, in this process."""

import io
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPException
from typing import Any
from urllib.parse import unquote, urlencode

from hub.cli.address import parse
from hub.errors import HubError, Refused
from hub.http.app import Application

_PIECE = 64 * 1024

Query = Mapping[str, Any]


class Failed(HubError):
    """A running hub could not be asked."""


class Local:
    """An application in this process. ``token`` opens it."""

    def __init__(self, application: Application, token: str) -> None:
        self._application = application
        self._token = token

    def ask(
        self, path: str, query: Query, body: bytes | None = None, content_type: str = ""
    ) -> Iterator[bytes]:
        """The answer of success, piece by piece, to what is posted, or asked for (None). What is refused
        is raised as Refused.
        """
        started: list[str] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET" if body is None else "POST",
            "PATH_INFO": unquote(path).encode().decode("latin-1"),
            "QUERY_STRING": urlencode(query, doseq=True),
            "HTTP_AUTHORIZATION": f"Bearer {self._token}",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "wsgi.url_scheme": "http",
        }
        if body is not None:
            environ["CONTENT_TYPE"] = content_type
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["wsgi.input"] = io.BytesIO(body)

        def start_response(status: str, headers: Any, exc_info: Any = None) -> None:
            started.append(status)

        pieces = self._application(environ, start_response)
        return _checked(int(started[0][:3]), pieces)


class Remote:
    """A running hub. It is waited for as many seconds as ``timeout`` says."""

    def __init__(self, url: str, token: str | None, timeout: int) -> None:
        parts = parse(url, "--url")
        self._base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token
        self._timeout = timeout

    def ask(
        self, path: str, query: Query, body: bytes | None = None, content_type: str = ""
    ) -> Iterator[bytes]:
        """As for ``Local``. Raises Failed where there is no hub, or the answer breaks off."""
        url = f"{self._base}{path}" + (f"?{urlencode(query, doseq=True)}" if query else "")
        request = urllib.request.Request(url, body)  # noqa: S310 - the scheme was looked at
        if body is not None:
            request.add_header("Content-Type", content_type)
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            answer = urllib.request.urlopen(request, timeout=self._timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            with error:
                return _checked(error.code, [error.read()])
        except (OSError, HTTPException, ValueError) as error:
            raise Failed(f"{self._base} cannot be asked: {_said(error)}") from None
        return self._read(answer)

    def _read(self, answer: Any) -> Iterator[bytes]:
        with answer:
            try:
                while piece := answer.read(_PIECE):
                    yield piece
            except (OSError, HTTPException) as error:
                raise Failed(f"{self._base}: the answer broke off: {_said(error)}") from None


def _said(error: Exception) -> str:
    return str(getattr(error, "reason", None) or error or type(error).__name__)


def _checked(status: int, body: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of an answer. Raises Refused for a refusal."""
    if 200 <= status < 300:
        return iter(body)
    whole = b"".join(body)
    try:
        told = json.loads(whole)
        sentence, details = str(told["error"]), told.get("details")
        errors = told.get("errors") or ()
    except (ValueError, TypeError, KeyError, AttributeError):
        sentence, details, errors = f"The answer was {status}, and not a hub's", None, ()
    if errors:
        details = "; ".join(f"{one['pointer']} {one['message']}" for one in errors)
    raise Refused(f"{sentence} ({details})" if details else sentence)
