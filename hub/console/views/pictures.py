"""QR codes (ISO/IEC 18004) as pictures: of a person for the phone, of an event for the door."""

import io
from collections.abc import Mapping
from typing import Any

from hub.api.files import File, slug
from hub.console.inside import Said
from hub.console.visit import Page, Shown, View, Visit
from hub.domain.tokens import Scope

_TYPES = {"svg": "image/svg+xml", "png": "image/png"}
_SHEET = 120


def text_of(student: Mapping[str, Any]) -> str:
    """What a person's code says: the A-number, else the e-mail, else another identifier with its kind."""
    if student["identifier"] or student["email"]:
        return str(student["identifier"] or student["email"])
    for one in student["identifiers"]:
        return f"{one['kind']}:{one['value']}"
    raise Said(404, "The student has no identifier", "Give one first")


def person(visit: Visit, student: str, form: str) -> Shown:
    """The code of a person."""
    found = visit.api.get(f"/api/students/{student}/")
    return _picture(text_of(found), form, f"qr {found['identifier'] or found['id']}")


def event(visit: Visit, event: str, form: str) -> Shown:
    """The code of an event: its id."""
    found = visit.api.get(f"/api/events/{event}/")
    return _picture(str(found["id"]), form, f"qr {found['name']}")


def _picture(text: str, form: str, name: str) -> File:
    if form not in _TYPES:
        raise Said(404, "There is no such picture", "Use .svg or .png")
    import segno  # only who looks at a picture needs it

    target = io.BytesIO()
    segno.make(text, micro=False, error="m").save(target, kind=form, scale=8, border=4)
    headers = {
        "Content-Type": _TYPES[form],
        "Content-Disposition": f'inline; filename="{slug(name)}.{form}"',
    }
    return File(200, iter([target.getvalue()]), headers)


def sheet(visit: Visit) -> Page:
    """Codes of many persons, to be printed and cut."""
    q = visit.query.get("q", "")
    told = visit.api.get("/api/students/", q=q, limit=_SHEET, cursor=visit.query.get("cursor"))
    students = [one for one in told["students"] if one["identifiers"]]
    return Page("codes.html", {"students": students, "next": told["next"], "q": q})


VIEWS = (
    View("GET", "students/codes", sheet, Scope.READ),
    View("GET", "pictures/students/<student>.<form>", person, Scope.READ),
    View("GET", "pictures/events/<event>.<form>", event, Scope.COUNTS),
)
