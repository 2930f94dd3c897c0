"""What the guide's endpoints say of success, and every source that has no ``answer`` of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub import (
    Attend,
    Change,
    CheckIn,
    CheckOut,
    EventRecord,
    HideEvent,
    HideStudent,
    Result,
    StudentRecord,
    Withdraw,
    format_utc,
)


def answer(results: Sequence[Result]) -> tuple[int, Mapping[str, Any]]:
    """Status and body: of the last operation that did something."""
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
        case CheckIn() | Attend():
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
