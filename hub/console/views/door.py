"""The door: one event, full screen. A code goes in; a name, green or red, and the reason come out."""

import json
import re
from datetime import timedelta
from typing import Any

from hub.console.inside import Api, Said
from hub.console.visit import Page, Shown, View, Visit
from hub.domain.identifiers import A_NUMBER, CARD, EMAIL, ROW, SEPARATORS
from hub.domain.timestamps import calendar_date, format_utc, utc_now
from hub.domain.tokens import Scope
from hub.intake import answers

SOURCE = "console"
DOOR = f"/api/webhook/{SOURCE}/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}", re.ASCII)
_A_NUMBER = re.compile(r"[A-Za-z][0-9]{5,}", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f]{8,}", re.ASCII)
_DAYS = 7
_DELAYED = 5
_LONGEST = 30 * 24 * 3600


def doors(visit: Visit) -> Page:
    """The events at whose door somebody may stand now."""
    api = _api(visit)
    today = calendar_date(utc_now(), visit.zone)
    since, until = (today + timedelta(days=days) for days in (-1, _DAYS))
    events = list(api.rows("/api/events/", "events", from_=since.isoformat(), to=until.isoformat()))
    return Page("doors.html", {"events": events, "today": today.isoformat()})


def door(visit: Visit, event: str) -> Page:
    """The door of an event."""
    return _page(visit, event, None)


def scan(visit: Visit, event: str) -> Shown:
    """A code was read: who it is, and whether they are in."""
    found = _scanned(visit, event)
    if visit.form.get("json"):
        return answers.answer(200, found)
    return _page(visit, event, found)


def _page(visit: Visit, event: str, found: Any) -> Page:
    meeting = _api(visit).get(f"/api/events/{event}/")
    values = {"event": meeting, "found": found, "leaves": visit.form.get("leaves")}
    return Page("door.html", values)


def _api(visit: Visit) -> Api:
    """The API, for who may post alone: the door shows the event, and of persons whoever comes."""
    if not visit.token.may(Scope.POST, SOURCE) and not visit.may(Scope.DESK):
        raise Said(
            403, "This token may not do that", f"It needs the scope desk, or post to {SOURCE}"
        )
    return visit.api.with_scopes(Scope.READ, Scope.POST)


def _scanned(visit: Visit, event: str) -> dict[str, Any]:
    api, form = _api(visit), visit.form
    code = form.get("code")
    if not code:
        return {"colour": "red", "name": "", "text": "Nothing was read", "code": ""}
    if not any(one.isdigit() for one in code) and "@" not in code and ":" not in code:
        text = "That is no A-number, e-mail or card: nothing is noted"
        return {"colour": "red", "name": "Not taken", "text": text, "code": code}
    student = _identified(api, code)
    payload: dict[str, Any] = {
        "student": student,
        "event": event,
        "leaves": bool(form.get("leaves")),
    }
    person = _person(api, student) if payload["leaves"] else None
    absence = None if person is None else _absence(api, person, event)
    age = form.get("age")
    seconds = int(age) if re.fullmatch("[0-9]{1,9}", age, re.ASCII) else 0
    if _DELAYED < seconds <= _LONGEST:
        at = utc_now().replace(microsecond=0) - timedelta(seconds=seconds)
        payload["at"] = format_utc(at)
    if form.get("key"):
        payload["key"] = form.get("key")
    made = api.answer("POST", DOOR, "", json.dumps(payload).encode())
    told = json.loads(str(getattr(made, "body", "{}")))
    if made.status in (429, 503):
        raise Said(made.status, told["error"], told.get("details"))
    if made.status == 200 and payload["leaves"] and "checked_out_at" in told:
        told["student"] = person or {}
    # A scan that was taken, and whose answer was lost on the way, is told the first one.
    is_again = "X-Delivery-Replayed" in getattr(made, "headers", {})
    if made.status == 200 and person is not None and absence is not None and not is_again:
        return {"colour": "amber", "name": person["name"], "text": absence, "code": code}
    is_new = made.status == 201 or (is_again and made.status == 200 and "student" in told)
    return _said(
        201 if is_new and not payload["leaves"] else made.status, told, code, payload["leaves"]
    )


def _person(api: Api, student: str) -> Any:
    """Whom an identifier names; None for nobody, and for what cannot be one."""
    try:
        return next(iter(api.get("/api/students/", identifier=student, limit=1)["students"]), None)
    except Said:
        return None


def _absence(api: Api, person: Any, event: str) -> str | None:
    """What the screen says of somebody who leaves, and is not here; None where they are."""
    who = f"id:{person['id']}"
    try:
        rows = api.get("/api/attendances/", student=who, event=event, limit=1)["attendances"]
    except Said:
        return None
    if not rows:
        return "Has not come"
    return "Has left already" if rows[0]["state"] == "left" else None


def _said(status: int, told: Any, code: str, leaves: bool) -> dict[str, Any]:
    """What the screen says."""
    name = (told.get("student") or {}).get("name", "")
    if status == 201:
        return {"colour": "green", "name": name, "text": "Welcome", "code": code}
    if status == 200 and leaves and name:
        return {"colour": "green", "name": name, "text": "Good-bye", "code": code}
    if status == 200 and name:
        text = "Came, and has left" if told.get("checked_out_at") else "Is here already"
        return {"colour": "amber", "name": name, "text": text, "code": code}
    if status == 200:
        text = told.get("details") or "There is nothing to record"
        return {"colour": "amber", "name": "", "text": text, "code": code}
    if status == 404:
        text = f"{told['error']}. It is noted, and waits."
        return {"colour": "red", "name": "Not known", "text": text, "code": code}
    text = told.get("error", "It failed")
    return {"colour": "red", "name": name or "Not taken", "text": text, "code": code}


def _identified(api: Api, code: str) -> str:
    """Whose code it is, as ``<kind>:<value>``. A number may be an A-number or that of a card: whatever
    somebody has; of nobody's, what it looks like.
    """
    kind, separator, value = code.partition(":")
    if separator and re.fullmatch(r"[a-z_]{2,32}", kind) and kind != ROW and value.strip():
        return code
    if "@" in code:
        return f"{EMAIL}:{code}"
    if _TOKEN.fullmatch(code):
        return f"qr:{code}"
    for kind in (A_NUMBER, CARD):
        if _person(api, f"{kind}:{code}") is not None:
            return f"{kind}:{code}"
    bare = code.translate(str.maketrans("", "", SEPARATORS))
    is_card = _HEX.fullmatch(bare) and not _A_NUMBER.fullmatch(code)
    return f"{CARD if is_card else A_NUMBER}:{code}"


VIEWS = (
    View("GET", "door", doors, None),
    View("GET", "door/<event>", door, None),
    View("POST", "door/<event>", scan, None),
)
