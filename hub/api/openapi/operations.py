"""What each path of the API is for, and what it answers: a row for each, in the order of the document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.api.files import FORMS
from hub.api.openapi.objects import (
    ANY,
    FLAG,
    MOMENT,
    NUMBER,
    TABLE,
    TEXT,
    array,
    or_null,
    page,
    record,
    ref,
)
from hub.domain.tokens import Scope

Schema = Mapping[str, Any]

JSON = "application/json"
_SHEETS = ("text/csv", FORMS["xlsx"].type, "text/calendar", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Described:
    """One method of one path. ``answer`` is the schema of what it answers, ``status`` with which status;
    ``others`` are further statuses, and what comes with them (None: nothing); ``body`` is the schema of
    what it takes as JSON, ``files`` what it takes as a file instead.
    """

    tag: str
    summary: str
    answer: Schema | None = None
    status: int = 200
    answer_type: str = JSON
    others: Mapping[int, Schema | None] = field(default_factory=dict)
    body: Schema | None = None
    files: tuple[str, ...] = ()


_MERGED: Mapping[int, Schema | None] = {
    301: record(merged_into=NUMBER),
    304: None,
}
_CACHED: Mapping[int, Schema | None] = {304: None}
_SCOPES = array({"type": "string", "enum": [*Scope]})
_STUDENT_ROW = record(
    student=ref("Person"),
    attended=NUMBER,
    of=NUMBER,
    rate=or_null({"type": "number"}),
    points=NUMBER,
)
_EVENT_ROW = record(
    {"event": ref("Meeting"), "period": TEXT}, attendances=NUMBER, students=NUMBER, points=NUMBER
)
_ARRIVALS_ROW = record(since=MOMENT, came=NUMBER, left=NUMBER)
_DONE = record({"details": TEXT, "attendances": ANY}, success=FLAG, message=TEXT)


def _import(what: str) -> Described:
    return Described("Imports", f"Import {what}", ref("Imported"), files=_SHEETS)


OPERATIONS: Mapping[tuple[str, str], Described] = {
    ("GET", "/api/events"): Described(
        "Record", "List the events", page("events", ref("Event")), others=_CACHED
    ),
    ("GET", "/api/events/<event>"): Described(
        "Record", "Show an event", ref("Event"), others=_MERGED
    ),
    ("GET", "/api/events/<event>/attendances"): Described(
        "Record",
        "List who came to an event",
        page("attendances", ref("Attendance")),
        others=_MERGED,
    ),
    ("GET", "/api/events/<event>/absent"): Described(
        "Record",
        "List the students who are not known to have been at an event",
        page("students", ref("Student")),
        others=_MERGED,
    ),
    ("GET", "/api/students"): Described(
        "Record", "List the students", page("students", ref("Student")), others=_CACHED
    ),
    ("GET", "/api/students/<student>"): Described(
        "Record", "Show a student", ref("Student"), others=_MERGED
    ),
    ("GET", "/api/students/<student>/attendances"): Described(
        "Record",
        "List what a student came to",
        page("attendances", ref("Attendance")),
        others=_MERGED,
    ),
    ("GET", "/api/students/<student>/everything.json"): Described(
        "Record",
        "All that the hub knows of a student, as a file",
        record(student=TABLE, attendances=array(TABLE), deliveries=array(TABLE)),
        others=_MERGED,
    ),
    ("GET", "/api/attendances"): Described(
        "Record",
        "List the attendances",
        page("attendances", ref("Attendance")),
        others=_CACHED,
    ),
    ("GET", "/api/attendances/<attendance>"): Described(
        "Record", "Show an attendance, with its evidence", ref("Attendance"), others=_MERGED
    ),
    ("GET", "/api/changes"): Described(
        "Record",
        "Follow the changes of the record",
        record(changes=array(ref("Change")), next=TEXT),
        others=_CACHED,
    ),
    ("GET", "/api/reports/students"): Described(
        "Reports",
        "Who came how often",
        page("students", _STUDENT_ROW, of=NUMBER),
        others=_CACHED,
    ),
    ("GET", "/api/reports/events"): Described(
        "Reports", "How many came", page("rows", _EVENT_ROW), others=_CACHED
    ),
    ("GET", "/api/reports/arrivals"): Described(
        "Reports", "When they came and left", page("rows", _ARRIVALS_ROW), others=_CACHED
    ),
    ("GET", "/api/doubts"): Described(
        "Reports",
        "Where the record may be wrong",
        page("doubts", ref("Doubt")),
        others=_CACHED,
    ),
    ("GET", "/api/deliveries"): Described(
        "Deliveries",
        "List the kept deliveries, the newest first",
        record(deliveries=array(ref("DeliverySummary")), next=or_null(TEXT)),
    ),
    ("GET", "/api/deliveries/causes"): Described(
        "Deliveries",
        "What is refused or waits, by its cause",
        record(causes=array(ref("Cause"))),
    ),
    ("GET", "/api/deliveries/<identifier>"): Described(
        "Deliveries", "Show a delivery, with all its attempts", ref("Delivery")
    ),
    ("POST", "/api/deliveries/<identifier>/replay"): Described(
        "Deliveries", "Attempt a delivery again", ref("Replayed")
    ),
    ("POST", "/api/deliveries/replay"): Described(
        "Deliveries",
        "Attempt a page of deliveries again, the oldest first",
        record({"next": or_null(TEXT)}, replayed=array(TABLE)),
    ),
    ("POST", "/api/deliveries/mend"): Described(
        "Deliveries",
        "Put a cause right, and attempt again all that has it",
        ref("Mend"),
        body={
            "type": "object",
            "properties": {
                "waiting_for": or_null(TEXT),
                "error": or_null(TEXT),
                "since": or_null(TEXT),
                "payload": or_null(TABLE),
                "student": or_null(TEXT),
                "event": or_null(TEXT),
            },
            "additionalProperties": False,
            "anyOf": [
                {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
                for name in ("waiting_for", "error")
            ],
        },
    ),
    ("POST", "/api/imports/students"): _import("a roster"),
    ("POST", "/api/imports/events"): _import("a calendar"),
    ("POST", "/api/imports/attendances"): _import("an attendance sheet"),
    ("POST", "/api/imports/reconcile"): Described(
        "Imports", "Compare a vendor's sheet of an event with the record", TABLE, files=_SHEETS
    ),
    ("GET", "/api/imports"): Described(
        "Imports",
        "List the earlier imports, the newest first",
        record(imports=array(TABLE), next=or_null(TEXT)),
    ),
    ("GET", "/api/sources"): Described(
        "Set-up",
        "How each source is posted to, and its pulse",
        record(sources=array(ref("Source"))),
    ),
    ("GET", "/api/tokens"): Described(
        "Set-up", "List the tokens", record(tokens=array(ref("Token")))
    ),
    ("POST", "/api/tokens"): Described(
        "Set-up",
        "Make a token, which is shown once",
        record(name=TEXT, token=TEXT),
        201,
        body={
            "type": "object",
            "required": ["name", "scopes"],
            "properties": {
                "name": {"type": "string", "pattern": "^[ -~]*[!-~][ -~]*$", "maxLength": 100},
                "scopes": {**_SCOPES, "minItems": 1},
                "sources": or_null(array(TEXT)),
                "expires": or_null({"type": "string", "pattern": "^([1-9][0-9]{0,4}[hd])?$"}),
            },
            "additionalProperties": False,
            # Sources are for those that post.
            "if": {
                "required": ["sources"],
                "properties": {"sources": {"type": "array", "minItems": 1}},
            },
            "then": {"properties": {"scopes": {"contains": {"const": Scope.POST}}}},
        },
    ),
    ("POST", "/api/tokens/revoke"): Described(
        "Set-up",
        "Have a token open nothing any more",
        _DONE,
        body={
            "type": "object",
            "required": ["name"],
            "properties": {"name": TEXT},
            "additionalProperties": False,
        },
    ),
    ("POST", "/api/students/<student>/forget"): Described(
        "Set-up",
        "Remove all that tells of a student, for good",
        _DONE,
        body={
            "type": "object",
            "required": ["name"],
            "properties": {"name": {**TEXT, "description": "The student's name, as it is shown"}},
        },
    ),
    ("GET", "/api/setup"): Described("Set-up", "How the hub is set up", TABLE),
    ("GET", "/api/captures/<capture>"): Described(
        "Set-up",
        "What a capture has taken",
        record(capture=NUMBER, requests=array(TABLE)),
    ),
    ("GET", "/api/webhook/status"): Described(
        "Monitoring",
        "How the hub is",
        ref("Status"),
        others={503: ref("Status")},
    ),
    ("GET", "/livez"): Described("Monitoring", "Whether it lives", record(status=TEXT)),
    ("GET", "/readyz"): Described(
        "Monitoring",
        "Whether it should be sent requests",
        record(status=TEXT),
        others={503: record({"reason": TEXT}, status=TEXT)},
    ),
    ("GET", "/metrics"): Described(
        "Monitoring",
        "What it measures, for Prometheus; on its own machine without a token",
        TEXT,
        answer_type="text/plain",
    ),
    ("GET", "/api/openapi.json"): Described("Monitoring", "This document", TABLE),
}

NOT_DESCRIBED = ("/api/capture/", "/console", "/favicon.ico")
"""Paths that are no program's: secret URLs, pages for people."""
