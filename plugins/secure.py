"""The secure attendance endpoint: the flat payload, signed with ``X-Webhook-Signature``."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import WEBHOOK_SIGNATURE, CheckIn, Source, hookimpl, payloads


def normalize(payload: Mapping[str, Any]) -> Iterator[CheckIn]:
    yield payloads.check_in(payload, payload)


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="secure",
        path="attendance/secure",
        authenticate=WEBHOOK_SIGNATURE,
        keep_headers=("user-agent",),
        schema="https://attendance-hub.example/schemas/attendance/attendance.json",
        normalize=normalize,
        label="webhook",
        example={"student_identifier": "A00000000", "event_identifier": "Weekly Meeting"},
    )
