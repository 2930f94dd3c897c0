"""Every committed check-in is posted on to other systems, signed as Standard Webhooks has it.

A URL gets ``{"type": "attendance.created", "timestamp": …, "data": …}`` with the headers ``webhook-id``
(the same each time that a check-in is sent), ``webhook-timestamp`` and ``webhook-signature``
(standardwebhooks.com). Anything but 2xx, and silence for ten seconds, is tried again later.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from standardwebhooks.webhooks import Webhook

from hub import (
    STANDARD_WEBHOOKS,
    CommittedCheckIn,
    NotDelivered,
    Target,
    __version__,
    format_utc,
    hookimpl,
    setting,
)

TIMEOUT = 10
"""Seconds that a URL may take to accept a connection, and between two parts of its answer."""


_SHORTEST_SECRET = 32
"""Characters of Base64: 24 bytes (Standard Webhooks, "Signature scheme")."""


@dataclass(frozen=True)
class Settings:
    urls: Mapping[str, str] = setting("Where check-ins are posted: a URL by a name of your choice")
    secrets: Mapping[str, str] = setting("What is signed with, by that name", {}, secret=True)


class _NoRedirects(HTTPRedirectHandler):
    """A redirected webhook is not delivered (Standard Webhooks, "Delivery")."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""
        return


_OPENER = build_opener(_NoRedirects)


def message(check_in: CommittedCheckIn) -> dict[str, Any]:
    """What is posted of a check-in."""
    student, event, attendance = check_in.student, check_in.event, check_in.attendance
    checked_out_at = attendance.checked_out_at
    return {
        "type": "attendance.created",
        "timestamp": format_utc(attendance.checked_in_at),
        "data": {
            "attendance_id": attendance.id,
            "checked_in_at": format_utc(attendance.checked_in_at),
            "checked_out_at": format_utc(checked_out_at) if checked_out_at else None,
            "student": {
                "id": student.id,
                "identifier": student.a_number,
                "email": student.email,
                "name": student.name,
            },
            "event": {
                "id": event.id,
                "name": event.name,
                "date": event.date.isoformat(),
                "starts_at": format_utc(event.starts_at),
            },
            "source": check_in.source,
            "delivery": check_in.delivery,
        },
    }


def send(url: str, secret: str, check_in: CommittedCheckIn) -> None:
    """Post a check-in to a URL. Raises NotDelivered."""
    body = json.dumps(message(check_in), ensure_ascii=False)
    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"attendance-hub/{__version__}",
        "webhook-id": check_in.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(check_in.id, now, body),
    }
    request = Request(url, body.encode(), headers, method="POST")
    try:
        with _OPENER.open(request, timeout=TIMEOUT):
            pass  # its status was 2xx; what else it says does not matter
    except HTTPError as error:
        with error:
            raise NotDelivered(f"it answered {error.code}", _retry_after(error)) from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise NotDelivered(f"it cannot be reached: {type(reason).__name__}") from None


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is not a number
        return False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    return is_whole and is_plain and parts.username is None and ".." not in (parts.hostname or "")


def _retry_after(error: HTTPError) -> float | None:
    text = error.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


@hookimpl
def register_targets(settings: Settings) -> Iterable[Target]:
    if unknown := set(settings.secrets) - set(settings.urls):
        raise ValueError(f"plugin.forward.secrets: {min(unknown)} is the name of no URL")
    for name, url in settings.urls.items():
        if not _is_url(url):
            raise ValueError(
                f"plugin.forward.urls: {name} is no http:// or https:// URL of ASCII, without a user"
            )
        if name not in settings.secrets:
            raise ValueError(
                f"plugin.forward.secrets: there is no secret for {name}; set HUB_PLUGIN_FORWARD_SECRETS="
                f"{name}=whsec_…, made with: openssl rand -base64 24"
            )
        try:
            STANDARD_WEBHOOKS.check_secret(settings.secrets[name])
        except ValueError as error:
            raise ValueError(f"plugin.forward.secrets: {name}: {error}") from None
        if len(settings.secrets[name].removeprefix("whsec_")) < _SHORTEST_SECRET:
            raise ValueError(
                f"plugin.forward.secrets: {name} has less than 24 bytes; make one with: "
                "openssl rand -base64 24"
            )
        yield Target(name=name, send=partial(send, url, settings.secrets[name]))
