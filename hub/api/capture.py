"""Captures: what is posted to a secret URL is kept as it came, and answered 202."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from hub.api.route import Route
from hub.domain.captures import MOST_REQUESTS, Capture
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import digest
from hub.errors import CaptureFull, NotFound, Refused, StoreConflict, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.request import headers_of
from hub.store import captures
from hub.store.store import Store
from hub.wire.body import read_body

_log = logging.getLogger(__name__)

PATH = "/api/capture"


class CaptureApi:
    """The captures of a hub. ``body_limit`` is in bytes."""

    def __init__(self, store: Store, body_limit: int) -> None:
        self._store = store
        self._body_limit = body_limit

    def routes(self) -> Iterator[Route]:
        """The secret URL of each capture."""
        yield Route("POST", f"{PATH}/<token>", self._take)

    def _take(self, environ: Mapping[str, Any], token: str) -> Answer:
        """Keep a request, if ``token`` is that of an open capture."""
        try:
            capture = self._keep(environ, token)
        except Refused as refused:
            return answers.refusal(refused)
        except (StoreConflict, StoreUnavailable):
            if self._store.in_batch:
                raise
            return answers.unavailable()
        return answers.answer(
            202,
            {
                "success": True,
                "message": "Captured; nothing was recorded",
                "capture": capture.id,
                "expires_at": format_utc(capture.expires_at),
            },
        )

    def _keep(self, environ: Mapping[str, Any], token: str) -> Capture:
        """The capture as it was before this request."""
        # Before the transaction: a body may come slowly, and all writers would wait for it.
        body = read_body(environ, self._body_limit)
        now = utc_now()
        with self._store.writing() as tx:
            capture = captures.by_token(tx, digest(token))
            if capture is None or capture.expires_at <= now:
                raise NotFound("Not found", "There is no such capture, or it has expired")
            if capture.requests >= MOST_REQUESTS:
                raise CaptureFull(MOST_REQUESTS)
            captures.keep(tx, capture.id, now, headers_of(environ), body)
            number = capture.requests + 1
            tx.when_committed(
                lambda: _log.info("captured request %d of capture %d", number, capture.id)
            )
        return capture
