"""Twilio: a text message "here Weekly Meeting" from a phone that belongs to a student.

Format: twilio.com/docs, "Twilio's request to your Webhook URL" and "Webhooks security".
"""

from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from hub import (
    FORM,
    CheckIn,
    Happened,
    Hmac,
    Identifier,
    Ignore,
    Operation,
    Reply,
    Source,
    hookimpl,
)
from hub_plugins.chat import event_in, sentence

SIGNATURE = Hmac(
    "twilio",
    "X-Twilio-Signature",
    signed="{url}{form:sorted}",
    algorithm="sha1",
    encoding="base64",
)


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    event = event_in(payload["Body"])
    if not event:
        yield Ignore(reason="The message does not say: here, and the name of an event")
    else:
        phone = Identifier("phone", payload["From"])
        yield CheckIn(student=phone, event=event, repeatable=True)


def reply(happened: Happened) -> Reply:
    # Twilio sends on what TwiML says; of any other status it tells its own console alone.
    message = f"<Message>{escape(sentence(happened))}</Message>"
    xml = f'<?xml version="1.0" encoding="UTF-8"?><Response>{message}</Response>'
    return Reply(xml, content_type="text/xml; charset=utf-8")


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="twilio",
        path="twilio",
        authenticate=SIGNATURE,
        body=FORM,
        reply=reply,
        schema="https://attendance-hub.example/schemas/catalogue/twilio.json",
        delivery_key=lambda payload: str(payload["MessageSid"]),
        normalize=normalize,
    )
