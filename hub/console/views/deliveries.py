"""Deliveries: the list, and each one: what came, what was made of it, what became of it."""

import difflib
from collections.abc import Sequence
from typing import Any

from hub.console.frame import pretty
from hub.console.sessions import Notice
from hub.console.visit import Go, Page, View, Visit
from hub.domain.tokens import Scope

_PAGE = 50
_FILTERS = ("status", "source", "since", "student", "event", "waiting_for", "error")


def listed(visit: Visit) -> Page:
    """The deliveries that the token may see, the newest first."""
    query = {name: visit.query.get(name, "") for name in _FILTERS}
    told = visit.api.get("/api/deliveries/", **query, limit=_PAGE, cursor=visit.query.get("cursor"))
    values = {"deliveries": told["deliveries"], "next": told["next"], "filters": query}
    return Page("deliveries.html", values)


def delivery(visit: Visit, delivery: str) -> Page:
    """One delivery."""
    found = visit.api.get(f"/api/deliveries/{delivery}/", operations="true")
    attempts = found["attempts"]
    for before, one in zip([None, *attempts[:-1]], attempts, strict=True):
        one["lines"] = _lines(None if before is None else before["answer"], one["answer"])
    trial = None
    if visit.query.get("dry_run"):
        trial = visit.api.post(
            f"/api/deliveries/{delivery}/replay/", b"", query=[("dry_run", "true")]
        )
        trial["lines"] = _lines(attempts[-1]["answer"], trial["answer"])
    return Page("delivery.html", {"one": found, "trial": trial})


def _lines(before: Any, after: Any) -> Sequence[tuple[str, str]]:
    """The lines of an answer, each marked: ``+`` what the one before had not, ``-`` what it had."""
    new = pretty(after).splitlines()
    if before is None:
        return [(" ", line) for line in new]
    old = pretty(before).splitlines()
    return [(line[0], line[2:]) for line in difflib.ndiff(old, new) if line[0] != "?"]


def replay(visit: Visit, delivery: str) -> Go:
    """A delivery is attempted again."""
    told = visit.api.post(f"/api/deliveries/{delivery}/replay/", b"")
    answer = told["answer"]
    details = answer.get("details") or answer.get("message") or answer.get("error")
    notice = Notice(f"Attempt {told['attempt']}: {told['outcome']}", details)
    return Go(f"/console/deliveries/{delivery}", notice)


VIEWS = (
    View("GET", "deliveries", listed, Scope.DESK),
    View("GET", "deliveries/<delivery>", delivery, Scope.DESK),
    View("POST", "deliveries/<delivery>/replay", replay, Scope.DESK, lane="work"),
)
