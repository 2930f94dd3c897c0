"""The record for plugins: the same frozen values that the API shows, read a page at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from hub.record import attendances, roster
from hub.record.attendances import STANDING, Attendances
from hub.record.roster import Events, Shown, Students
from hub.record.views import Attendance, Event, Student
from hub.store.store import Entities, Store

Row = TypeVar("Row")

_PAGE = 500


class Record:
    """Students, events and attendances that are shown. Nothing is held open in between two pages."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def students(self, q: str | None = None) -> Iterator[Student]:
        """The students, in the order of their ids; those who have ``q`` in a name or an identifier."""

        def page(db: Entities, after: int) -> Sequence[Student]:
            ids = None if q is None else roster.named_like(db, q)
            wanted = Students(ids=ids, shown=Shown.SHOWN)
            return roster.students(db, wanted, after, _PAGE)

        return self._every(page, lambda one: one.person.id)

    def events(self, name: str | None = None) -> Iterator[Event]:
        """The events, in the order of their ids; those of this name."""

        def page(db: Entities, after: int) -> Sequence[Event]:
            return roster.events(db, Events(name=name), after, _PAGE)

        return self._every(page, lambda one: one.meeting.id)

    def attendances(
        self, event: int | None = None, student: int | None = None
    ) -> Iterator[Attendance]:
        """The attendances that stand, in the order of their ids: of an event, of a student."""

        def page(db: Entities, after: int) -> Sequence[Attendance]:
            events = None if event is None else tuple(roster.merged_events(db).group(event))
            own = None if student is None else tuple(roster.merged_students(db).group(student))
            wanted = Attendances(events=events, students=own, states=STANDING)
            return attendances.page(db, wanted, after, _PAGE)

        return self._every(page, lambda one: one.id)

    def _every(
        self, read: Callable[[Entities, int], Sequence[Row]], id_of: Callable[[Row], int]
    ) -> Iterator[Row]:
        """All rows, a page at a time: above an id, in the order of their ids."""
        after = 0
        while True:
            with self._store.reading() as db:
                page = read(db, after)
            yield from page
            if len(page) < _PAGE:
                return
            after = id_of(page[-1])
