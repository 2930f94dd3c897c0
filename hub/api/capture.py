"""Captures: what is posted to a secret URL is kept as it came, and answered 202."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import datetime
from typing import TYPE_CHECKING, Any

from hub.domain.captures import MOST_REQUESTS, Capture, digest
from hub.domain.timestamps import format_utc, utc_now
from hub.errors import CaptureFull, NotFound, Refused, StoreConflict, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.pipeline import HEADERS, headers_of
from hub.store import captures
from hub.store.transaction import Queries
from hub.wire.body import read_body

if TYPE_CHECKING:
    from hub.http.app import Hub

_log = logging.getLogger(__name__)

PATH = "/api/capture"


class CaptureApi:
    """The captures of a hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def take(self, environ: Mapping[str, Any], token: str) -> Answer:
        """Keep a request, if ``token`` is that of an open capture."""
        try:
            capture, number = self._keep(environ, token)
        except Refused as refused:
            return answers.refusal(refused)
        except (StoreConflict, StoreUnavailable):
            if self._hub.store.in_batch:
                raise
            return answers.unavailable()
        _log.info("captured request %d of capture %d", number, capture.id)
        return answers.answer(
            202,
            {
                "success": True,
                "message": "Captured; nothing was recorded",
                "capture": capture.id,
                "expires_at": format_utc(capture.expires_at),
            },
        )

    def _keep(self, environ: Mapping[str, Any], token: str) -> tuple[Capture, int]:
        now = utc_now()
        store = self._hub.store
        # Before the transaction: a body may come slowly, and all writers would wait for it.
        with nullcontext() if store.in_batch else store.reading() as reader:
            if reader is not None:
                _open(reader, token, now)
        body = read_body(environ, self._hub.settings.body_limit)
        with store.writing() as tx:
            capture = _open(tx, token, now)
            headers = environ.get(HEADERS) or headers_of(environ)
            captures.keep(tx, capture.id, now, headers, body)
        return capture, capture.requests + 1


def _open(queries: Queries, token: str, now: datetime) -> Capture:
    """The capture of a token, if it takes requests."""
    capture = captures.by_token(queries, digest(token))
    if capture is None or capture.expires_at <= now:
        raise NotFound("Not found", "There is no such capture, or it has expired")
    if capture.requests >= MOST_REQUESTS:
        raise CaptureFull(MOST_REQUESTS)
    return capture
