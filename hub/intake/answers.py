"""Answers: what the store did, or why a request was refused, as a status and a JSON body."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, NamedTuple

from hub.domain.operations import CheckIn, CheckOut, HideEvent, HideStudent, Withdraw
from hub.domain.records import Change, EventRecord, Result, StudentRecord
from hub.domain.timestamps import format_utc
from hub.errors import Refused

RETRY_AFTER = 2
"""Seconds after which a sender should try again when the store could not take a delivery."""


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class Answer(NamedTuple):
    """An HTTP answer with a JSON body, ready to send and to keep."""

    status: int
    body: str
    headers: Mapping[str, str] = MappingProxyType({})


def answer(status: int, body: Mapping[str, Any], **headers: str) -> Answer:
    """An answer with ``body`` as JSON. Raises ValueError or TypeError for what JSON cannot tell."""
    return Answer(status, _ENCODER.encode(body), headers)


def refusal(refused: Refused) -> Answer:
    """The answer to a refused request."""
    body: dict[str, Any] = {"error": refused.error}
    if refused.details is not None:
        body["details"] = refused.details
    if refused.errors:
        body["errors"] = [asdict(violation) for violation in refused.errors]
    return answer(refused.status, body)


def unavailable() -> Answer:
    """The answer while the store, or the hub, cannot take a delivery."""
    body = {
        "error": "Temporarily unavailable",
        "details": "Nothing was recorded; send the same delivery again",
    }
    return answer(503, body, **{"Retry-After": str(RETRY_AFTER)})


def failure(delivery: str) -> Answer:
    """The answer to what nobody foresaw: an id to quote, and nothing of the inside."""
    body = {"error": "Internal server error", "details": f"Quote delivery {delivery}"}
    return answer(500, body)


def success(results: Sequence[Result]) -> tuple[int, Mapping[str, Any]]:
    """The unified endpoint's answer to the last operation that did something."""
    done = [result for result in results if result.change is not Change.IGNORED]
    if not done:
        reason = results[-1].reason if results else "The payload asks for nothing"
        source = {"source": results[-1].source} if results else {}
        message = "Delivery received; nothing to record"
        return 200, {"success": True, "message": message, "details": reason, **source}
    result = done[-1]
    status = 201 if any(one.change is Change.CREATED for one in done) else 200
    body: dict[str, Any] = {"success": True, "message": _message(result)}
    if result.attendance is not None:
        body["attendance_id"] = result.attendance.id
        if result.student:
            student = result.student
            body["student"] = {"id": student.id, "name": student.name, "email": student.email}
        if result.event:
            event = result.event
            body["event"] = {"id": event.id, "name": event.name, "date": event.date.isoformat()}
        body["checked_in_at"] = format_utc(result.attendance.checked_in_at)
        if result.attendance.checked_out_at:
            body["checked_out_at"] = format_utc(result.attendance.checked_out_at)
    elif result.student is not None:
        body["student"] = _student(result.student)
    elif result.event is not None:
        body["event"] = _event(result.event)
    body["source"] = result.source
    return status, body


def _message(result: Result) -> str:
    match result.operation:
        case CheckIn():
            return "Attendance recorded successfully"
        case CheckOut():
            return "Check-out recorded successfully"
        case Withdraw():
            return "Attendance withdrawn successfully"
        case HideStudent():
            return "Student deleted successfully"
        case HideEvent():
            return "Event deleted successfully"
    subject = "Student" if result.student else "Event"
    return {
        Change.CREATED: f"{subject} created successfully",
        Change.UNCHANGED: f"{subject} already up to date",
    }.get(result.change, f"{subject} updated successfully")


def _student(student: StudentRecord) -> dict[str, Any]:
    return {
        "id": student.id,
        "identifier": student.a_number,
        "name": student.name,
        "email": student.email,
        "is_admin": student.is_admin,
    }


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "id": event.id,
        "name": event.name,
        "date": event.date.isoformat(),
        "starts_at": format_utc(event.starts_at),
        "event_type": event.event_type,
        "points": event.points,
        "description": event.description,
        "location": event.location,
    }
