"""What the API answers with, as JSON Schemas: the objects of the record, deliveries, and their listings.

They say what is there; a client ignores members that it does not know.
"""

from collections.abc import Mapping
from typing import Any

from hub.domain.delivery import Emptied, Outcome
from hub.record.doubts import Kind

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
DATE: Schema = {"type": "string", "format": "date"}
ANY: Schema = {}
TABLE: Schema = {"type": "object"}


def ref(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    if set(schema) == {"type"}:
        return {"type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def told(schema: Schema, about: str) -> Schema:
    """The same, and what it is."""
    return {**schema, "description": about}


def array(schema: Schema) -> Schema:
    """An array of these."""
    return {"type": "array", "items": schema}


def record(optional: Mapping[str, Schema] | None = None, **members: Schema) -> Schema:
    """An object that has these members, and may have the ``optional`` ones."""
    return {
        "type": "object",
        "required": list(members),
        "properties": {**members, **(optional or {})},
    }


def page(plural: str, item: Schema, **more: Schema) -> Schema:
    """A page of a listing: its rows, and the cursor of the one that follows."""
    return record({"count": NUMBER}, **more, **{plural: array(item), "next": or_null(TEXT)})


_NAMED = array(record(kind=TEXT, value=TEXT))
_MERGED_INTO = told(or_null(NUMBER), "The id of what it was merged into")
_PERSON = {
    "id": NUMBER,
    "identifier": told(or_null(TEXT), "The A-number"),
    "name": TEXT,
    "email": or_null(TEXT),
}
_MEETING = {
    "id": NUMBER,
    "name": TEXT,
    "date": told(DATE, "The day on which it starts, in the hub's time zone"),
    "starts_at": MOMENT,
}
_STUDENT = {
    **_PERSON,
    "first_name": TEXT,
    "last_name": TEXT,
    "preferred_name": TEXT,
    "is_admin": FLAG,
    "identifiers": _NAMED,
    "hidden": FLAG,
    "merged_into": _MERGED_INTO,
}
_COUNTED = {
    "attendances": told(or_null(NUMBER), "How many stand, of events that are not hidden"),
    "points": told(or_null(NUMBER), "Those of these events together"),
}
_EVENT = {
    **_MEETING,
    "ends_at": or_null(MOMENT),
    "event_type": TEXT,
    "points": NUMBER,
    "description": TEXT,
    "location": TEXT,
    "identifiers": _NAMED,
    "hidden": FLAG,
    "merged_into": _MERGED_INTO,
}
_STATE = {"type": "string", "enum": ["present", "left", "withdrawn"]}
_WITHDRAWN = record(at=MOMENT, by=or_null(TEXT), reason=or_null(TEXT), delivery=TEXT)
_ATTENDED = {
    "checked_in_at": MOMENT,
    "checked_out_at": or_null(MOMENT),
    "state": _STATE,
    "source": told(TEXT, "What the sender says that it is"),
    "via": told(TEXT, "The source of the hub that it came to"),
}
_ATTENDANCE = {
    "id": NUMBER,
    "student": ref("Person"),
    "event": ref("Meeting"),
    **_ATTENDED,
    "points": told(NUMBER, "Those of the event"),
    "sightings": told(NUMBER, "How many deliveries have seen the student there"),
    "withdrawn": told(or_null(_WITHDRAWN), "When, by whom and why, if it was"),
}
_OUTCOME = {"type": "string", "enum": [*Outcome]}
_SUMMARY = {
    "id": TEXT,
    "source": TEXT,
    "received_at": MOMENT,
    "outcome": _OUTCOME,
    "status": told(NUMBER, "What its sender was told"),
    "error": told(or_null(TEXT), "Why it was not taken"),
    "waiting_for": told(or_null(TEXT), "The student or the event that it waits for"),
    "emptied": told({"enum": [*Emptied, None]}, "Why it has no body any more"),
    "key_of": told(or_null(TEXT), "The delivery that had its idempotency key before"),
    "of": told(or_null(TEXT), "The batch or the file that it is a row of"),
    "row": or_null(NUMBER),
}
_COUNTS = {"type": "object", "additionalProperties": NUMBER}
_CHANGED = {
    "id": NUMBER,
    "student": NUMBER,
    "event": NUMBER,
    **_ATTENDED,
    "sightings": NUMBER,
    "withdrawn": or_null(_WITHDRAWN),
}

OBJECTS: Mapping[str, Schema] = {
    "Error": {
        **record(
            {
                "details": TEXT,
                "errors": array(record(pointer=TEXT, message=TEXT)),
            },
            error=TEXT,
        ),
        "description": "Why a request was not taken. Programs match on `error`; `details` says how to "
        "mend it.",
    },
    "Person": record(**_PERSON),
    "Meeting": record(**_MEETING),
    "Student": record(_COUNTED, **_STUDENT),
    "Event": record(
        {
            "attendances": told(NUMBER, "Persons whose attendance stands"),
            "present": told(NUMBER, "Those of them who have not left"),
            "withdrawn": told(NUMBER, "Persons whose attendance is withdrawn"),
        },
        **_EVENT,
    ),
    "Evidence": record(
        delivery=TEXT,
        source=TEXT,
        via=TEXT,
        kind=TEXT,
        at=MOMENT,
        received_at=or_null(MOMENT),
        by=or_null(TEXT),
        reason=or_null(TEXT),
        stands=told(FLAG, "Whether it counts: nothing has taken it back"),
    ),
    "Attendance": record({"evidence": array(ref("Evidence"))}, **_ATTENDANCE),
    "Change": record(
        {
            "attendance": record({"merged_into": NUMBER}, **_CHANGED),
            "student": record({**_STUDENT, **_COUNTED}, id=NUMBER),
            "event": record(dict(_EVENT), id=NUMBER),
        },
        type=TEXT,
        at=MOMENT,
        delivery=or_null(TEXT),
    ),
    "Doubt": record(
        {
            "attendance": ref("Attendance"),
            "student": ref("Person"),
            "event": ref("Meeting"),
            "other": TABLE,
            "delivery": TEXT,
        },
        id=TEXT,
        kind={"type": "string", "enum": [*Kind]},
        message=TEXT,
        at=MOMENT,
        mend=array(TABLE),
    ),
    "DeliverySummary": record(**_SUMMARY, attempts=NUMBER),
    "Attempt": record(
        number=NUMBER,
        at=MOMENT,
        outcome=_OUTCOME,
        status=NUMBER,
        answer=ANY,
        duration_ms={"type": "number"},
    ),
    "Delivery": record(
        {
            "headers": {"type": "object", "additionalProperties": TEXT},
            "body": or_null(TEXT),
            "body_base64": TEXT,
            "operations": array(record(operation=TEXT)),
        },
        **_SUMMARY,
        method=TEXT,
        path=or_null(TEXT),
        query=or_null(TEXT),
        fetched=ANY,
        answer=ANY,
        told=or_null(TEXT),
        attempts=array(ref("Attempt")),
    ),
    "Replayed": record(
        id=TEXT,
        source=TEXT,
        attempt=or_null(NUMBER),
        before=_OUTCOME,
        outcome=_OUTCOME,
        status=NUMBER,
        answer=ANY,
    ),
    "Cause": record(
        id=TEXT,
        owner=or_null(TEXT),
        what=TEXT,
        kind=TEXT,
        value=TEXT,
        waiting_for=or_null(TEXT),
        error=or_null(TEXT),
        deliveries=NUMBER,
        sources=_COUNTS,
        first=MOMENT,
        last=MOMENT,
        newest=TEXT,
    ),
    "Mend": record(
        answer=ANY,
        attempted=NUMBER,
        applied=NUMBER,
        more=FLAG,
        results=array(record(delivery=TEXT, outcome=or_null(TEXT), error=or_null(TEXT))),
    ),
    "Imported": {
        **record(
            form=TEXT,
            columns=ANY,
            warnings=array(ANY),
            rows=NUMBER,
            absent=array(ANY),
            results=array(record(row=NUMBER, outcome=TEXT)),
        ),
    },
    "Token": record(
        name=TEXT,
        scopes=array(TEXT),
        sources=array(TEXT),
        created_at=MOMENT,
        expires_at=or_null(MOMENT),
        is_valid=FLAG,
        last_used_at=or_null(MOMENT),
    ),
    "Source": record(
        name=TEXT,
        plugin=TEXT,
        path=TEXT,
        protection=TEXT,
        scheme=TEXT,
        headers=array(TEXT),
        open=FLAG,
        example=ANY,
        signing=ANY,
        since_start=_COUNTS,
        last_delivery_at=or_null(MOMENT),
        silent=FLAG,
        days=array(record(date=DATE)),
    ),
    "Status": record(
        status={"enum": ["healthy", "unhealthy"]},
        version=TEXT,
        since=MOMENT,
        store=record(reachable=FLAG),
    ),
    "Taken": {
        **record({"message": TEXT, "delivery": TEXT}, success=FLAG),
        "description": "What a source answers to what it has taken. A source may answer otherwise.",
    },
}
"""The schemas that others refer to, by name."""
