"""One attendance: everything that said so, and its times put right."""

from typing import Any

from hub.console.inside import Said
from hub.console.views.common import desk, done, typed, whole
from hub.console.visit import Page, Shown, View, Visit
from hub.domain.tokens import Scope

_TIMES = ("checked_in_at", "checked_out_at")


def attendance(visit: Visit, attendance: str, said: Said | None = None) -> Page:
    """One attendance: everything that said so, and what can be put right."""
    found = visit.api.get(f"/api/attendances/{attendance}/")
    values = {"one": found, "typed": typed(visit), "said": said}
    return Page("attendance.html", values, 200 if said is None else said.status)


def correct(visit: Visit) -> Shown:
    """The times are set: those that are another than the form had."""
    form = visit.form
    number = whole(form.get("attendance"), "attendance")
    data: dict[str, Any] = {"attendance": number}
    for name in _TIMES:
        now, before = form.get(name), form.get(f"{name}_before")
        if now != before:
            data[name] = now or None
    try:
        if len(data) == 1:
            raise Said(400, "Both times are as they were", "Change one of them")
        told = desk(visit, "correct", data, form.get("reason"))
    except Said as said:
        return attendance(visit, str(number), said)
    return done(visit, told, f"/console/attendances/{number}")


VIEWS = (
    View("GET", "attendances/<attendance>", attendance, Scope.READ),
    View("POST", "desk/correct", correct, Scope.DESK),
)
