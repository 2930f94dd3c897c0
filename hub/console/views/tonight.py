"""Tonight: the events of a day, live."""

from datetime import date, timedelta
from typing import Any

from hub.console.inside import Said
from hub.console.views.common import arrivals
from hub.console.visit import Page, View, Visit
from hub.domain.timestamps import calendar_date, format_utc, utc_now
from hub.domain.tokens import Scope
from hub.record.named import midnight

_NEWEST = 20
_LONGEST = timedelta(hours=6)
"""How long after its start an event is still one of tonight."""


def tonight(visit: Visit) -> Page:
    """The events of today, or of the ``day`` that is asked for."""
    asked, now = visit.query.get("day"), utc_now()
    day = asked or calendar_date(now, visit.zone).isoformat()
    try:
        date.fromisoformat(day)
    except ValueError:
        raise Said(400, "Invalid day: use a date such as 2026-11-12") from None
    # What began before midnight goes on after it.
    late = now.replace(microsecond=0) - _LONGEST
    begun = midnight(date.fromisoformat(day), visit.zone)
    since = format_utc(begun if asked else min(late, begun))
    events = list(visit.api.rows("/api/events/", "events", from_=since, to=day))
    for event in events:
        event["arrivals"] = arrivals(visit, event["id"]) if event["attendances"] else []
    newest: list[Any] = []
    if visit.may(Scope.READ) and events:
        newest = visit.api.get(
            "/api/attendances/", from_=since, to=day, order="newest", limit=_NEWEST
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
