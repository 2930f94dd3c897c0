"""Slack: members of a workspace write /here Weekly Meeting.

Format: api.slack.com, "Enabling interactivity with Slash Commands" and "Verifying requests from Slack".
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import (
    FORM,
    CheckIn,
    Happened,
    Hmac,
    Identifier,
    Operation,
    Reply,
    Source,
    handshakes,
    hookimpl,
)
from hub_plugins.chat import sentence

SIGNATURE = Hmac(
    "slack",
    "X-Slack-Signature",
    value="v0={sig}",
    signed="v0:{header:X-Slack-Request-Timestamp}:{body}",
    timestamp="X-Slack-Request-Timestamp",
)


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    named = payload.get("text", "").strip() or payload.get("channel_name") or payload["channel_id"]
    yield CheckIn(
        student=Identifier("slack_user", payload["user_id"]), event=named, repeatable=True
    )


def reply(happened: Happened) -> Reply:
    # Slack shows the writer nothing but an answer with the status 200.
    return Reply.json({"response_type": "ephemeral", "text": sentence(happened)})


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="slack",
        path="slack",
        authenticate=SIGNATURE,
        body=FORM,
        handshakes=(handshakes.SLACK, handshakes.SLACK_SSL),
        reply=reply,
        remove=("form:token", "form:response_url", "form:trigger_id"),
        schema="https://attendance-hub.example/schemas/catalogue/slack.json",
        called=lambda payload: () if payload.get("text", "").strip() else (payload["channel_id"],),
        delivery_key=lambda payload: None,
        normalize=normalize,
    )
