"""Sources: the pulse of each, how it must be signed, and a command that posts to it."""

import json
from typing import Any

from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Scope

_OUTCOMES = ("applied", "ignored", "repeated", "refused", "failed")


def listed(visit: Visit) -> Page:
    """All sources."""
    found = visit.api.get("/api/sources/", days=14)["sources"]
    for source in found:
        source["plot"] = [
            (day["date"][5:], {name: day[name] for name in _OUTCOMES if day.get(name)})
            for day in source["days"]
        ]
        source["curl"] = command(visit.address, source)
    return Page("sources.html", {"sources": found}, live="_sources.html")


def command(address: str, source: Any) -> str:
    """A command that posts to a source, as it must be signed."""
    body = "…" if source["example"] is None else json.dumps(source["example"])
    url = f"{address}{source['path']}"
    quoted = "'" + body.replace("'", "'\\''") + "'"
    lines = [f"BODY={quoted}"]
    signing = source["signing"]
    if signing is None:
        return (
            f"The source {source['name']} takes requests of a form of its own: see docs/catalogue, or "
            f"the plugin {source['plugin']}."
        )
    headers = ["-H 'Content-Type: application/json'", *signing["headers"]]
    options = " \\\n  ".join([*headers, '-d "$BODY"'])
    return "\n".join([*lines, *signing["lines"], f"curl -X POST {url} \\\n  {options}"])


VIEWS = (View("GET", "sources", listed, Scope.READ),)
