"""Captures in the store: opened, filled, and removed when their time is over."""

import json
from datetime import datetime

from hub.domain.captures import Capture, CapturedRequest
from hub.domain.request_line import RequestLine, joined
from hub.store.transaction import Transaction

OPEN = "INSERT INTO capture (token, opened_at, expires_at) VALUES (?, ?, ?) RETURNING id"
BY_TOKEN = """
    SELECT c.id, c.opened_at, c.expires_at,
        (SELECT count(*) FROM captured_request r WHERE r.capture = c.id) AS requests
    FROM capture c WHERE c.token = ?"""
KEEP = """
    INSERT INTO captured_request (capture, received_at, headers, body) VALUES (?, ?, ?, ?)"""
REMOVE_REQUEST = "DELETE FROM captured_request WHERE id = ?"
REMOVE_REQUESTS = """
    DELETE FROM captured_request
    WHERE capture IN (SELECT c.id FROM capture c WHERE c.expires_at < ?)"""
REMOVE = "DELETE FROM capture WHERE expires_at < ?"


def open_(tx: Transaction, token: str, now: datetime, expires_at: datetime) -> int:
    """The id of a new capture. ``token`` is the digest of its token."""
    return tx.insert(OPEN, token, now, expires_at)


def by_token(tx: Transaction, token: str) -> Capture | None:
    """The capture whose token has this digest, open or not."""
    row = tx.row(BY_TOKEN, token)
    if row is None:
        return None
    identifier, opened_at, expires_at, count = row
    return Capture(identifier, tx.moment(opened_at), tx.moment(expires_at), count)


def keep(tx: Transaction, capture: int, request: CapturedRequest) -> None:
    """Keep a request."""
    line = RequestLine(request.method, request.path, request.query)
    told = dict(joined(request.headers, line))
    tx.run(KEEP, capture, request.received_at, json.dumps(told, ensure_ascii=False), request.body)


def remove_request(tx: Transaction, identifier: int) -> None:
    """Remove what was taken."""
    tx.run(REMOVE_REQUEST, identifier)


def remove_ended(tx: Transaction, before: datetime) -> None:
    """Remove the captures that ended before a moment, with what they have taken."""
    tx.run(REMOVE_REQUESTS, before)
    tx.run(REMOVE, before)
