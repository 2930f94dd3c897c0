"""The unified endpoint: students, events and attendances, told apart by ``type`` and ``action``."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from hub import OPEN, Operation, Refused, Source, hookimpl, is_missing, payloads

_SCHEMAS = "https://attendance-hub.example/schemas/unified/"

# type: the word for several of it in an answer, and its actions
_TYPES: Mapping[str, tuple[str, Mapping[str, Callable[[Any, Any], Operation]]]] = {
    "student": ("students", {"create": payloads.create_student, "update": payloads.update_student}),
    "event": ("events", {"create": payloads.create_event, "update": payloads.update_event}),
    "attendance": ("attendance", {"create": payloads.check_in}),
}


def kind(payload: Mapping[str, Any]) -> str:
    """``<type>-<action>``; without an action, create."""
    type_ = payload.get("type")
    if is_missing(type_):
        raise Refused("type field is required. Valid types: student, event, attendance")
    if not isinstance(type_, str) or type_ not in _TYPES:
        raise Refused(
            f"Unknown type: {payloads.shown(type_)}. Valid types are: student, event, attendance"
        )
    action = payload.get("action")
    if is_missing(action):
        action = "create"
    several, actions = _TYPES[type_]
    if not isinstance(action, str) or action not in actions:
        valid = ", ".join(actions)
        raise Refused(
            f"Unknown action: {payloads.shown(action)}. Valid actions for {several}: {valid}"
        )
    return f"{type_}-{action}"


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    type_, action = kind(payload).split("-")
    yield _TYPES[type_][1][action](payload["data"], payload)


@hookimpl
def register_sources() -> Iterable[Source]:
    kinds = [f"{type_}-{action}" for type_, (_, actions) in _TYPES.items() for action in actions]
    yield Source(
        name="unified",
        path="unified",
        authenticate=OPEN,
        keep_headers=("user-agent",),
        kind=kind,
        schema={name: f"{_SCHEMAS}{name}.json" for name in kinds},
        told_by={
            name: dict(zip(("type", "action"), name.split("-"), strict=True)) for name in kinds
        },
        normalize=normalize,
        label="unified_webhook",
        example={
            "type": "student",
            "action": "create",
            "data": {
                "student_identifier": "A00000000",
                "email": "test@example.edu",
                "first_name": "Test",
                "last_name": "Student",
            },
        },
    )
