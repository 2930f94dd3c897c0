"""Several requests through one WSGI application in one transaction, each answered on its own."""

import io
import logging
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from hub.domain.delivery import new_delivery_id
from hub.errors import FAULTS, StoreUnavailable
from hub.http.app import Application
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.request import DELIVERY_ID

_log = logging.getLogger(__name__)


class Request(NamedTuple):
    """A request whose body has arrived: a WSGI environ without its input, and the body.

    Its delivery id is in the environ (``hub.intake.request``), to be the same if it goes again.
    """

    environ: dict[str, Any]
    body: bytes


class Response(NamedTuple):
    """An answer that may be sent. ``rest`` is what follows of a body that is made as it is sent."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    rest: Iterator[bytes] | None = None


def run(application: Application, requests: Sequence[Request]) -> list[Response]:
    """Answer all the requests; what they record is committed before this returns.

    They share one transaction. Should it fail, for whatever reason, each goes again, alone, so that
    no delivery suffers from another's fault. (A store that was just found unavailable is not asked
    again: they are answered 503 at once.) Where it may be committed all the same, none goes again.
    """
    if len(requests) > 1:
        try:
            with application.store.batch():
                return [_call(application, request) for request in requests]
        except FAULTS as error:
            if isinstance(error, StoreUnavailable) and error.may_be_recorded:
                _log.error("a batch of %d was lost in the commit: %s", len(requests), error)
                return [_lost(request) for request in requests]
            _log.warning("a batch of %d is taken one by one: %s", len(requests), _named(error))
    return [_call(application, request) for request in requests]


def _lost(request: Request) -> Response:
    """The answer to one of whom nobody knows whether it is recorded."""
    delivery = request.environ.get(DELIVERY_ID) or new_delivery_id()
    return response_of(answers.unavailable(may_be_recorded=True), delivery)


def response_of(answer: Answer, delivery: str) -> Response:
    """An answer that does not come from the application, to the delivery of that id."""
    body = answer.body.encode()
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        *answer.of_delivery(delivery).headers.items(),
    ]
    return Response(answer.status, headers, body)


def _named(error: BaseException) -> str:
    """What kind of error it was; not its text, which may name a person."""
    return type(error).__name__


def begin(application: Application, request: Request) -> Response:
    """Answer one request; a file is not read to its end."""
    return _call(application, request, whole=False)


def _call(application: Application, request: Request, whole: bool = True) -> Response:
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        started[:] = [int(status[:3]), headers]

    # Bottle writes to the environ; the request may have to go again.
    environ = {**request.environ, "wsgi.input": io.BytesIO(request.body)}
    body = application(environ, start_response)
    if whole or isinstance(body, list):
        return Response(started[0], started[1], b"".join(body))
    return Response(started[0], started[1], b"", iter(body))
