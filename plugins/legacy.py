"""The basic attendance endpoint: one flat payload, one check-in, anyone may post."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hub import OPEN, CheckIn, Source, hookimpl, payloads


def normalize(payload: Mapping[str, Any]) -> Iterator[CheckIn]:
    yield payloads.check_in(payload, payload)


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="legacy",
        path="attendance",
        authenticate=OPEN,
        keep_headers=("user-agent",),
        schema="https://attendance-hub.example/schemas/attendance/attendance.json",
        normalize=normalize,
        label="webhook",
        example={"student_identifier": "A00000000", "event_identifier": "Weekly Meeting"},
    )
