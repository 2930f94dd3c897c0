"""The API of the record: events, students, attendances, each as a listing, one by one, and as a file."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import tzinfo
from functools import partial
from typing import Any, NamedTuple

from hub.api import shown
from hub.api.access import PRIVATE, Answered, Asked, Door
from hub.api.files import FORMS, slug
from hub.api.listing import (
    DEFAULT_LIMIT,
    OF_FILES,
    PAGED,
    VARIES,
    file_of,
    is_known,
    next_link,
    read_cursor,
    read_events,
    read_flag,
    read_id,
    read_period,
    read_text,
    tag_of,
    tagged,
    unchanged,
    wanted_form,
)
from hub.api.route import Route
from hub.domain.evidence import TOLD, State
from hub.domain.timestamps import format_utc
from hub.domain.tokens import Scope
from hub.errors import NotFound, Refused
from hub.export.table import Table, columns
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.record import attendances, changes, deliveries, everything, named, objects, roster
from hub.record.attendances import Attendances
from hub.record.objects import Object, Objects, encode
from hub.record.roster import Directory, Shown, Students
from hub.record.search import read_limit, require_text
from hub.record.views import Event, Meeting, Student
from hub.store.store import Entities, Store

LANE = "record"

_PAGE, _LINES = 200, 500
"""Rows of a file that are read at once; of JSON Lines, which are written faster."""

_STATES = {state.word: state for state in TOLD}
_ATTENDANCES = ("state", "source", "via", "evidence", "order")
_MOST_LIKE = 500
"""Events among which a part of a name is found; the newest."""


Read = Callable[[Entities, int, int], Sequence[Object]]
"""Reads a page: above an id, so many."""


class RecordApi:
    """Listings, objects and files. ``zone`` is the hub's; ``public_url`` where it is reached from
    outside.
    """

    def __init__(self, store: Store, tokens: Tokens, zone: tzinfo, public_url: str) -> None:
        self._store = store
        self._door = Door(tokens, PRIVATE)
        self._zone = zone
        self._public_url = public_url
        self._objects = Objects(zone)
        self._directory = Directory()

    def routes(self) -> Iterator[Route]:
        """Each listing, its files, and each object."""
        from_to = ("from", "to")
        listings: tuple[tuple[str, Any, Scope, Sequence[str]], ...] = (
            (
                "/api/events",
                self._events,
                Scope.COUNTS,
                ("q", "name", "type", *from_to, "state", "order"),
            ),
            ("/api/events/<event>/attendances", self._sheet, Scope.READ, _ATTENDANCES),
            ("/api/events/<event>/absent", self._absent, Scope.READ, ()),
            ("/api/students", self._students, Scope.READ, ("q", "identifier", "state")),
            (
                "/api/students/<student>/attendances",
                self._history,
                Scope.READ,
                (*_ATTENDANCES, *from_to),
            ),
            (
                "/api/attendances",
                self._attendances,
                Scope.READ,
                ("event", "student", *_ATTENDANCES, *from_to),
            ),
        )
        for path, what, scope, filters in listings:
            yield self._route(path, partial(what, form=None), scope, (*filters, *PAGED, *OF_FILES))
            for form in FORMS:
                parameters = (*filters, *OF_FILES) if form == "csv" else filters
                yield self._route(f"{path}.{form}", partial(what, form=form), scope, parameters)
        yield self._route("/api/events/<event>", self._event, Scope.COUNTS, ())
        yield self._route("/api/students/<student>", self._student, Scope.READ, ())
        path = "/api/students/<student>/everything.json"
        yield self._route(path, self._everything, Scope.DESK, ())
        yield self._route("/api/attendances/<attendance>", self._attendance, Scope.READ, ())

    def _route(self, path: str, what: Any, scope: Scope, parameters: Sequence[str]) -> Route:
        return self._door.route("GET", path, what, scope, parameters, lane=LANE)

    def _events(self, asked: Asked, form: str | None) -> Answered:
        query = asked.query
        wanted = replace(read_events(query, self._zone), shown=_shown(query))
        if (part := read_text(query, "q")) is not None:
            with self._store.reading() as db:
                wanted = replace(wanted, ids=roster.events_like(db, part, _MOST_LIKE))

        if _is_newest(query):

            def lines(db: Entities, before: int | None, limit: int) -> list[tuple[int, str]]:
                found = roster.newest_events(db, wanted, before, limit)
                return [(one.meeting.id, encode(self._objects.event(one))) for one in found]

            return self._newest(asked, form, "events", lines)

        def read(db: Entities, after: int, limit: int) -> list[Object]:
            return [self._objects.event(one) for one in roster.events(db, wanted, after, limit)]

        count = partial(roster.count_events, wanted=wanted)
        return self._listed(asked, form, _Listing("events", "events", objects.EVENT, read, count))

    def _students(self, asked: Asked, form: str | None) -> Answered:
        query = asked.query
        part, identifier, shown = query.get("q"), query.get("identifier"), _shown(query)
        require_text(part or "", "q")

        with self._store.reading() as db:
            ids = None if identifier is None else named.students(db, identifier, "identifier")
            if part is not None and not part.isascii():
                found = roster.named_like(db, part)
                ids = found if ids is None else tuple(one for one in ids if one in found)
                part = None
        wanted = Students(q=part, ids=ids, shown=shown)

        def read(db: Entities, after: int, limit: int) -> list[Object]:
            return [self._objects.student(one) for one in roster.students(db, wanted, after, limit)]

        count = partial(roster.count_students, wanted=wanted)
        listing = _Listing("students", "students", objects.STUDENT, read, count)
        return self._listed(asked, form, listing)

    def _sheet(self, asked: Asked, event: str, form: str | None) -> Answered:
        with self._store.reading() as db:
            number, meeting = self._meeting_of(db, event)
            if meeting.id != number:
                return _moved(asked, number, meeting.id)
            events = tuple(self._directory.merged(db)[1].group(number))
        name = f"attendances {meeting.name} {self._objects.meeting(meeting)['date']}"
        return self._attended(asked, form, name, ["events"], events=events)

    def _meeting_of(self, db: Entities, event: str) -> tuple[int, Meeting]:
        """The id in a path, and the event that it is told as. Raises NotFound."""
        number = read_id(event)
        known = self._directory.refresh(db).meetings(db, [number]) if number else {}
        if not number or number not in known:
            raise _no_event(event)
        return number, known[number]

    def _absent(self, asked: Asked, event: str, form: str | None) -> Answered:
        """The students who are not known to have been at an event."""
        with self._store.reading() as db:
            number, meeting = self._meeting_of(db, event)
            if meeting.id != number:
                return _moved(asked, number, meeting.id)
            ids = roster.absent(db, self._directory.merged(db)[1].group(number))
        wanted = Students(ids=ids)

        def read(db: Entities, after: int, limit: int) -> list[Object]:
            return [self._objects.student(one) for one in roster.students(db, wanted, after, limit)]

        name = f"absent {meeting.name} {self._objects.meeting(meeting)['date']}"
        count = partial(roster.count_students, wanted=wanted)
        return self._listed(asked, form, _Listing("students", name, objects.STUDENT, read, count))

    def _history(self, asked: Asked, student: str, form: str | None) -> Answered:
        with self._store.reading() as db:
            found = _student_of(db, student, counted=False)
            person = found.person
            if found.merged_into is not None:
                return _moved(asked, person.id, found.merged_into)
            students = tuple(roster.merged_students(db).group(person.id))
        name = f"attendances {person.identifier or person.id}"
        return self._attended(asked, form, name, ["students"], students=students)

    def _attendances(self, asked: Asked, form: str | None) -> Answered:
        query = asked.query
        with self._store.reading() as db:
            events = named.events(db, query["event"]) if "event" in query else None
            students = named.students(db, query["student"]) if "student" in query else None
        return self._attended(asked, form, "attendances", events=events, students=students)

    def _attended(
        self,
        asked: Asked,
        form: str | None,
        name: str,
        explicit: Sequence[str] = (),
        **about: tuple[int, ...] | None,
    ) -> Answered:
        """Attendances; ``explicit`` names those that are told of though they are hidden."""
        query = asked.query
        since, until = read_period(query, self._zone)
        wanted = Attendances(
            states=_states(query),
            source=read_text(query, "source"),
            via=read_text(query, "via"),
            hidden_students="students" in explicit,
            hidden_events="events" in explicit,
            since=since,
            until=until,
            **about,
        )
        evidence = read_flag(query, "evidence")

        def read(db: Entities, after: int, limit: int) -> list[Object]:
            directory = self._directory.refresh(db)
            found = attendances.page(db, wanted, after, limit, evidence, directory)
            return [self._objects.attendance(one) for one in found]

        def lines(db: Entities, after: int, limit: int) -> list[tuple[int, str]]:
            directory = self._directory.refresh(db)
            found = attendances.page(db, wanted, after, limit, directory=directory)
            return [(one.id, self._objects.line(one)) for one in found]

        if _is_newest(query):

            def newest(db: Entities, before: int | None, limit: int) -> list[tuple[int, str]]:
                found = attendances.newest(db, wanted, before, limit, evidence)
                shown = self._objects.attendance
                return [
                    (one.id, encode(shown(one)) if evidence else self._objects.line(one))
                    for one in found
                ]

            return self._newest(asked, form, "attendances", newest)
        names = (*objects.ATTENDANCE, "evidence") if evidence else objects.ATTENDANCE
        count = partial(attendances.count, wanted=wanted)
        listing = _Listing("attendances", name, names, read, count, None if evidence else lines)
        return self._listed(asked, form, listing)

    def _newest(
        self,
        asked: Asked,
        form: str | None,
        plural: str,
        lines: Callable[[Entities, int | None, int], Sequence[tuple[int, str]]],
    ) -> Answered:
        """A page of a listing, the newest first."""
        if wanted_form(asked, form) is not None:
            raise Refused("Parameter order is for pages", "Leave it out")
        limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        before = read_cursor(asked.query.get("cursor")) or None
        with self._store.reading() as db:
            tag = self._tag(db, asked, "json")
            if is_known(asked, tag):
                return unchanged(tag, VARIES)
            found = lines(db, before, limit + 1)
        headers = {**VARIES, "ETag": tag}
        following = None
        if len(found) > limit:
            following = str(found[limit - 1][0])
            headers["Link"] = next_link(asked, self._public_url, following)
        told = ", ".join(line for _, line in found[:limit])
        rest = encode({"next": following})[1:]
        return Answer(200, f'{{"{plural}": [{told}], {rest}', headers)

    def _event(self, asked: Asked, event: str) -> Answered:
        def find(db: Entities) -> Object | Moved:
            found = _event_of(db, event)
            if found.merged_into is not None:
                return Moved(found.meeting.id, found.merged_into)
            return self._objects.event(found)

        return self._one(asked, find)

    def _student(self, asked: Asked, student: str) -> Answered:
        def find(db: Entities) -> Object | Moved:
            found = _student_of(db, student)
            if found.merged_into is not None:
                return Moved(found.person.id, found.merged_into)
            return self._objects.student(found)

        return self._one(asked, find)

    def _everything(self, asked: Asked, student: str) -> Answered:
        with self._store.reading() as db:
            number = read_id(student)
            found = everything.of(db, number) if number else None
            if not number or found is None:
                raise _no_student(student)
            if found.student.merged_into is not None:
                return _moved(asked, number, found.student.merged_into)
            attempts = {
                kept.delivery.id: deliveries.attempts(db, kept) for kept, _ in found.deliveries
            }
        told = {
            "student": {
                **self._objects.student(found.student),
                "metadata": json.loads(found.metadata),
                "created_at": format_utc(found.created_at),
                "updated_at": format_utc(found.updated_at),
            },
            "attendances": [
                {**self._objects.attendance(one), "metadata": json.loads(metadata)}
                for one, metadata in found.attendances
            ],
            "deliveries": [
                # Of what is about others as well, it is told that it came.
                {**shown.summary(kept), "about_others": True}
                if about_others
                else shown.whole(kept, attempts[kept.delivery.id])
                for kept, about_others in found.deliveries
            ],
        }
        name = slug(f"everything {found.student.person.identifier or found.student.person.id}")
        headers = {"Content-Disposition": f'attachment; filename="{name}.json"'}
        return tagged(asked, answers.answer(200, told), headers)

    def _attendance(self, asked: Asked, attendance: str) -> Answered:
        def find(db: Entities) -> Object | Moved:
            number = read_id(attendance)
            found = attendances.of_ids(db, [number], evidence=True) if number else {}
            parts = attendances.told_in(db, list(found))
            if number and (told_in := parts.get(number)) is not None:
                return Moved(number, told_in)
            if not number or number not in found or number in parts:
                raise NotFound(f"Attendance with id {attendance[:64]} not found")
            return self._objects.attendance(found[number])

        return self._one(asked, find)

    def _one(self, asked: Asked, find: Callable[[Entities], "Object | Moved"]) -> Answered:
        with self._store.reading() as db:
            tag = self._tag(db, asked, "json")
            shown = find(db)
        if isinstance(shown, Moved):
            return _moved(asked, *shown)
        if is_known(asked, tag):
            return unchanged(tag)
        return answers.answer(200, shown, ETag=tag)

    def _listed(self, asked: Asked, form: str | None, listing: "_Listing") -> Answered:
        """A page of a listing, or all of it as a file."""
        form = wanted_form(asked, form)
        if form is not None:
            return self._filed(asked, form, listing)
        limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
        after = read_cursor(asked.query.get("cursor"))
        counted = read_flag(asked.query, "count")
        with self._store.reading() as db:
            tag = self._tag(db, asked, "json")
            if is_known(asked, tag):
                return unchanged(tag, VARIES)
            found = listing.lines(db, after, limit + 1)
            more = {"count": listing.count(db)} if counted else {}
        headers = {**VARIES, "ETag": tag}
        following = None
        if len(found) > limit:
            following = str(found[limit - 1][0])
            headers["Link"] = next_link(asked, self._public_url, following)
        rest = encode({"next": following, **more})[1:]
        told = ", ".join(line for _, line in found[:limit])
        return Answer(200, f'{{"{listing.plural}": [{told}], {rest}', headers)

    def _filed(self, asked: Asked, form: str, listing: "_Listing") -> Answered:
        with self._store.reading() as db:
            tag = self._tag(db, asked, form)
        shown = columns(listing.columns, objects.MOMENTS, self._zone)
        if form == "jsonl":
            told = self._pages(listing.lines, lambda row: row[0], _LINES)
            pages: Iterable[Sequence[Any]] = ([line for _, line in page] for page in told)
        else:
            pages = self._pages(listing.read, lambda row: row["id"], _PAGE)
        return file_of(asked, form, Table(listing.name, shown, pages), tag)

    def _pages(
        self, read: Callable[[Entities, int, int], Any], id_of: Callable[[Any], int], most: int
    ) -> Iterator[Sequence[Any]]:
        """All rows, a page at a time, each in a session of its own: nothing is held open in between."""
        after, size = 0, most
        while size == most:
            with self._store.reading() as db:
                page = [read(db, after, most)]
            if size := len(page[0]):
                after = id_of(page[0][-1])
                # Handed over: a reader who stops keeps no rows here.
                yield page.pop()

    def _tag(self, db: Entities, asked: Asked, form: str) -> str:
        """The ETag (RFC 9110, 8.8.3) of what is asked for: it changes with the record."""
        environ = asked.environ
        what = environ.get("PATH_INFO", "").rstrip("/"), environ.get("QUERY_STRING", "")
        text = f"{changes.mark(db)} {self._zone} {form} {what}"
        return tag_of(form, text)


class Moved(NamedTuple):
    """What was merged, and what it was merged into."""

    merged: int
    kept: int


def _moved(asked: Asked, merged: int, kept: int) -> Answered:
    """The answer (RFC 9110, 15.4.2) to who asks for what was merged: where the kept one is."""
    environ = asked.environ
    path = environ.get("PATH_INFO", "").replace(f"/{merged}", f"/{kept}", 1)
    query = environ.get("QUERY_STRING", "")
    location = f"{path}?{query}" if query else path
    return answers.answer(301, {"merged_into": kept}, Location=location)


class _Listing:
    """A listing: what its rows are called, its file's name and columns, and how it is read;
    ``lines`` reads ids and rows as JSON, where that is faster.
    """

    def __init__(
        self,
        plural: str,
        name: str,
        columns: Sequence[str],
        read: Read,
        count: Callable[..., int],
        lines: Callable[[Entities, int, int], Sequence[tuple[int, str]]] | None = None,
    ) -> None:
        self.plural = plural
        self.name = name
        self.columns = columns
        self.read = read
        self.count = count
        self.lines = lines or self._lines

    def _lines(self, db: Entities, after: int, limit: int) -> list[tuple[int, str]]:
        return [(row["id"], encode(row)) for row in self.read(db, after, limit)]


def _event_of(db: Entities, text: str) -> Event:
    """The event with the id in a path. Raises NotFound."""
    number = read_id(text)
    for found in roster.events_of(db, [number]) if number else ():
        return found
    raise _no_event(text)


def _student_of(db: Entities, text: str, counted: bool = True) -> Student:
    """The student with the id in a path. Raises NotFound."""
    number = read_id(text)
    for found in roster.students_of(db, [number], counted) if number else ():
        return found
    raise _no_student(text)


def _no_event(text: str) -> NotFound:
    return NotFound(f"Event with identifier {text[:64]} not found")


def _no_student(text: str) -> NotFound:
    return NotFound(f"Student with identifier {text[:64]} not found")


def _shown(query: Mapping[str, str]) -> Shown:
    try:
        return Shown(query.get("state", Shown.SHOWN))
    except ValueError:
        raise Refused("Invalid state: use shown, hidden or all") from None


def _is_newest(query: Mapping[str, str]) -> bool:
    """Whether a page begins with the newest."""
    if (order := query.get("order", "id")) not in ("id", "newest"):
        raise Refused("Invalid order: use id or newest")
    return order == "newest"


def _states(query: Mapping[str, str]) -> frozenset[State]:
    words = query.get("state", "present,left").split(",")
    if words == ["all"]:
        return TOLD
    if not set(words) <= _STATES.keys() or len(set(words)) < len(words):
        raise Refused("Invalid state: use present, left, withdrawn or all", "Several: present,left")
    return frozenset(_STATES[word] for word in words)
