"""Students: the list, each one, two of them side by side, forgetting one."""

from datetime import timedelta
from typing import Any

from hub.console.inside import Said
from hub.console.sessions import Notice
from hub.console.views.common import desk, done, people, side_by_side, typed, whole
from hub.console.visit import Go, Page, Shown, View, Visit
from hub.domain.identifiers import ROW
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope

_PAGE = 50
_FOUND = 20
_NAMES = ("first_name", "last_name", "preferred_name")


def listed(visit: Visit) -> Page:
    """The students."""
    query = {name: visit.query.get(name, "") for name in ("q", "state")}
    told = visit.api.get(
        "/api/students/", **query, limit=_PAGE, count="true", cursor=visit.query.get("cursor")
    )
    values = {"students": told["students"], "next": told["next"], "number": told["count"]}
    return Page("students.html", {**values, "filters": query})


def twins(visit: Visit) -> Page:
    """Students of one name. All names are compared: the list is shown without waiting for it."""
    found = visit.api.get("/api/doubts/", kind="twins", limit=_PAGE)["doubts"]
    return Page("twins.html", {"twins": found, "what": "student"})


def student(visit: Visit, student: str) -> Page:
    """One student: identifiers, history, deliveries."""
    try:
        found = visit.api.get(f"/api/students/{student}/")
    except Said as said:
        if said.status != 404:
            raise
        why = "Whoever was forgotten has no page. That somebody came still counts"
        raise Said(404, said.error, said.details or why) from None
    history = visit.api.get(
        f"/api/students/{student}/attendances/",
        state=visit.query.get("state") or "all",
        order="newest",
        limit=_PAGE,
        cursor=visit.query.get("cursor"),
    )
    now = format_utc(utc_now().replace(microsecond=0) + timedelta(seconds=1))
    of = visit.api.get("/api/events/", to=now, limit=1, count="true")["count"]
    deliveries, merged = [], []
    if visit.may(Scope.DESK):
        deliveries = visit.api.get("/api/deliveries/", student=f"id:{found['id']}", limit=20)[
            "deliveries"
        ]
    merged = [one for one in _group(visit, found["id"]) if one["merged_into"] == found["id"]]
    values = {
        "student": found,
        "history": history["attendances"],
        "next": history["next"],
        "of": of,
        "deliveries": deliveries,
        "merged": merged,
    }
    return Page("student.html", values)


def _group(visit: Visit, student: int) -> list[Any]:
    """All rows that are told as this student."""
    told = visit.api.get("/api/students/", identifier=f"id:{student}", state="all", limit=50)
    rows: list[Any] = told["students"]
    return rows


def edit(visit: Visit, student: str, said: Said | None = None) -> Page:
    """A student's members, and whom it may be merged with."""
    found = visit.api.get(f"/api/students/{student}/")
    q = visit.query.get("q", found["name"]).strip()
    others = [one for one in people(visit, q, _FOUND) if one["id"] != found["id"]]
    kinds = list(dict.fromkeys(one["kind"] for one in found["identifiers"]))
    values = {"student": found, "q": q, "others": others, "kinds": kinds, "said": said}
    values |= {"typed": typed(visit)}
    return Page("student_edit.html", values, 200 if said is None else said.status)


def new(visit: Visit) -> Page:
    """A student is made."""
    return Page("student_new.html", {"typed": {}, "said": None})


def _again(visit: Visit, said: Said) -> Page:
    """The form once more, as it was filled in."""
    known = visit.form.get("student")
    if known:
        return edit(visit, known.removeprefix(f"{ROW}:"), said)
    return Page("student_new.html", {"typed": typed(visit), "said": said}, said.status)


def save(visit: Visit) -> Shown:
    """Members are changed, or a student is made."""
    form, identifiers = visit.form, {}
    data: dict[str, Any] = {name: form.get(name) for name in _NAMES if form.get(name)}
    for name, values in form.fields.items():
        if name.startswith("identifier."):
            identifiers[name.removeprefix("identifier.")] = values[-1].strip() or None
    if form.get("kind") and form.get("value"):
        identifiers[form.get("kind")] = form.get("value")
    if form.get("student"):
        data["student"] = form.get("student")
    else:
        identifiers = {kind: value for kind, value in identifiers.items() if value}
    if identifiers:
        data["identifiers"] = identifiers
    try:
        if len(data) == ("student" in data):
            raise Said(400, "There is nothing to save", "Fill in a name or an identifier")
        told = desk(visit, "save_student", data)
    except Said as said:
        return _again(visit, said)
    return done(visit, told, f"/console/students/{told['student']['id']}")


def merge(visit: Visit) -> Page:
    """Both sides, before they are one."""
    return Page("student_merge.html", side_by_side(visit, "students", "event"))


def split(visit: Visit) -> Page:
    """Whose identifiers would be whose, before one who was merged is themself again."""
    number = whole(visit.query.get("merge", ""), "merge")
    rows = {one["id"]: one for one in _group(visit, number)}
    other = rows.get(number)
    if other is None or other["merged_into"] is None:
        raise Said(404, "Nobody was merged so", "They may have been split off by now")
    keep = rows[other["merged_into"]]
    kept = [one for one in keep["identifiers"] if one not in other["identifiers"]]
    values = {"keep": {**keep, "identifiers": kept}, "other": other}
    return Page("student_split.html", values)


def forget(visit: Visit, student: str) -> Go:
    """A student is forgotten, once the name is typed."""
    told = visit.api.post(f"/api/students/{student}/forget/", {"name": visit.form.get("name")})
    return Go("/console/students", Notice(told["message"], told["details"]))


VIEWS = (
    View("GET", "students", listed, Scope.READ),
    View("GET", "students/twins", twins, Scope.READ, lane="reports"),
    View("GET", "students/new", new, Scope.DESK),
    View("GET", "students/merge", merge, Scope.DESK),
    View("GET", "students/split", split, Scope.DESK),
    View("POST", "students/save", save, Scope.DESK),
    View("GET", "students/<student>", student, Scope.READ),
    View("GET", "students/<student>/edit", edit, Scope.DESK),
    View("POST", "students/<student>/forget", forget, Scope.ADMIN, lane="work"),
)
