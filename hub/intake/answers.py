"""Answers: a status and a JSON body. What a source says of success is its own (``Source.answer``)."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, NamedTuple

from hub.errors import Refused

RETRY_AFTER = 2
"""Seconds after which a sender should try again when the store could not take a delivery."""


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class Answer(NamedTuple):
    """An HTTP answer with a JSON body, ready to send and to keep."""

    status: int
    body: str
    headers: Mapping[str, str] = MappingProxyType({})

    def of_delivery(self, identifier: str) -> "Answer":
        """The same answer with the id of its delivery."""
        return Answer(self.status, self.body, {**self.headers, "X-Delivery-Id": identifier})


def answer(status: int, body: Mapping[str, Any], **headers: str) -> Answer:
    """An answer with ``body`` as JSON. Raises ValueError or TypeError for what JSON cannot tell."""
    return Answer(status, _ENCODER.encode(body if type(body) is dict else dict(body)), headers)


def of_reply(status: int, content_type: str, body: str) -> Answer:
    """An answer in a source's own words, which no browser takes for anything else."""
    headers = {"Content-Type": content_type, "X-Content-Type-Options": "nosniff"}
    return Answer(status, body, headers)


def with_objects(answer: Answer, delivery: str, objects: Mapping[str, Any]) -> Answer:
    """An answer of success with the id of its delivery, and what it is about as the API shows it."""
    body = json.loads(answer.body)
    told = {name: body.pop(name) for name in ("success", "message") if name in body}
    body = {**told, "delivery": delivery, **objects, **body}
    return answer._replace(body=_ENCODER.encode(body))


def refusal(refused: Refused) -> Answer:
    """The answer to a refused request."""
    body: dict[str, Any] = {"error": refused.error}
    if refused.details is not None:
        body["details"] = refused.details
    if refused.errors:
        body["errors"] = [asdict(violation) for violation in refused.errors]
    return answer(refused.status, body, **refused.headers)


def unavailable(may_be_recorded: bool = False) -> Answer:
    """The answer while the store, or the hub, cannot take a delivery; or may have, but was lost before it
    could say so.
    """
    known = "It may have been recorded" if may_be_recorded else "Nothing was recorded"
    body = {
        "error": "Temporarily unavailable",
        "details": f"{known}; send the same delivery again",
    }
    return answer(503, body, **{"Retry-After": str(RETRY_AFTER)})


def failure(delivery: str) -> Answer:
    """The answer to what nobody foresaw: an id to quote, and nothing of the inside."""
    body = {"error": "Internal server error", "details": f"Quote delivery {delivery}"}
    return answer(500, body)
