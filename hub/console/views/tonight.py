"""Tonight: the events of a day, live."""

from datetime import date
from typing import Any

from hub.console.inside import Said
from hub.console.views.common import arrivals
from hub.console.visit import Page, View, Visit
from hub.domain.timestamps import calendar_date, utc_now
from hub.domain.tokens import Scope

_NEWEST = 20


def tonight(visit: Visit) -> Page:
    """The events of today, or of the ``day`` that is asked for."""
    day = visit.query.get("day") or calendar_date(utc_now(), visit.zone).isoformat()
    try:
        date.fromisoformat(day)
    except ValueError:
        raise Said(400, "Invalid day: use a date such as 2026-11-12") from None
    events = list(visit.api.rows("/api/events/", "events", from_=day, to=day))
    for event in events:
        event["arrivals"] = arrivals(visit, event["id"]) if event["attendances"] else []
    newest: list[Any] = []
    if visit.may(Scope.READ) and events:
        newest = visit.api.get(
            "/api/attendances/", from_=day, to=day, order="newest", limit=_NEWEST
        )["attendances"]
    unsettled = 0
    if visit.may(Scope.DESK):
        causes = visit.api.get("/api/deliveries/causes/", since=day)["causes"]
        unsettled = sum(one["deliveries"] for one in causes)
    values = {"day": day, "events": events, "newest": newest, "unsettled": unsettled}
    return Page("tonight.html", values, live="_tonight.html")


VIEWS = (
    View("GET", "", tonight, Scope.COUNTS),
    View("GET", "tonight", tonight, Scope.COUNTS),
)
