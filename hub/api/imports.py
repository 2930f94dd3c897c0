"""Imports over HTTP: a file is the body of a request, what became of its rows the answer."""

from collections.abc import Iterator
from datetime import tzinfo
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from hub.api.access import NO_STORE, Answered, Asked, Door
from hub.api.listing import DEFAULT_LIMIT, read_flag, read_id, read_text
from hub.api.route import Route
from hub.domain.timestamps import format_utc
from hub.domain.tokens import Scope
from hub.errors import NotFound, Refused
from hub.intake import answers
from hub.intake.tokens import Tokens
from hub.jobs.imports import SOURCE, File, Imported, Imports
from hub.jobs.reconcile import compare
from hub.record import attendances, imports, roster, search
from hub.record import named as record_named
from hub.record.attendances import Attendances
from hub.record.objects import Object, Objects
from hub.record.search import read_limit
from hub.sheets.columns import Kind, wish
from hub.sheets.rows import Meeting
from hub.store.store import Entities, Store

PATH = "/api/imports/"
LANE = "import"
_PAGE = 500


class ImportsApi:
    """Takes files of at most ``limit`` bytes. ``zone`` is the hub's."""

    def __init__(
        self, imports: Imports, store: Store, tokens: Tokens, limit: int, zone: tzinfo
    ) -> None:
        self._imports = imports
        self._store = store
        self._door = Door(tokens, NO_STORE)
        self._limit = limit
        self._zone = zone
        self._objects = Objects(zone)

    def routes(self) -> Iterator[Route]:
        """One for each kind of file; the earlier imports; a file beside the record."""
        for kind in Kind:
            parameters = ["dry_run", "map", "zone"]
            if kind is Kind.ATTENDANCES:
                parameters.append("event")
            yield self._door.route(
                "POST",
                f"{PATH}{kind.value}",
                partial(self._import, kind),
                Scope.DESK,
                parameters,
                lane=LANE,
                body_limit=self._limit,
                several=("map",),
                takes_files=True,
            )
        yield self._door.route(
            "GET", PATH.rstrip("/"), self._list, Scope.DESK, ("limit", "cursor"), lane="record"
        )
        yield self._door.route(
            "POST",
            f"{PATH}reconcile",
            self._reconcile,
            Scope.DESK,
            ("event", "map", "zone"),
            lane=LANE,
            body_limit=self._limit,
            several=("map",),
            takes_files=True,
        )

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

    def _list(self, asked: Asked) -> Answered:
        """The earlier imports, the newest first."""
        limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        before = search.read_cursor(asked.query.get("cursor", ""))
        with self._store.reading() as db:
            found = imports.every(db, SOURCE, before, limit + 1)
        told = [
            {
                "import": one.delivery,
                "kind": one.kind,
                "received_at": format_utc(one.received_at),
                "by": one.by,
                **one.counts,
                "undone_by": one.undone_by,
            }
            for one in found[:limit]
        ]
        following = told[-1]["import"] if len(found) > limit else None
        return answers.answer(200, {"imports": told, "next": following})

    def _reconcile(self, asked: Asked) -> Answered:
        """A vendor's export of an event beside the record."""
        query = asked.query
        event = read_text(query, "event")
        if event is None or (number := read_id(event)) is None:
            raise Refused("event is required", "Give the event's id")
        if not asked.body:
            raise Refused("The request has no file", "Send it as the body")
        with self._store.reading() as db:
            known = roster.events_of(db, [number], counted=False)
            if not known or known[0].merged_into is not None:
                raise NotFound(f"Event with identifier {event[:64]} not found")
            meeting = known[0].meeting
            events = tuple(roster.merged_events(db).group(number))
            wanted = Attendances(events=events, hidden_events=True)
            sheet = self._sheet(db, wanted)
            found = compare(
                sheet,
                partial(_student_of, db),
                Meeting(meeting.id, meeting.starts_at),
                asked.body,
                [wish(one) for one in query.get("map", "").split("\n") if one],
                read_zone(query.get("zone")) or self._zone,
            )
        return answers.answer(200, found.as_object())

    def _sheet(self, db: Entities, wanted: Attendances) -> list[Object]:
        """All attendances of an event."""
        told: list[Object] = []
        after = 0
        while True:
            page = attendances.page(db, wanted, after, _PAGE)
            told += [self._objects.attendance(one) for one in page]
            if len(page) < _PAGE:
                return told
            after = page[-1].id


def _student_of(db: Entities, named: str) -> int | None:
    """The id of the student whom an identifier means."""
    try:
        found = record_named.students(db, named)
    except Refused:
        return None
    return found[0] if found else None


def shown(done: Imported) -> dict[str, Any]:
    """An import as it is answered."""
    results = []
    for row in done.rows:
        told: dict[str, Any] = {"row": row.number, "outcome": row.outcome}
        if row.message is not None:
            told["message"] = row.message
        if row.student is not None:
            told["student"] = row.student
        if row.text:
            told["text"] = row.text
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
