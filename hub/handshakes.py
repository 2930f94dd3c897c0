"""The handshakes of well-known senders, for ``Source.handshakes``.

A sender asks before it sends, whether somebody is there who meant to be asked. What is asked comes back
as text or JSON that no browser takes for a page.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any

from hub.plugin.sender import Handshake, Reply
from hub.wire.request import Place, Request

_LONGEST = 1000
_TOKEN = re.compile(r"[A-Za-z0-9_=+/-]{1,100}")
_PLAIN = re.compile(r"[\x20-\x7e]+")


def _asked(request: Request, place: str) -> str | None:
    """What a place has, if it is short and of printable ASCII."""
    value = Place.of(place).in_(request)
    if value is None or len(value) > _LONGEST or not _PLAIN.fullmatch(value):
        return None
    return value


def _is(request: Request, member: str, value: Any) -> bool:
    """Whether the body is a JSON object in which a member has this value."""
    if not request.body.lstrip().startswith(b"{") or len(request.body) > 10 * _LONGEST:
        return False
    if isinstance(value, str) and value.encode() not in request.body:
        return False  # nearly every delivery: it is not read twice
    found = request.json.get(member)
    return type(found) is type(value) and bool(found == value)


def _zoom(request: Request, secrets: Sequence[str]) -> Reply | None:
    if not _is(request, "event", "endpoint.url_validation"):
        return None
    token = _asked(request, "json:/payload/plainToken")
    # Nothing that could stand for a body, or for what is signed of one.
    if token is None or not secrets or not _TOKEN.fullmatch(token):
        return None
    digest = hmac.new(secrets[0].encode(), token.encode(), hashlib.sha256).hexdigest()
    return Reply.json({"plainToken": token, "encryptedToken": digest})


def _slack(request: Request, secrets: Sequence[str]) -> Reply | None:
    if not _is(request, "type", "url_verification"):
        return None
    challenge = _asked(request, "json:/challenge")
    return None if challenge is None else Reply.json({"challenge": challenge})


def _graph(request: Request, secrets: Sequence[str]) -> Reply | None:
    token = _asked(request, "query:validationToken")
    return None if token is None else Reply(token)


def _discord(request: Request, secrets: Sequence[str]) -> Reply | None:
    return Reply.json({"type": 1}) if _is(request, "type", 1) else None


def _meta(request: Request, secrets: Sequence[str]) -> Reply | None:
    if _asked(request, "query:hub.mode") != "subscribe":
        return None
    given = _asked(request, "query:hub.verify_token") or ""
    challenge = _asked(request, "query:hub.challenge")
    matches = [hmac.compare_digest(secret.encode(), given.encode()) for secret in secrets]
    if challenge is None or not any(matches):
        return Reply("The verify token is none of the secrets", 403)
    return Reply(challenge)


def _event_grid(request: Request, secrets: Sequence[str]) -> Reply | None:
    if request.headers.get("aeg-event-type", "").lower() != "subscriptionvalidation":
        return None
    code = _asked(request, "json:/0/data/validationCode")
    return None if code is None else Reply.json({"validationResponse": code})


def _slack_ssl(request: Request, secrets: Sequence[str]) -> Reply | None:
    is_check = "1" in (_asked(request, "query:ssl_check"), _asked(request, "form:ssl_check"))
    return Reply("") if is_check else None


ZOOM = Handshake(_zoom, signed=True)
"""``endpoint.url_validation``: an HMAC of its token (Zoom, "Validate your webhook endpoint")."""

SLACK = Handshake(_slack, signed=True)
"""``url_verification``: its challenge (Slack, "The Events API")."""

SLACK_SSL = Handshake(_slack_ssl, methods=("POST", "GET"))
"""``ssl_check``, which looks at the certificate alone and is not signed (Slack, "Slash commands")."""

GRAPH = Handshake(_graph, methods=("POST", "GET"))
"""``validationToken``, as text (Microsoft Graph, "Receive change notifications through webhooks")."""

DISCORD = Handshake(_discord, signed=True)
"""A PING: ``{"type": 1}`` (Discord, "Receiving and responding to interactions")."""

META = Handshake(_meta, methods=("GET",))
"""``hub.challenge``, where ``hub.verify_token`` is one of the secrets (Meta, "Webhooks"; also WebSub)."""

EVENT_GRID = Handshake(_event_grid)
"""A ``SubscriptionValidationEvent``: its code (Azure Event Grid, "Endpoint validation")."""

KNOWN = (ZOOM, SLACK, SLACK_SSL, GRAPH, DISCORD, META, EVENT_GRID)
"""All of them."""
