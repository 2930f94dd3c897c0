"""Reports: students, events, weeks, each as a plot and a table."""

from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Scope

_PAGE = 100
_FILTERS = ("from", "to", "name", "type")


def page(visit: Visit) -> Page:
    """How many came when; and to which events."""
    query = {name: visit.query.get(name, "") for name in _FILTERS}
    by = visit.query.get("by") or "week"
    rows = list(visit.api.rows("/api/reports/events/", "rows", by=by, **query))
    return Page("reports.html", {"filters": query, "by": by, "rows": rows})


def students(visit: Visit) -> Page:
    """Who came how often."""
    query = {name: visit.query.get(name, "") for name in (*_FILTERS, "at_least", "order")}
    told = visit.api.get(
        "/api/reports/students/",
        **query,
        limit=_PAGE,
        count="true",
        cursor=visit.query.get("cursor"),
    )
    values = {"filters": query, "of": told["of"], "rows": told["students"], "next": told["next"]}
    return Page("report_students.html", {**values, "number": told["count"]})


VIEWS = (
    View("GET", "reports", page, Scope.COUNTS),
    View("GET", "reports/students", students, Scope.READ),
)
