"""Events: the list, the sheet of each, who is missing, adding somebody, and two of them side by side."""

from typing import Any

from hub.console.inside import Said
from hub.console.views.common import arrivals, desk, done, people, side_by_side, typed, whole
from hub.console.visit import Page, Shown, View, Visit
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope

_PAGE = 50
_SHEET = 200
_FOUND = 20
_MEMBERS = (*("name", "starts_at", "ends_at", "event_type", "points", "location", "description"),)
_FILTERS = ("q", "type", "from", "to", "state")


def listed(visit: Visit) -> Page:
    """The events, the newest first."""
    query = {name: visit.query.get(name, "") for name in _FILTERS}
    told = visit.api.get(
        "/api/events/", **query, order="newest", limit=_PAGE, cursor=visit.query.get("cursor")
    )
    told["events"].sort(key=lambda one: one["starts_at"], reverse=True)
    values = {"events": told["events"], "next": told["next"], "filters": query}
    return Page("events.html", values)


def twins(visit: Visit) -> Page:
    """Events of one name on one day."""
    found = visit.api.get("/api/doubts/", kind="twin_events", limit=_PAGE)["doubts"]
    return Page("twins.html", {"twins": found, "what": "event"})


def sheet(visit: Visit, event: str) -> Page:
    """Who came to an event."""
    found = visit.api.get(f"/api/events/{event}/")
    state = visit.query.get("state") or "present,left"
    rows: list[Any] = []
    following = None
    q = visit.query.get("q", "").casefold()
    path = f"/api/events/{event}/attendances/"
    if not visit.may(Scope.READ):
        pass
    elif q:
        every = visit.api.rows(path, "attendances", state=state)
        rows = [one for one in every if q in _words(one["student"])][:_SHEET]
    else:
        told = visit.api.get(
            path, state=state, order="newest", limit=_SHEET, cursor=visit.query.get("cursor")
        )
        rows, following = told["attendances"], told["next"]
    values = {
        "event": found,
        "rows": rows,
        "next": following,
        "state": state,
        "q": visit.query.get("q", ""),
        "arrivals": arrivals(visit, found["id"]),
    }
    return Page("event.html", values, live="_event.html")


def _words(student: Any) -> str:
    return " ".join(str(one or "") for one in student.values()).casefold()


def absent(visit: Visit, event: str) -> Page:
    """Who of all students is not known to have been there."""
    found = visit.api.get(f"/api/events/{event}/")
    told = visit.api.get(
        f"/api/events/{event}/absent/", limit=_SHEET, count="true", cursor=visit.query.get("cursor")
    )
    values = {"event": found, "students": told["students"], "next": told["next"]}
    return Page("absent.html", {**values, "number": told["count"]})


def add(visit: Visit, event: str) -> Page:
    """Somebody is looked for, to be put in."""
    found = visit.api.get(f"/api/events/{event}/")
    q = visit.query.get("q", "").strip()
    students = people(visit, q, _FOUND)
    here = {
        row["student"]["id"]: row
        for one in students
        for row in visit.api.get(
            "/api/attendances/", student=f"id:{one['id']}", event=found["id"], limit=1
        )["attendances"]
    }
    return Page("add.html", {"event": found, "q": q, "students": students, "here_": here})


def edit(visit: Visit, event: str, said: Said | None = None) -> Page:
    """An event's members, and what it may be merged with."""
    found = visit.api.get(f"/api/events/{event}/")
    near = visit.api.get("/api/events/", from_=found["date"], to=found["date"], limit=20)["events"]
    q = visit.query.get("q", "").strip()
    also = visit.api.get("/api/events/", q=q, order="newest", limit=20)["events"] if q else []
    others = {one["id"]: one for one in [*near, *also] if one["id"] != found["id"]}
    values = {"home": found, "others": list(others.values()), "q": q, "said": said}
    values |= {"event": found if said is None else {**found, **typed(visit)}}
    values |= {"merged": _merged(visit, found["id"])}
    return Page("event_edit.html", values, 200 if said is None else said.status)


def new(visit: Visit) -> Page:
    """An event is made."""
    now = format_utc(utc_now().replace(second=0, microsecond=0))
    event = {name: visit.query.get(name, "") for name in _MEMBERS}
    return Page("event_new.html", {"event": {**event, "starts_at": now}, "said": None})


def _again(visit: Visit, said: Said) -> Page:
    """The form once more, as it was filled in."""
    if visit.form.get("event"):
        return edit(visit, visit.form.get("event"), said)
    event = {**dict.fromkeys(_MEMBERS, ""), **typed(visit)}
    return Page("event_new.html", {"event": event, "said": said}, said.status)


def _merged(visit: Visit, event: int) -> list[Any]:
    """What was merged into it."""
    every = visit.api.rows("/api/events/", "events", state="all")
    return [one for one in every if one["merged_into"] == event]


def code(visit: Visit, event: str) -> Page:
    """An event's QR code, to be printed."""
    return Page("event_code.html", {"event": visit.api.get(f"/api/events/{event}/")})


def save(visit: Visit) -> Shown:
    """Members are changed, or an event is made."""
    form = visit.form
    data: dict[str, Any] = {}
    for name in ("name", "starts_at", "ends_at", "event_type", "description", "location"):
        if name in form.fields:
            data[name] = form.get(name) or (None if name == "ends_at" else "")
    if not data.get("starts_at"):
        data.pop("starts_at", None)
    kind, value = form.get("kind"), form.get("value")
    if kind and value:
        data["identifiers"] = {kind: value}
    if form.get("event"):
        data["event"] = form.get("event")
    try:
        if not form.get("event") and not (data.get("name") and data.get("starts_at")):
            raise Said(400, "An event needs a name and a start")
        if form.get("points"):
            data["points"] = whole(form.get("points"), "points")
        told = desk(visit, "save_event", data)
    except Said as said:
        return _again(visit, said)
    return done(visit, told, f"/console/events/{told['event']['id']}")


def merge(visit: Visit) -> Page:
    """Both sides, before they are one."""
    return Page("event_merge.html", side_by_side(visit, "events", "student"))


VIEWS = (
    View("GET", "events", listed, Scope.COUNTS),
    View("GET", "events/twins", twins, Scope.READ, lane="reports"),
    View("GET", "events/new", new, Scope.DESK),
    View("GET", "events/merge", merge, Scope.DESK),
    View("POST", "events/save", save, Scope.DESK),
    View("GET", "events/<event>", sheet, Scope.COUNTS),
    View("GET", "events/<event>/code", code, Scope.COUNTS),
    View("GET", "events/<event>/absent", absent, Scope.READ),
    View("GET", "events/<event>/add", add, Scope.DESK),
    View("GET", "events/<event>/edit", edit, Scope.DESK),
)
