"""Imports: a file is looked at first, then applied; earlier ones; a vendor's export beside the record."""

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from hub.console.forms import Upload
from hub.console.inside import Said
from hub.console.sessions import Notice
from hub.console.views.common import desk, whole
from hub.console.visit import Go, Page, Shown, View, Visit
from hub.domain.tokens import Scope

_KINDS = ("students", "events", "attendances")
_KEPT_FOR = 1800.0
"""Seconds that a file waits for its import to be applied."""

_MOST_KEPT = 4
_MOST_ROWS = 500
_MOST_NAMED = 300


@dataclass(frozen=True, slots=True)
class _Looked:
    """A file that was looked at, and what was asked of it."""

    upload: Upload = field(repr=False)
    kind: str
    query: tuple[tuple[str, str], ...]
    token: int
    at: float


class _Files:
    """The files that were looked at, and may be applied. They are in memory, and few."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, _Looked] = {}

    def keep(self, looked: _Looked) -> str:
        name = secrets.token_urlsafe(16)
        with self._lock:
            now = time.monotonic()
            fresh = {one: kept for one, kept in self._kept.items() if now - kept.at < _KEPT_FOR}
            while len(fresh) >= _MOST_KEPT:
                del fresh[next(iter(fresh))]
            self._kept = {**fresh, name: looked}
        return name

    def take(self, name: str, token: int) -> _Looked:
        with self._lock:
            found = self._kept.get(name)
            if found is None or found.token != token:
                raise Said(404, "The file is here no more", "Choose it again")
            del self._kept[name]
            return found


_FILES = _Files()


def page(visit: Visit) -> Page:
    """A file may be chosen; the earlier imports."""
    told = visit.api.get("/api/imports/", limit=20, cursor=visit.query.get("cursor"))
    events = visit.api.get("/api/events/", order="newest", limit=50)["events"]
    values = {"imports": told["imports"], "next": told["next"], "events": events}
    return Page("imports.html", {**values, "kinds": _KINDS})


def one(visit: Visit, delivery: str) -> Page:
    """An earlier import: its rows that were refused."""
    told = visit.api.get(
        "/api/deliveries/", of=delivery, status="refused", limit=_MOST_ROWS,
        cursor=visit.query.get("cursor"),
    )  # fmt: skip
    values = {"delivery": delivery, "rows": told["deliveries"], "next": told["next"]}
    return Page("import.html", values)


def look(visit: Visit) -> Shown:
    """What would become of a file's rows."""
    form = visit.form
    kind, upload = form.get("kind"), form.files.get("file")
    if upload is None or not upload.body:
        raise Said(400, "The form has no file", "Choose one")
    if kind == "reconcile":
        return _reconciled(visit, upload)
    if kind not in _KINDS:
        raise Said(400, "Choose what the file has: students, events or attendances")
    query = [("map", one) for one in form.get("maps").splitlines() if one.strip()]
    if kind == "attendances" and form.get("event"):
        query.append(("event", form.get("event")))
    if form.get("zone"):
        query.append(("zone", form.get("zone")))
    done = _post(visit, kind, upload, [*query, ("dry_run", "true")])
    looked = _Looked(upload, kind, tuple(query), visit.token.id, time.monotonic())
    values = {
        "file": upload.name,
        "kind": kind,
        "done": done,
        "rows": _interesting(done["results"]),
        "kept": _FILES.keep(looked),
    }
    return Page("import_preview.html", values)


def _post(visit: Visit, kind: str, upload: Upload, query: list[tuple[str, str]]) -> Any:
    return visit.api.post(
        f"/api/imports/{kind}/", upload.body, upload.content_type or "text/csv", query
    )


def _interesting(rows: list[Any]) -> list[Any]:
    """Those that are refused first, then those that change something."""
    order = {"refused": 0, "changed": 1, "created": 2, "unchanged": 3}
    return sorted(rows, key=lambda row: order[row["outcome"]])[:_MOST_ROWS]


def apply(visit: Visit) -> Page:
    """The file that was looked at is imported."""
    looked = _FILES.take(visit.form.get("kept"), visit.token.id)
    done = _post(visit, looked.kind, looked.upload, list(looked.query))
    values = {"file": looked.upload.name, "kind": looked.kind, "done": done}
    return Page("import_done.html", {**values, "rows": _interesting(done["results"])})


def undo(visit: Visit) -> Go:
    """An import is taken back."""
    told = desk(visit, "undo", {"delivery": visit.form.get("delivery")})
    return Go(
        "/console/imports", Notice(told["message"], told.get("details"), undo=told["delivery"])
    )


def _reconciled(visit: Visit, upload: Upload) -> Page:
    """A vendor's export of an event beside the record."""
    event = visit.form.get("event")
    if not event:
        raise Said(400, "Choose the event that the file is of")
    whole(event, "event")
    query = [("event", event)]
    query += [("map", one) for one in visit.form.get("maps").splitlines() if one.strip()]
    found = visit.api.post(
        "/api/imports/reconcile/", upload.body, upload.content_type or "text/csv", query
    )
    meeting = visit.api.get(f"/api/events/{event}/")
    for one in found["in_file"][:_MOST_NAMED]:
        known = visit.api.get("/api/students/", identifier=one["student"], limit=1)["students"]
        one["name"] = known[0]["name"] if known else ""
    values = {"event": meeting, "found": found, "file": upload.name}
    return Page("reconcile.html", values)


def reconcile(visit: Visit) -> Go:
    """Rows of a file are recorded, or attendances taken back, as the desk."""
    form = visit.form
    reason = f"reconcile {form.get('file')}"[:200]
    # All are read before the first is done.
    actions: list[tuple[str, dict[str, Any]]] = []
    for one in form.every("record"):
        student, _, at = one.partition("|")
        came: dict[str, Any] = {"student": student, "event": form.get("event")}
        actions.append(("check_in", {**came, "at": at} if at else came))
    for one in form.every("withdraw"):
        actions.append(("withdraw", {"attendance": whole(one, "attendance")}))
    for one in form.every("correct"):
        attendance, _, at = one.partition("|")
        row = whole(attendance, "attendance")
        actions.append(("correct", {"attendance": row, "checked_in_at": at}))
    for action, data in actions:
        desk(visit, action, data, reason)
    number = len(actions)
    text = f"{number} attendances are put right"
    return Go(f"/console/events/{form.get('event')}", Notice(text))


VIEWS = (
    View("GET", "imports", page, Scope.DESK),
    View("GET", "imports/<delivery>", one, Scope.DESK),
    View("POST", "imports/look", look, Scope.DESK, lane="import", takes_files=True),
    View("POST", "imports/apply", apply, Scope.DESK, lane="import"),
    View("POST", "imports/undo", undo, Scope.DESK, lane="work"),
    View("POST", "imports/reconcile", reconcile, Scope.DESK, lane="work"),
)
