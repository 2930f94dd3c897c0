"""Imports over HTTP: a file is the body of a request, what became of its rows the answer."""

from collections.abc import Iterator
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from hub.api.access import NO_STORE, Answered, Asked, Door
from hub.api.listing import read_flag, read_text
from hub.api.route import Route
from hub.domain.tokens import Scope
from hub.errors import Refused
from hub.intake import answers
from hub.intake.tokens import Tokens
from hub.jobs.imports import File, Imported, Imports
from hub.sheets.columns import Kind, wish

PATH = "/api/imports/"
LANE = "import"


class ImportsApi:
    """Takes files of at most ``limit`` bytes."""

    def __init__(self, imports: Imports, tokens: Tokens, limit: int) -> None:
        self._imports = imports
        self._door = Door(tokens, NO_STORE)
        self._limit = limit

    def routes(self) -> Iterator[Route]:
        """One for each kind of file."""
        for kind in Kind:
            parameters = ["dry_run", "map", "zone"]
            if kind is Kind.ATTENDANCES:
                parameters.append("event")
            answer = partial(
                self._door.answer,
                partial(self._import, kind),
                Scope.DESK,
                parameters,
                body_limit=self._limit,
                several=("map",),
            )
            yield Route("POST", f"{PATH}{kind.value}", answer, lane=LANE)

    def _import(self, kind: Kind, asked: Asked) -> Answered:
        query = asked.query
        if not asked.body:
            raise Refused("The request has no file", "Send it as the body")
        wishes = [wish(one) for one in query.get("map", "").split("\n") if one]
        done = self._imports.run(
            kind,
            File(asked.body, asked.environ.get("CONTENT_TYPE", "")),
            wishes=wishes,
            event=read_text(query, "event"),
            zone=read_zone(query.get("zone")),
            trial=read_flag(query, "dry_run"),
            by=asked.token.name,
        )
        return answers.answer(200, shown(done))


def shown(done: Imported) -> dict[str, Any]:
    """An import as it is answered."""
    results = []
    for row in done.rows:
        told: dict[str, Any] = {"row": row.number, "outcome": row.outcome}
        if row.message is not None:
            told["message"] = row.message
        if row.student is not None:
            told["student"] = row.student
        if row.delivery is not None:
            told["delivery"] = row.delivery
        results.append(told)
    return {
        "import": done.delivery,
        "form": done.form,
        "columns": done.columns,
        "warnings": list(done.warnings),
        "rows": len(done.rows),
        **done.counts(),
        "absent": list(done.absent),
        "results": results,
    }


def read_zone(text: str | None) -> ZoneInfo | None:
    """A zone of the IANA database. Raises Refused for one that there is not."""
    if text is None:
        return None
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise Refused("Invalid zone: use a name such as America/Denver") from None
