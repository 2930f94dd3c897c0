"""Captures: requests of a system that has no source yet; headers and body are kept for a while."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_REQUESTS = 100
"""Requests that one capture takes."""

KEPT_FOR = timedelta(days=1)
"""How long what was captured is kept after the capture has ended."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A secret URL that takes requests until it expires. Moments are naive and in UTC."""

    id: int
    opened_at: datetime
    expires_at: datetime
    requests: int


@dataclass(frozen=True, slots=True)
class CapturedRequest:
    """What is kept of a request: its headers, names in lower case and nothing removed, its raw body, its
    method, its path as its sender has it, and its query.

    ``received_at`` is naive and in UTC.
    """

    received_at: datetime
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    path: str = ""
    query: str = ""


def new_token() -> str:
    """The part of a capture's URL that nobody can guess."""
    return secrets.token_urlsafe(24)
