"""Posting on, as Standard Webhooks has it (standardwebhooks.com)."""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from hub.errors import NotDelivered
from hub.version import __version__
from hub.wire.signatures import STANDARD_WEBHOOKS

TIMEOUT = 10
"""Seconds that a URL may take to accept a connection, and between two parts of its answer."""

_SHORTEST_SECRET = 32
"""Characters of Base64: 24 bytes ("Signature scheme")."""


def post(url: str, secret: str, identifier: str, body: str) -> None:
    """Post JSON to a URL, signed; ``identifier`` is the same each time that one thing is told.

    Anything but 2xx is not delivered. Raises NotDelivered.
    """
    # What they load takes as long as the rest of a plugin.
    import http.client
    import urllib.error
    import urllib.request

    from standardwebhooks.webhooks import Webhook

    now = datetime.now(UTC)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"attendance-hub/{__version__}",
        "webhook-id": identifier,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(identifier, now, body),
    }
    request = urllib.request.Request(url, body.encode(), headers, method="POST")  # noqa: S310
    try:
        with _opener().open(request, timeout=TIMEOUT):
            pass  # its status was 2xx; what else it says does not matter
    except urllib.error.HTTPError as error:
        with error:
            raise NotDelivered(f"it answered {error.code}", _retry_after(error)) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise NotDelivered(f"it cannot be reached: {type(reason).__name__}") from None


@cache
def _opener() -> Any:
    import urllib.request

    class NoRedirects(urllib.request.HTTPRedirectHandler):
        """A redirected webhook is not delivered ("Delivery")."""

        def redirect_request(self, *_: Any, **__: Any) -> None:
            """Follow none."""
            return

    return urllib.request.build_opener(NoRedirects)


def require_url(url: str) -> None:
    """Raise ValueError for what nothing can be posted to."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # such as a port that is not a number
        is_whole = False
    is_plain = url.isascii() and url.isprintable() and " " not in url
    if not (
        is_whole and is_plain and parts.username is None and ".." not in (parts.hostname or "")
    ):
        raise ValueError("it is no http:// or https:// URL of ASCII, without a user")


def require_secret(secret: str) -> None:
    """Raise ValueError for a secret that nothing can be signed with."""
    STANDARD_WEBHOOKS.check_secret(secret)
    if len(secret.removeprefix("whsec_")) < _SHORTEST_SECRET:
        raise ValueError("it has less than 24 bytes; make one with: openssl rand -base64 24")


def _retry_after(error: Any) -> float | None:
    text = error.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else None
