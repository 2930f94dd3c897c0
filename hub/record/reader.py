"""The record for plugins: the same frozen values that the API shows, read a page at a time."""

from collections.abc import Iterator, Sequence

from hub.domain.evidence import State
from hub.record import attendances, roster
from hub.record.attendances import STANDING, Attendances
from hub.record.roster import Events, Shown, Students
from hub.record.views import Attendance, Event, Student
from hub.store.store import Store

_PAGE = 500


class Record:
    """Students, events and attendances that are shown. Nothing is held open in between two pages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def students(self, q: str | None = None) -> Iterator[Student]:
        """The students, in the order of their ids; those who have ``q`` in a name or an identifier."""
        after, size = 0, _PAGE
        while size == _PAGE:
            with self._store.reading() as db:
                ids = None if q is None else roster.named_like(db, q)
                wanted = Students(ids=ids, shown=Shown.SHOWN)
                page: Sequence[Student] = roster.students(db, wanted, after, _PAGE)
            yield from page
            size = len(page)
            after = page[-1].person.id if page else after

    def events(self, name: str | None = None) -> Iterator[Event]:
        """The events, in the order of their ids; those of this name."""
        after, size = 0, _PAGE
        while size == _PAGE:
            with self._store.reading() as db:
                page = roster.events(db, Events(name=name), after, _PAGE)
            yield from page
            size = len(page)
            after = page[-1].meeting.id if page else after

    def attendances(
        self, event: int | None = None, student: int | None = None
    ) -> Iterator[Attendance]:
        """The attendances that stand, in the order of their ids: of an event, of a student."""
        after, size = 0, _PAGE
        states: frozenset[State] = STANDING
        while size == _PAGE:
            with self._store.reading() as db:
                events = None if event is None else tuple(roster.merged_events(db).group(event))
                own = None if student is None else tuple(roster.merged_students(db).group(student))
                wanted = Attendances(events=events, students=own, states=states)
                page = attendances.page(db, wanted, after, _PAGE)
            yield from page
            size = len(page)
            after = page[-1].id if page else after
