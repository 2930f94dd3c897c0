"""The desk: ``{"action", "data", "reason"}`` puts right what is wrong in the record.

Its word stands above what others have seen, and each of its deliveries can be undone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from hub import (
    ROW,
    Change,
    CheckIn,
    CheckOut,
    Correct,
    EditEvent,
    EditStudent,
    HideEvent,
    HideStudent,
    HubToken,
    Identifier,
    MergeEvents,
    MergeStudents,
    NamedEvent,
    Operation,
    Refused,
    Replay,
    Restore,
    Result,
    Settle,
    ShowEvent,
    ShowStudent,
    Source,
    SplitEvents,
    SplitStudents,
    Undo,
    Withdraw,
    hookimpl,
    is_missing,
    payloads,
)

Data = Mapping[str, Any]

_SCHEMAS = "https://attendance-hub.example/schemas/desk/"
_NEEDS_REASON = frozenset({"withdraw", "correct"})
_NAMES = ("first_name", "last_name", "preferred_name", "is_admin")
_OF_EVENT = ("name", "event_type", "description", "location")


def student(data: Data, name: str = "student") -> str | Identifier | None:
    """Whom a member names: an A-number, an e-mail, ``<kind>:<value>`` or ``id:<number>``."""
    text = data.get(name)
    if is_missing(text):
        return None
    kind, separator, value = str(text).strip().partition(":")
    if not separator:
        return str(text).strip()
    if not kind or not value.strip():
        raise Refused(f"Invalid {name}: use an A-number, an e-mail, <kind>:<value> or id:<number>")
    return Identifier(kind, value.strip())


def event(data: Data, name: str = "event") -> str | Identifier | NamedEvent | None:
    """What a member names: an event's id; or a name, with the date ``on`` or about the moment ``at``."""
    called = data.get(name)
    if called is None or is_missing(called):
        return None
    text = payloads.event_identifier(called).strip()
    on = None
    if not is_missing(data.get("on")):
        try:
            on = date.fromisoformat(data["on"].strip())
        except ValueError:
            raise Refused("Invalid on: use a date such as 2026-11-12") from None
    if on is None and text.isascii() and text.isdigit() and text[0] != "0":
        return text
    return NamedEvent(text, on, payloads.moment(data.get("at")))


def about(data: Data) -> dict[str, Any]:
    """The attendance that is meant, by itself or by its student and its event."""
    if not is_missing(data.get("attendance")):
        return {"attendance": Identifier(ROW, str(int(data["attendance"])))}
    found = {"student": student(data), "event": event(data)}
    if None in found.values():
        raise Refused("attendance, or student and event, are required")
    return found


def check_in(data: Data) -> Operation:
    at = payloads.moment(data.get("at"))
    return CheckIn(student=student(data), event=event(data), at=at, repeatable=True)


def check_out(data: Data) -> Operation:
    return CheckOut(**about(data), at=payloads.moment(data.get("at")))


def withdraw(data: Data) -> Operation:
    return Withdraw(**about(data), at=payloads.moment(data.get("at")))


def correct(data: Data) -> Operation:
    came, left = (payloads.moment(data.get(one)) for one in ("checked_in_at", "checked_out_at"))
    stays = "checked_out_at" in data and data["checked_out_at"] is None
    if came is None and left is None and not stays:
        raise Refused("checked_in_at or checked_out_at is required")
    return Correct(**about(data), checked_in_at=came, checked_out_at=left, stays=stays)


def save_student(data: Data) -> Operation:
    given = payloads.present({name: data.get(name) for name in _NAMES})
    named, identifiers = student(data), _identifiers(data)
    if named is None and not identifiers["identifiers"]:
        raise Refused("A new student needs identifiers", 'Such as {"a_number": "A00123456"}')
    return EditStudent(student=named, **identifiers, **given)


def save_event(data: Data) -> Operation:
    points = data.get("points")
    return EditEvent(
        event=event(data),
        starts_at=payloads.moment(data.get("starts_at")),
        ends_at=payloads.moment(data.get("ends_at")),
        endless="ends_at" in data and data["ends_at"] is None,
        points=None if points is None else int(points),
        **payloads.present({name: data.get(name) for name in _OF_EVENT}),
        **_identifiers(data),
    )


def _identifiers(data: Data) -> dict[str, Any]:
    given = data.get("identifiers") or {}
    if ROW in given:
        raise Refused("identifiers: the kind id is the hub's own")
    kept = {kind: value for kind, value in given.items() if not is_missing(value)}
    return {
        "identifiers": tuple(Identifier(kind, value) for kind, value in kept.items()),
        "without": tuple(kind for kind in given if kind not in kept),
    }


# action: what it asks for, and the sentence of its success
_ACTIONS: Mapping[str, tuple[Callable[[Data], Operation], str]] = {
    "check_in": (check_in, "Attendance recorded successfully"),
    "check_out": (check_out, "Check-out recorded successfully"),
    "withdraw": (withdraw, "Attendance withdrawn successfully"),
    "restore": (lambda data: Restore(**about(data)), "Attendance restored successfully"),
    "correct": (correct, "Attendance corrected successfully"),
    "save_student": (save_student, "Student saved successfully"),
    "save_event": (save_event, "Event saved successfully"),
    "hide_student": (
        lambda data: HideStudent(student=student(data) or ""),
        "Student hidden successfully",
    ),
    "show_student": (
        lambda data: ShowStudent(student=student(data) or ""),
        "Student shown successfully",
    ),
    "hide_event": (lambda data: HideEvent(event=event(data) or ""), "Event hidden successfully"),
    "show_event": (lambda data: ShowEvent(event=event(data) or ""), "Event shown successfully"),
    "merge_students": (
        lambda data: MergeStudents(
            keep=student(data, "keep") or "", merge=student(data, "merge") or ""
        ),
        "Students merged successfully",
    ),
    "merge_events": (
        lambda data: MergeEvents(keep=event(data, "keep") or "", merge=event(data, "merge") or ""),
        "Events merged successfully",
    ),
    "split_students": (
        lambda data: SplitStudents(merge=student(data, "merge") or ""),
        "Students split successfully",
    ),
    "split_events": (
        lambda data: SplitEvents(merge=event(data, "merge") or ""),
        "Events split successfully",
    ),
    "replay": (
        lambda data: Replay(delivery=data["delivery"], student=student(data), event=event(data)),
        "Delivery replayed successfully",
    ),
    "undo": (lambda data: Undo(delivery=data["delivery"]), "Undone successfully"),
    "settle": (lambda data: Settle(doubt=data["doubt"]), "Doubt settled successfully"),
}


def kind(payload: Mapping[str, Any]) -> str:
    """The schema of an action."""
    action = payload.get("action")
    if is_missing(action):
        raise Refused("action is required", f"Actions: {', '.join(_ACTIONS)}")
    if not isinstance(action, str) or action not in _ACTIONS:
        raise Refused(
            f"Unknown action: {payloads.shown(action)}", f"Actions: {', '.join(_ACTIONS)}"
        )
    return action


def normalize(payload: Mapping[str, Any]) -> Iterator[Operation]:
    action, reason = payload["action"], payload.get("reason")
    if is_missing(reason):
        reason = None
    if reason is None and action in _NEEDS_REASON:
        raise Refused("A reason is required", "It is kept with what is said, for who reads it")
    made = _ACTIONS[action][0](payload["data"])
    yield _with_reason(made, reason)


def _with_reason(operation: Operation, reason: str | None) -> Operation:
    if reason is not None and isinstance(
        operation, CheckIn | CheckOut | Withdraw | Restore | Correct
    ):
        return replace(operation, reason=reason)
    return operation


def answer(
    payload: Mapping[str, Any], results: Sequence[Result]
) -> tuple[int, Mapping[str, Any]] | None:
    result = results[-1]
    if result.change is Change.IGNORED:
        return None
    body = {"success": True, "message": _ACTIONS[payload["action"]][1]}
    if result.reason is not None:
        body["details"] = result.reason
    return 201 if result.change is Change.CREATED else 200, {**body, "source": result.source}


@hookimpl
def register_sources() -> Iterable[Source]:
    yield Source(
        name="desk",
        path="desk",
        authenticate=HubToken("desk"),
        keep_headers=("user-agent",),
        kind=kind,
        schema={action: f"{_SCHEMAS}{action.replace('_', '-')}.json" for action in _ACTIONS},
        told_by={action: {"action": action} for action in _ACTIONS},
        normalize=normalize,
        authority=True,
        shows_objects=True,
        example={
            "action": "save_student",
            "data": {"identifiers": {"a_number": "A00000000"}, "first_name": "Test"},
        },
        answer=answer,
    )
