"""What is refused or waits: by cause, with a mend for each, whose effect is shown before it is done."""

import json
from collections import Counter
from collections.abc import Mapping
from difflib import SequenceMatcher
from typing import Any

from hub.console.inside import Said
from hub.console.sessions import Notice
from hub.console.views.common import payload, people
from hub.console.visit import Go, Page, View, Visit
from hub.domain.identifiers import SINGLE
from hub.domain.timestamps import parse_utc
from hub.domain.tokens import Scope

_SINCE = "14d"
_SHOWN = 20
_LOOKED_AT = 200


def listed(visit: Visit) -> Page:
    """The causes."""
    since = visit.query.get("since") or _SINCE
    causes = visit.api.get("/api/deliveries/causes/", since=since)["causes"]
    named = [one for one in causes if one["what"] != "other"]
    others = [one for one in causes if one["what"] == "other"]
    values = {"named": named, "others": others, "since": since}
    return Page("waiting.html", values, live="_waiting.html")


def cause(visit: Visit) -> Page:
    """One cause: its deliveries, and what would mend it."""
    query = visit.query
    found = _cause(visit, query)
    told = visit.api.get("/api/deliveries/", limit=_SHOWN, **_filters(query))
    found["value"] = _as_sent(visit, found)
    q = query.get("q", "").strip()
    students, events = [], []
    if found["what"] == "student" and q:
        students = people(visit, q, _SHOWN)
        for one in students:
            one["has"] = _has(one, found)
    if found["what"] == "event":
        near = visit.api.get("/api/events/", q=q or None, order="newest", limit=_LOOKED_AT)[
            "events"
        ]
        events = _likeliest(near, found)
    values = {
        "cause": found,
        "deliveries": told["deliveries"],
        "q": q,
        "students": students,
        "events": events,
    }
    return Page("cause.html", values)


def _as_sent(visit: Visit, cause: Any) -> str:
    """The identifier as it was written: what is waited for tells it in small letters."""
    told = visit.api.get(f"/api/deliveries/{cause['newest']}/", operations="true")
    for made in told["operations"]:
        text = str(made.get(cause["what"], ""))
        for written in (text, text.partition(":")[2]):
            if written.strip().casefold() == cause["value"].casefold():
                return written.strip()
    return str(cause["value"])


def _has(student: Any, cause: Any) -> str | None:
    """What a student has of the kind of which there can be one, and would lose."""
    if cause["kind"] not in SINGLE:
        return None
    own = (one["value"] for one in student["identifiers"] if one["kind"] == cause["kind"])
    return next(own, None)


def _likeliest(events: list[Any], cause: Any) -> list[Any]:
    """The events that are meant most likely: those whose name is like it, and which begin near the last
    delivery. Each is told whether others have its name.
    """
    last = parse_utc(cause["last"])

    def unlike(event: Any) -> tuple[float, float]:
        alike = SequenceMatcher(None, event["name"].casefold(), cause["value"].casefold()).ratio()
        begins = parse_utc(event["starts_at"])
        return -round(alike, 1), abs((begins - last).total_seconds())

    names = Counter(event["name"] for event in events)
    for event in events:
        event["is_one_of_several"] = names[event["name"]] > 1
    return sorted(events, key=unlike)[:_SHOWN]


def _filters(given: Mapping[str, str]) -> dict[str, str]:
    """The filters that find what has one cause."""
    found = {name: given[name] for name in ("waiting_for", "error") if given.get(name)}
    if not found:
        raise Said(404, "There is no such cause", "It may be mended by now")
    return found


def _cause(visit: Visit, given: Mapping[str, str]) -> Any:
    filters = _filters(given)
    since = given.get("since") or "400d"
    for one in visit.api.get("/api/deliveries/causes/", since=since)["causes"]:
        if all(one[name] == value for name, value in filters.items()):
            return one
    raise Said(404, "There is no such cause", "It may be mended by now")


def _asked(visit: Visit) -> dict[str, Any]:
    """What a form asks for: the payload for the desk, what is meant, which deliveries."""
    form = visit.form
    asked: dict[str, Any] = {
        name: form.get(name)
        for name in ("waiting_for", "error", "student", "event")
        if form.get(name)
    }
    if form.get("payload"):
        asked["payload"] = payload(form.get("payload"))
    elif form.get("kind"):
        asked["payload"] = _made(visit)
    return asked


def _made(visit: Visit) -> Mapping[str, Any]:
    """A payload of fields: a student, or an event, is made."""
    form = visit.form
    if form.get("what") == "event":
        data = {"name": form.get("value"), "starts_at": form.get("starts_at")}
        if not all(data.values()):
            raise Said(400, "An event needs a name and a start")
        own = {form.get("own_kind"): form.get("own_value")} if form.get("own_kind") else None
        more = {"identifiers": own} if own else {}
        return {"action": "save_event", "data": {**data, **more}}
    identifiers = {form.get("kind"): form.get("value")}
    for name in ("a_number", "email"):
        if form.get(name):
            identifiers[name] = form.get(name)
    names = {name: form.get(name) for name in ("first_name", "last_name") if form.get(name)}
    return {"action": "save_student", "data": {"identifiers": identifiers, **names}}


def preview(visit: Visit) -> Page:
    """What a mend would change."""
    asked = _asked(visit)
    done = visit.api.post("/api/deliveries/mend/", asked, query=[("dry_run", "true")])
    desk = asked.get("payload")
    values = {
        "cause": _cause(visit, asked),
        "asked": asked,
        "payload": "" if desk is None else json.dumps(desk, ensure_ascii=False),
        "done": done,
        "about": visit.form.get("about"),
        "back": visit.form.get("back") or "/console/waiting",
    }
    return Page("mend.html", values)


def apply(visit: Visit) -> Go:
    """The mend is done, and all that waited is applied."""
    done = visit.api.post("/api/deliveries/mend/", _asked(visit))
    applied, attempted = done["applied"], done["attempted"]
    text = f"{applied} of {attempted} deliveries are applied"
    if attempted == 1:
        text = "The delivery is applied" if applied else "The delivery is refused again"
    undo = done["answer"]["delivery"] if done["answer"] else None
    why = next((one["error"] for one in done["results"] if one["error"]), None)
    return Go("/console/waiting", Notice(text, why, undo=undo if not applied else None))


VIEWS = (
    View("GET", "waiting", listed, Scope.DESK),
    View("GET", "waiting/cause", cause, Scope.DESK),
    View("POST", "waiting/preview", preview, Scope.DESK, lane="work"),
    View("POST", "waiting/apply", apply, Scope.DESK, lane="work"),
)
