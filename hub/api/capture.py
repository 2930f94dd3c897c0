"""Captures: what is sent to a secret URL is kept as it came, and answered 202; a known handshake as its
sender has it, so that it takes the URL.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub import handshakes
from hub.api.route import Route
from hub.domain.captures import MOST_REQUESTS, Capture, CapturedRequest
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import digest
from hub.errors import CaptureFull, NotFound, Refused, StoreConflict, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.request import headers_of, request_of
from hub.plugin.source import METHODS
from hub.store import captures
from hub.store.store import Store
from hub.wire.body import read_body
from hub.wire.request import Request

_log = logging.getLogger(__name__)

PATH = "/api/capture"


class CaptureApi:
    """The captures of a hub. ``body_limit`` is in bytes; ``secrets`` are those that a handshake may need;
    ``public_url`` is the hub's address as its senders have it.
    """

    def __init__(
        self, store: Store, body_limit: int, secrets: Sequence[str] = (), public_url: str = ""
    ) -> None:
        self._store = store
        self._body_limit = body_limit
        self._secrets = tuple(secrets)
        self._public_url = public_url

    def routes(self) -> Iterator[Route]:
        """The secret URL of each capture, and all below it."""
        for method in METHODS:
            yield Route(method, f"{PATH}/<token>", self._take)
            yield Route(method, f"{PATH}/<token>/<rest:path>", self._take)

    def _take(self, environ: Mapping[str, Any], token: str, rest: str = "") -> Answer:
        """Keep a request, if ``token`` is that of an open capture."""
        if environ["REQUEST_METHOD"] == "HEAD":
            return answers.of_reply(200, "text/plain; charset=utf-8", "")
        try:
            # Before the transaction: a body may come slowly, and all writers would wait for it.
            body = read_body(environ, self._body_limit)
            request = request_of(environ, headers_of(environ), body, {}, self._public_url)
            capture = self._keep(request, token)
        except Refused as refused:
            return answers.refusal(refused)
        except (StoreConflict, StoreUnavailable):
            if self._store.in_batch:
                raise
            return answers.unavailable()
        for handshake in handshakes.KNOWN:
            if (reply := handshake.reply_to(request, self._secrets)) is not None:
                return answers.of_reply(reply.status, reply.content_type, reply.body)
        return answers.answer(
            202,
            {
                "success": True,
                "message": "Captured; nothing was recorded",
                "capture": capture.id,
                "expires_at": format_utc(capture.expires_at),
            },
        )

    def _keep(self, request: Request, token: str) -> Capture:
        """The capture as it was before this request."""
        now = utc_now()
        with self._store.writing() as tx:
            capture = captures.by_token(tx, digest(token))
            if capture is None or capture.expires_at <= now:
                raise NotFound("Not found", "There is no such capture, or it has expired")
            if capture.requests >= MOST_REQUESTS:
                raise CaptureFull(MOST_REQUESTS)
            kept = CapturedRequest(
                now, request.headers, request.body, request.method, request.path, request.query
            )
            captures.keep(tx, capture.id, kept)
            number = capture.requests + 1
            tx.when_committed(
                lambda: _log.info("captured request %d of capture %d", number, capture.id)
            )
        return capture
