"""The parameters of a query, each described once: a name means the same everywhere."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

from hub.domain.delivery import Outcome
from hub.record.doubts import Kind
from hub.record.reports import By, Order
from hub.record.search import MAX_LIMIT

Schema = Mapping[str, Any]

_TEXT = {"type": "string", "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
"""Text that has something in it."""

_FILTER = {"type": "string", "pattern": r"^[^\u0000]*$"}
"""Text; none is no filter."""

_FLAG = {"type": "boolean", "default": False}
_DATE = {"type": "string", "format": "date"}
_MOMENT = {"type": "string", "format": "date-time"}
_NUMBER = {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"}

PARAMETERS: Mapping[str, tuple[str, Schema]] = {
    "after": ("The `next` of the page before; `now` for none of what there is", _TEXT),
    "at_least": (
        "Only students with so many attendances; 0: all",
        {"type": "integer", "minimum": 0, "maximum": 999_999_999, "default": 1},
    ),
    "by": ("A row for each of these", {"type": "string", "enum": [*By], "default": By.EVENT}),
    "count": ("Tell how many there are in all", _FLAG),
    "cursor": ("The `next` of the page before", _NUMBER),
    "days": (
        "So many days, today last",
        {"type": "integer", "minimum": 1, "maximum": 28, "default": 14},
    ),
    "dry_run": ("Try it, and change nothing", _FLAG),
    "error": ("Only what was refused with this sentence", _FILTER),
    "event": ("An event's id, or its name", _TEXT),
    "evidence": ("Tell all that was said of each attendance", _FLAG),
    "for": ("A CSV file for Excel: with a mark of order, and guarded formulas", {"const": "excel"}),
    "from": ("From this date or moment on", {"anyOf": [_DATE, _MOMENT]}),
    "identifier": ("Who has this: an A-number, an e-mail, `<kind>:<value>`, `id:<number>`", _TEXT),
    "kind": ("Only doubts of this kind", {"type": "string", "enum": [*Kind]}),
    "limit": (
        "Rows of a page",
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 50},
    ),
    "map": (
        "What a column is: `Column:member`; may be repeated",
        {"type": "array", "items": {"type": "string", "pattern": "^[^:\\u0000]+:[a-z_]+$"}},
    ),
    "minutes": (
        "Length of a span",
        {"type": "integer", "minimum": 1, "maximum": 1440, "default": 5},
    ),
    "name": ("Only events of this name", _TEXT),
    "of": ("Only rows of this delivery", _FILTER),
    "operations": ("Tell what the plugins of now make of it", _FLAG),
    "order": ("`newest` begins with the newest", {"type": "string", "enum": ["id", "newest"]}),
    "q": ("A part of a name, or of an identifier", _TEXT),
    "since": (
        "From a date or a moment on, or so long ago",
        {"anyOf": [_DATE, _MOMENT, {"type": "string", "pattern": "^([0-9]{1,6}[mhd])?$"}]},
    ),
    "source": ("Only what came to this source", _TEXT),
    "state": ("Only those in this state", {"type": "string"}),
    "status": (
        "An outcome, `waiting`, or the HTTP status of the answer",
        {
            "anyOf": [
                {"type": "string", "enum": [*Outcome, "waiting"]},
                {"type": "string", "pattern": "^([1-5][0-9]{2})?$"},
            ]
        },
    ),
    "student": ("A student: an A-number, an e-mail, `<kind>:<value>`, `id:<number>`", _TEXT),
    "to": ("Until the end of this date, or before this moment", {"anyOf": [_DATE, _MOMENT]}),
    "type": ("Only events of this type", _TEXT),
    "via": ("Only attendances that came through this source's plugin", _TEXT),
    "wait": (
        "Seconds to wait for something new",
        {"type": "number", "minimum": 0, "maximum": 30, "default": 0},
    ),
    "waiting_for": ("Only what waits for this, as deliveries are shown with it", _FILTER),
    "zone": ("The time zone of moments in the file, as the IANA database calls it", _TEXT),
}

_DELIVERY = {"type": "string", "pattern": "^([0-9a-f]{28})?$"}
_SHOWN = {"type": "string", "enum": ["shown", "hidden", "all"], "default": "shown"}
_STATES = {
    "type": "string",
    "enum": [
        "all",
        *(
            ",".join(some)
            for number in (1, 2, 3)
            for some in permutations(("present", "left", "withdrawn"), number)
        ),
    ],
    "default": "present,left",
}

OWN: Mapping[tuple[str, str], Schema] = {
    **{
        (name, path): _FILTER
        for name in ("source", "student", "event")
        for path in ("/api/deliveries", "/api/deliveries/replay")
    },
    **{
        ("cursor", path): _DELIVERY
        for path in ("/api/deliveries", "/api/deliveries/replay", "/api/imports")
    },
    **{
        ("cursor", path): _TEXT
        for path in (
            "/api/reports/students",
            "/api/reports/events",
            "/api/reports/arrivals",
            "/api/doubts",
        )
    },
    ("event", "/api/imports/reconcile"): _NUMBER,
    ("q", "/api/students"): _FILTER,
    ("state", "/api/events"): _SHOWN,
    ("state", "/api/students"): _SHOWN,
    ("state", "attendances"): _STATES,
    ("order", "/api/reports/students"): {
        "type": "string",
        "enum": [*Order],
        "default": Order.NAME,
    },
}
"""Parameters that mean something else on some paths: by the path, or by its last part."""

REQUIRED = frozenset({("event", "/api/imports/reconcile")})
"""Parameters that must be given, by their path."""

PATH_PARTS: Mapping[str, tuple[str, Schema]] = {
    "event": ("An event's id", _NUMBER),
    "student": ("A student's id", _NUMBER),
    "attendance": ("An attendance's id", _NUMBER),
    "capture": ("A capture's id", _NUMBER),
    "identifier": ("A delivery's id", {"type": "string", "pattern": "^[0-9a-f]{28}$"}),
}


def described(name: str, path: str) -> tuple[str, Schema]:
    """What a parameter of a path means, and its schema."""
    about, schema = PARAMETERS[name]
    is_file = "." in path.rpartition("/")[2]
    if is_file and name == "order" and not path.startswith("/api/reports/"):
        schema = {"const": "id"}  # a file has all rows
    listing = path.rpartition(".")[0] if is_file else path
    own = OWN.get((name, listing)) or OWN.get((name, listing.rpartition("/")[2]))
    return about, own or schema
