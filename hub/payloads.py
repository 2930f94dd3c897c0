"""The guide's data members to operations: what several sources share, open to any.

Each function takes a ``data`` object that satisfies the schema of its kind, and the payload around
it for ``source`` and ``metadata``. A member that is null, empty or blank counts as absent.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from hub.domain.identifiers import A_NUMBER, EMAIL, Identifier, student_identifier
from hub.domain.operations import (
    CheckIn,
    CreateEvent,
    CreateStudent,
    UpdateEvent,
    UpdateStudent,
)
from hub.domain.timestamps import parse_timestamp, parse_unix_seconds
from hub.errors import InvalidPayload
from hub.wire.keywords import is_missing

Object = Mapping[str, Any]


def create_student(data: Object, payload: Object) -> CreateStudent:
    """``type: student, action: create``."""
    return CreateStudent(
        identifiers=(
            Identifier(A_NUMBER, data["student_identifier"]),
            Identifier(EMAIL, data["email"]),
        ),
        first_name=data["first_name"],
        last_name=data["last_name"],
        is_admin=bool(data.get("is_admin")),
        **_common(payload),
    )


def update_student(data: Object, payload: Object) -> UpdateStudent:
    """``type: student, action: update``. Raises InvalidPayload where it names no student."""
    given = present(data)
    email = Identifier(EMAIL, given["email"]) if "email" in given else None
    named = email
    if "student_identifier" in given:
        named = student_identifier(given["student_identifier"])
    if named is None:
        raise InvalidPayload("student_identifier or email is required")
    # By one alone: nobody's identity is taken by a typing error in the A-number.
    return UpdateStudent(
        find=(named,),
        identifiers=(email or named,),
        first_name=given.get("first_name"),
        last_name=given.get("last_name"),
        is_admin=given.get("is_admin"),
        **_common(payload),
    )


def create_event(data: Object, payload: Object) -> CreateEvent:
    """``type: event, action: create``."""
    given = present(data)
    return CreateEvent(
        name=given["event_name"],
        starts_at=parse_timestamp(given["event_date"]),
        event_type=given.get("event_type", "General"),
        points=int(given.get("points", 0)),
        description=given.get("description", ""),
        location=given.get("location", ""),
        **_common(payload),
    )


def update_event(data: Object, payload: Object) -> UpdateEvent:
    """``type: event, action: update``. Raises InvalidPayload where it names no event."""
    given = present(data)
    if "event_identifier" not in given and "event_name" not in given:
        raise InvalidPayload("event_identifier or event_name is required")
    points = given.get("points")
    return UpdateEvent(
        event=event_identifier(given["event_identifier"]) if "event_identifier" in given else None,
        name=given.get("event_name"),
        starts_at=moment(given.get("event_date")),
        event_type=given.get("event_type"),
        points=None if points is None else int(points),
        description=given.get("description"),
        location=given.get("location"),
        **_common(payload),
    )


def check_in(data: Object, payload: Object) -> CheckIn:
    """``type: attendance, action: create``, and the flat payload of the attendance endpoints."""
    given = present(data)
    return CheckIn(
        student=given["student_identifier"],
        event=event_identifier(given["event_identifier"]),
        at=moment(given.get("check_in_time")),
        **_common(payload),
    )


def present(data: Object) -> dict[str, Any]:
    """The members of ``data`` that have a value."""
    return {name: value for name, value in data.items() if not is_missing(value)}


def event_identifier(identifier: str | float) -> str:
    """An event's id or name as text. A JSON number such as 1.0 is an integer, and means the id 1."""
    return identifier if isinstance(identifier, str) else str(int(identifier))


def moment(value: str | float | None) -> datetime | None:
    """A moment written as ISO 8601 or as seconds since 1970; None for no value."""
    if value is None or is_missing(value):
        return None
    return parse_timestamp(value) if isinstance(value, str) else parse_unix_seconds(value)


def required_moment(value: str | float) -> datetime:
    """The same, of a member that is required."""
    return parse_timestamp(value) if isinstance(value, str) else parse_unix_seconds(value)


def shown(value: object) -> str:
    """A member's value as it may stand in an answer's sentence: JSON where it is no text, and short."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 100 else text[:97] + "..."


def _common(payload: Object) -> dict[str, Any]:
    source = payload.get("source")
    return {
        "source": None if is_missing(source) else source,
        "metadata": payload.get("metadata") or {},
    }
