"""What the pages have the desk do, in one step each."""

from typing import Any

from hub.console.inside import Said
from hub.console.views.common import desk as ask
from hub.console.views.common import done, payload, whole
from hub.console.visit import Go, View, Visit
from hub.domain.tokens import Scope

_PLAIN = frozenset(
    {
        *("check_in", "check_out", "withdraw", "restore", "undo", "settle"),
        *("hide_student", "show_student", "merge_students", "split_students"),
        *("hide_event", "show_event", "merge_events", "split_events"),
    }
)
_TEXTS = ("student", "event", "keep", "merge", "delivery", "doubt", "at")


def act(visit: Visit, action: str) -> Go:
    """An action whose data are the form's fields."""
    if action not in _PLAIN:
        raise Said(404, "There is no such action")
    form = visit.form
    data: dict[str, Any] = {name: form.get(name) for name in _TEXTS if form.get(name)}
    if form.get("attendance"):
        data["attendance"] = whole(form.get("attendance"), "attendance")
    told = ask(visit, action, data, form.get("reason"))
    if action == "settle":
        told = {**told, "message": "Set aside"}
    return done(visit, told, "/console/")


def mend(visit: Visit) -> Go:
    """What a doubt proposes."""
    given = payload(visit.form.get("payload"))
    told = ask(visit, given["action"], given["data"], visit.form.get("reason"))
    return done(visit, told, "/console/doubts")


VIEWS = (
    View("POST", "desk/mend", mend, Scope.DESK),
    View("POST", "desk/<action>", act, Scope.DESK, lane="work"),
)
