"""Reports over HTTP: who came how often, and how many came to what and when."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta, tzinfo
from enum import StrEnum
from functools import partial
from typing import TypeVar

from hub.api.access import PRIVATE, Answered, Asked, Door
from hub.api.files import FORMS
from hub.api.listing import OF_FILES, PAGED, read_events, worked_out
from hub.api.route import Route
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope
from hub.errors import Refused
from hub.export.table import Column, columns
from hub.intake.tokens import Tokens
from hub.record import named, reports
from hub.record.objects import Object, Objects
from hub.record.reports import By, Order
from hub.record.search import read_number
from hub.store.store import Entities, Store

Choice = TypeVar("Choice", bound=StrEnum)

_EVENTS = ("from", "to", "name", "type")
_LONGEST_SPAN = 1440


class Reports:
    """The reports as objects, for the API and for the commands. ``zone`` is the hub's."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._objects = Objects(zone)

    def students(self, db: Entities, query: Mapping[str, str]) -> tuple[int, list[Object]]:
        """How many events have begun that count, and a row for each student. Raises Refused."""
        at_least = _whole(query.get("at_least", "1"))
        order = choice(Order, query, "order", Order.NAME)
        of, found = reports.students(db, read_events(query, self._zone), utc_now(), at_least, order)
        return of, [
            {
                "student": self._objects.person(one.student),
                "attended": one.attended,
                "of": of,
                "rate": round(one.attended / of, 4) if of else None,
                "points": one.points,
            }
            for one in found
        ]

    def events(self, db: Entities, query: Mapping[str, str]) -> list[Object]:
        """A row for each event, or each period. Raises Refused."""
        by = choice(By, query, "by", By.EVENT)
        return [
            {
                **(
                    {"period": one.period}
                    if one.event is None
                    else {"event": self._objects.meeting(one.event)}
                ),
                "attendances": one.attendances,
                "students": one.students,
                "points": one.points,
            }
            for one in reports.counts(db, read_events(query, self._zone), by, self._zone)
        ]

    def arrivals(self, db: Entities, query: Mapping[str, str]) -> list[Object]:
        """A row for each span of time in which somebody came or left. Raises Refused."""
        minutes = read_number(query.get("minutes", "5"), "minutes", _LONGEST_SPAN)
        wanted = read_events(query, self._zone)
        if "event" in query:
            wanted = replace(wanted, ids=named.events(db, query["event"]))
        span = timedelta(minutes=minutes)
        return [
            {"since": format_utc(one.since), "came": one.came, "left": one.left}
            for one in reports.arrivals(db, wanted, span)
        ]

    def columns(self, query: Mapping[str, str], of_students: bool) -> Sequence[Column]:
        """The columns of a report as a file."""
        if of_students:
            person = ("student.id", "student.identifier", "student.name", "student.email")
            return columns((*person, "attended", "of", "rate", "points"), (), self._zone)
        event = ("event.id", "event.name", "event.date", "event.starts_at")
        first = event if query.get("by", By.EVENT) == By.EVENT else ("period",)
        counts = ("attendances", "students", "points")
        return columns((*first, *counts), ("event.starts_at",), self._zone)

    def columns_of_arrivals(self) -> Sequence[Column]:
        """The columns of the arrivals as a file."""
        return columns(("since", "came", "left"), ("since",), self._zone)


class ReportsApi:
    """Each report, as JSON and as files."""

    def __init__(self, store: Store, tokens: Tokens, zone: tzinfo, public_url: str) -> None:
        self._store = store
        self._door = Door(tokens, PRIVATE)
        self._reports = Reports(zone)
        self._public_url = public_url

    def routes(self) -> Iterator[Route]:
        """Each report."""
        students = (*_EVENTS, "at_least", "order")
        yield from self._routes("students", self._students, Scope.READ, students)
        yield from self._routes("events", self._events, Scope.COUNTS, (*_EVENTS, "by"))
        when = (*_EVENTS, "event", "minutes")
        yield from self._routes("arrivals", self._arrivals, Scope.COUNTS, when)

    def _routes(
        self, name: str, what: Callable[..., Answered], scope: Scope, filters: Sequence[str]
    ) -> Iterator[Route]:
        for ending in ("", *FORMS):
            parameters = (*filters, *OF_FILES) if ending else (*filters, *PAGED, *OF_FILES)
            path = f"/api/reports/{name}" + (f".{ending}" if ending else "")
            answer = partial(what, form=ending or None)
            yield self._door.route("GET", path, answer, scope, parameters, lane="reports")

    def _students(self, asked: Asked, form: str | None) -> Answered:
        with self._store.reading() as db:
            of, rows = self._reports.students(db, asked.query)
        shown = self._reports.columns(asked.query, of_students=True)
        return worked_out(
            asked, form, self._public_url, "students", rows, shown, "report students",
            lambda row: str(row["student"]["id"]), of=of,
        )  # fmt: skip

    def _events(self, asked: Asked, form: str | None) -> Answered:
        with self._store.reading() as db:
            rows = self._reports.events(db, asked.query)
        shown = self._reports.columns(asked.query, of_students=False)
        return worked_out(
            asked, form, self._public_url, "rows", rows, shown, "report events",
            lambda row: str(row["event"]["id"] if "event" in row else row["period"]),
        )  # fmt: skip

    def _arrivals(self, asked: Asked, form: str | None) -> Answered:
        with self._store.reading() as db:
            rows = self._reports.arrivals(db, asked.query)
        shown = self._reports.columns_of_arrivals()
        return worked_out(
            asked, form, self._public_url, "rows", rows, shown, "report arrivals",
            lambda row: str(row["since"]),
        )  # fmt: skip


def choice(kind: type[Choice], query: Mapping[str, str], name: str, default: Choice) -> Choice:
    """One of the words that a parameter may have. Raises Refused."""
    try:
        return kind(query.get(name, default))
    except ValueError:
        raise Refused(f"Invalid {name}: use {', '.join(kind)}") from None


def _whole(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise Refused("Invalid at_least: use a whole number, 0 to list everybody")
