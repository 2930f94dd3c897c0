"""Set-up: settings, plugins, targets, captures, tokens."""

from hub.console.sessions import Notice
from hub.console.visit import Go, Page, View, Visit
from hub.domain.tokens import Scope

_SCOPES = {
    Scope.COUNTS: "events and head counts, never a person: for a display on the wall",
    Scope.READ: "the whole record, changing nothing",
    Scope.POST: "post to sources that take tokens: for the tablet at a door, a scanner",
    Scope.DESK: "read, and put right: for an officer",
    Scope.METRICS: "the hub's metrics",
    Scope.ADMIN: "everything, with tokens and all deliveries",
}
"""What each scope is for."""


def page(visit: Visit) -> Page:
    """All of it."""
    found = visit.api.get("/api/setup/")
    tokens = visit.api.get("/api/tokens/")["tokens"]
    sources = [one["name"] for one in visit.api.get("/api/sources/", days=1)["sources"]]
    values = {"setup": found, "tokens": tokens, "scopes": _SCOPES, "sources": sources}
    return Page("setup.html", {**values, "made": None})


def create(visit: Visit) -> Page:
    """A token is made, and shown once."""
    form = visit.form
    given = {
        "name": form.get("name"),
        "scopes": form.every("scope"),
        "sources": form.every("source"),
        "expires": form.get("expires") or None,
    }
    made = visit.api.post("/api/tokens/", given)
    values = {"made": made, "door": "post" in form.every("scope"), "address": visit.address}
    return Page("token.html", values)


def revoke(visit: Visit) -> Go:
    """A token opens nothing any more."""
    told = visit.api.post("/api/tokens/revoke/", {"name": visit.form.get("name")})
    return Go("/console/setup#tokens", Notice(told["message"]))


def capture(visit: Visit, capture: str) -> Page:
    """What a capture has taken."""
    found = visit.api.get(f"/api/captures/{capture}/")
    return Page("capture.html", {"capture": found})


VIEWS = (
    View("GET", "setup", page, Scope.ADMIN),
    View("POST", "setup/tokens", create, Scope.ADMIN, lane="work"),
    View("POST", "setup/tokens/revoke", revoke, Scope.ADMIN, lane="work"),
    View("GET", "setup/captures/<capture>", capture, Scope.ADMIN),
)
