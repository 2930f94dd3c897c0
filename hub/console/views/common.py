"""What the views have in common: what is said after something was done, and times as forms have them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hub.console.inside import Said
from hub.console.sessions import Notice
from hub.console.visit import Go, Visit
from hub.domain.timestamps import format_utc, parse_utc
from hub.errors import Refused
from hub.wire.strict_json import parse

_SPAN = 5
_LONGEST_GAP = 36
_LOOKED_AT = 500

DESK = "/api/webhook/desk/"


def desk(visit: Visit, action: str, data: Mapping[str, Any], reason: str = "") -> Any:
    """What the desk answers. Raises Said."""
    payload = {"action": action, "data": dict(data)}
    if reason:
        payload["reason"] = reason
    return visit.api.post(DESK, payload)


def done(visit: Visit, told: Mapping[str, Any], to: str) -> Go:
    """Back, saying what the desk did, with its undo."""
    about = told.get("attendance") or {}
    who = about.get("student", {}).get("name") or (told.get("student") or {}).get("name")
    what = (told.get("event") or {}).get("name")
    text = told["message"] + (f": {who}" if who else f": {what}" if what else "")
    return Go(
        visit.form.get("back") or to, Notice(text, told.get("details"), undo=told["delivery"])
    )


def arrivals(visit: Visit, event: int) -> list[Any]:
    """How many came and left, every five minutes; also when nobody did, unless it is for hours."""
    rows: list[Any] = list(
        visit.api.rows("/api/reports/arrivals/", "rows", event=event, minutes=_SPAN)
    )
    told: list[Any] = []
    for row in rows:
        since = parse_utc(row["since"])
        if told:
            last = parse_utc(told[-1]["since"])
            missing = int((since - last).total_seconds() // (60 * _SPAN)) - 1
            for number in range(missing if missing <= _LONGEST_GAP else 0):
                empty = last + (number + 1) * timedelta(minutes=_SPAN)
                told.append({"since": format_utc(empty), "came": 0, "left": 0})
        told.append(row)
    return told


def payload(text: str) -> Mapping[str, Any]:
    """A payload for the desk, as a form of the console has it. Raises Said."""
    try:
        given = parse(text.encode())
        return {"action": str(given["action"]), "data": dict(given["data"])}
    except (Refused, ValueError, KeyError, TypeError):
        raise Said(400, "The form cannot be read", "Send it again from its page") from None


def typed(visit: Visit) -> Mapping[str, str]:
    """What stood in the form that was sent, to be shown in it once more where it was refused."""
    return {name: visit.form.get(name) for name in visit.form.fields}


def side_by_side(visit: Visit, plural: str, attended: str) -> Mapping[str, Any]:
    """Two that may be one, ``keep`` and ``merge`` of the address: what of ``both`` is at the same
    ``attended`` (student or event), and of how many of these they are together.
    """
    keep, other = (
        visit.api.get(f"/api/{plural}/{whole(visit.query.get(one, ''), one)}/")
        for one in ("keep", "merge")
    )
    one, two = (
        {
            row[attended]["id"]: row
            for row in visit.api.rows(f"/api/{plural}/{side['id']}/attendances/", "attendances")
        }
        for side in (keep, other)
    )
    both = [(one[at], two[at]) for at in one if at in two]
    return {"keep": keep, "other": other, "both": both, "together": len({*one, *two})}


def people(visit: Visit, q: str, most: int) -> list[Any]:
    """Whom a text may mean: those first whose name begins with it, then those who have it in the name,
    then those who have it in an identifier, but for what follows an ``@``, which all addresses have.
    """
    if not q:
        return []
    sought = q.casefold()

    def rank(one: Any) -> int | None:
        words = one["name"].casefold(), one["preferred_name"].casefold()
        if any(word.startswith(sought) for text in words for word in (text, *text.split())):
            return 0
        if any(sought in text for text in words):
            return 1
        values = (named["value"].casefold() for named in one["identifiers"])
        own = (value if "@" in sought else value.partition("@")[0] for value in values)
        return 2 if any(sought in value for value in own) else None

    found = visit.api.get("/api/students/", q=q, limit=_LOOKED_AT)["students"]
    ranked = [(at, one) for one in found if (at := rank(one)) is not None]
    return [one for _, one in sorted(ranked, key=lambda both: both[0])][:most]


def whole(text: str, name: str) -> int:
    """A number of a form. Raises Said."""
    if text.isascii() and text.isdigit() and len(text) < 19:
        return int(text)
    raise Said(400, f"Invalid {name}: use a whole number")
