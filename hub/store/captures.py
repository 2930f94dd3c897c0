"""Captures in the store: opened, found by their token, filled, and removed when their time is over."""

import json
from collections.abc import Mapping
from datetime import datetime

from hub.domain.captures import Capture, CapturedRequest
from hub.store.transaction import Queries, Row, Transaction

_CAPTURE = """
    SELECT c.id, c.opened_at, c.expires_at,
        (SELECT count(*) FROM captured_request r WHERE r.capture = c.id) AS requests
    FROM capture c"""
OPEN = "INSERT INTO capture (token, opened_at, expires_at) VALUES (?, ?, ?) RETURNING id"
BY_TOKEN = f"{_CAPTURE} WHERE c.token = ?"
BY_ID = f"{_CAPTURE} WHERE c.id = ?"
ALL = f"{_CAPTURE} ORDER BY c.id"
KEEP = """
    INSERT INTO captured_request (capture, received_at, headers, body) VALUES (?, ?, ?, ?)
    RETURNING id"""
REQUESTS = """
    SELECT id, received_at, headers, body FROM captured_request WHERE capture = ? ORDER BY id"""
ALL_REQUESTS = "SELECT id, received_at, headers, body FROM captured_request ORDER BY id"
REMOVE_REQUEST = "DELETE FROM captured_request WHERE id = ?"
REMOVE_REQUESTS = """
    DELETE FROM captured_request
    WHERE capture IN (SELECT c.id FROM capture c WHERE c.expires_at < ?)"""
REMOVE = "DELETE FROM capture WHERE expires_at < ?"


def open_(tx: Transaction, token: str, now: datetime, expires_at: datetime) -> int:
    """The id of a new capture. ``token`` is the digest of its token."""
    return tx.insert(OPEN, token, now, expires_at)


def by_token(queries: Queries, token: str) -> Capture | None:
    """The capture whose token has this digest, open or not."""
    row = queries.row(BY_TOKEN, token)
    return _capture(queries, row) if row else None


def by_id(queries: Queries, identifier: int) -> Capture | None:
    """A capture, open or not."""
    row = queries.row(BY_ID, identifier)
    return _capture(queries, row) if row else None


def every(queries: Queries) -> list[Capture]:
    """All captures, the oldest first."""
    return [_capture(queries, row) for row in queries.rows(ALL)]


def keep(
    tx: Transaction, capture: int, received_at: datetime, headers: Mapping[str, str], body: bytes
) -> int:
    """Keep a request; its id."""
    told = json.dumps(dict(headers), ensure_ascii=False)
    return tx.insert(KEEP, capture, received_at, told, body)


def requests(queries: Queries, capture: int) -> list[CapturedRequest]:
    """What a capture has taken, in order."""
    return [_request(queries, row) for row in queries.rows(REQUESTS, capture)]


def all_requests(queries: Queries) -> list[tuple[int, CapturedRequest]]:
    """What all captures have taken, with its ids."""
    return [(row[0], _request(queries, row)) for row in queries.rows(ALL_REQUESTS)]


def remove_request(tx: Transaction, identifier: int) -> None:
    """Remove what was taken."""
    tx.run(REMOVE_REQUEST, identifier)


def remove_ended(tx: Transaction, before: datetime) -> None:
    """Remove the captures that ended before a moment, with what they have taken."""
    tx.run(REMOVE_REQUESTS, before)
    tx.run(REMOVE, before)


def _capture(queries: Queries, row: Row) -> Capture:
    identifier, opened_at, expires_at, count = row
    return Capture(identifier, queries.moment(opened_at), queries.moment(expires_at), count)


def _request(queries: Queries, row: Row) -> CapturedRequest:
    return CapturedRequest(queries.moment(row[1]), json.loads(row[2]), bytes(row[3]))
