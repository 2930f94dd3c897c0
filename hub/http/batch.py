"""Several requests through one WSGI application in one transaction, each answered on its own."""

import io
import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from hub.errors import FAULTS
from hub.http.app import Application

_log = logging.getLogger(__name__)


class Request(NamedTuple):
    """A request whose body has arrived: a WSGI environ without its input, and the body.

    Its delivery id is in the environ (``hub.intake.request``), to be the same if it goes again.
    """

    environ: dict[str, Any]
    body: bytes


class Response(NamedTuple):
    """An answer that may be sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def run(application: Application, requests: Sequence[Request]) -> list[Response]:
    """Answer all the requests; what they record is committed before this returns.

    They share one transaction. Should it fail, for whatever reason, each goes again, alone, so that
    no delivery suffers from another's fault. (A store that was just found unavailable is not asked
    again: they are answered 503 at once.)
    """
    if len(requests) > 1:
        try:
            with application.store.batch():
                return [_call(application, request) for request in requests]
        except FAULTS as error:
            _log.warning("a batch of %d is taken one by one: %s", len(requests), _named(error))
    return [_call(application, request) for request in requests]


def _named(error: BaseException) -> str:
    """What kind of error it was; not its text, which may name a person."""
    return type(error).__name__


def _call(application: Application, request: Request) -> Response:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [int(status[:3]), headers]

    # Bottle writes to the environ; the request may have to go again.
    environ = {**request.environ, "wsgi.input": io.BytesIO(request.body)}
    body = b"".join(application(environ, start_response))
    return Response(started[0], started[1], body)
