"""Doubts: where the record may be wrong, each with its mends."""

import json
from typing import Any

from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Scope

_PAGE = 50
_WORDS = {
    "correct": "Set the time to the event's start",
    "withdraw": "Take the attendance out",
    "hide_student": "Hide the student",
    "merge_students": "They are one: merge",
    "merge_events": "They are one: merge",
    "settle": "It is right as it is",
    "save_student": "Take the identifier",
}
_HEADINGS = {
    "twins": "Two students have one name",
    "twin_events": "Two events have one name, and are on one day",
    "identifiers_disagree": "The identifiers of a delivery name two students",
}
"""Of doubts about two: the message of the API names them by their ids."""


def listed(visit: Visit) -> Page:
    """The doubts, of all kinds or of one."""
    told = visit.api.get(
        "/api/doubts/",
        kind=visit.query.get("kind"),
        limit=_PAGE,
        count="true",
        cursor=visit.query.get("cursor"),
    )
    for doubt in told["doubts"]:
        two = "other" in doubt
        doubt["heading"] = _HEADINGS.get(doubt["kind"] if two else "", doubt["message"])
        doubt["mends"] = [mend for one in doubt["mend"] if (mend := _mend(one)) is not None]
    values = {"doubts": told["doubts"], "next": told["next"], "number": told["count"]}
    return Page("doubts.html", {**values, "kind": visit.query.get("kind", "")})


def _mend(one: Any) -> dict[str, str] | None:
    """A button: what it does, in words, and the payload. A merge is looked at first."""
    data = one["data"]
    if one["action"] == "save_student" and data.get("first_name") == "":
        number = data["student"].removeprefix("id:")
        return {"words": "Give a name", "to": f"/console/students/{number}/edit"}
    if one["action"] in ("merge_students", "merge_events"):
        what = "students" if one["action"] == "merge_students" else "events"
        keep, merge = (str(data[name]).removeprefix("id:") for name in ("keep", "merge"))
        to = f"/console/{what}/merge?keep={keep}&merge={merge}"
        return {"words": "Look at both, and merge", "to": to}
    payload = json.dumps({"action": one["action"], "data": data}, ensure_ascii=False)
    reason = one.get("reason", "")
    return {"words": _WORDS.get(one["action"], one["action"]), "payload": payload, "reason": reason}


VIEWS = (View("GET", "doubts", listed, Scope.READ),)
