"""Forgetting a student: the person's data is removed, and head counts stay.

One transaction removes what is known to be the person's: the student's row stays without a name or
identifiers, so that attendances are still counted, and the deliveries that name the student, by an
identifier of now or of before, lose their body, headers and answers. It also keeps a request to search
everything for what still tells of the person (``hub.jobs.traces``).
"""

from dataclasses import dataclass

from hub.domain import subjects
from hub.domain.delivery import delivery_id_at
from hub.domain.timestamps import utc_now
from hub.errors import NotFound, Refused
from hub.jobs.mentions import Person
from hub.jobs.traces import LATE, LEASE, Progress, Traces, search
from hub.record import deliveries as kept_deliveries
from hub.record import students
from hub.record.search import require_text
from hub.store import deliveries, forgettings, scratch
from hub.store import students as written
from hub.store.forgettings import Claim
from hub.store.store import Entities, Store


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom an identifier means: the student's row (None where nobody has it), names, identifiers as
    (kind, as shown), attendances, and how many deliveries name the person by identifier.
    """

    student: int | None
    first_name: str
    last_name: str
    identifiers: list[tuple[str, str]]
    attendances: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What was removed at once: whether there was a student, and of how many attendances; and the claim
    to the request for the rest.
    """

    student: bool
    attendances: int
    claim: Claim


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed: whether there was a student, of how many attendances, and what was found."""

    student: bool
    attendances: int
    found: Traces

    @property
    def deliveries(self) -> int:
        """How many deliveries were emptied."""
        return self.found.deliveries


def look_up(store: Store, named: str) -> Meant:
    """Whom ``named`` means: an A-number, an e-mail, or ``<kind>:<value>``.

    Raises Refused for an identifier that a student had before and who has another now, StoreUnavailable.
    """
    require_text(named, "student")
    with store.reading() as db:
        found = _named(db, named)
        told = len(found.deliveries)
        if found.student is None:
            return Meant(None, "", "", [], 0, told)
        return Meant(found.student, *students.shown(db, found.student), told)


def forget(
    store: Store, named: str, progress: Progress = lambda looked_at: None
) -> Forgotten | None:
    """Forget the student whom ``named`` means, all at once: ``ask``, and ``complete``."""
    return complete(store, named, ask(store, named), progress)


def ask(store: Store, named: str, meant: Meant | None = None) -> Asked:
    """Remove what is known to be the person's whom ``named`` means, and have the rest searched for: from
    here on the hub does it, if whoever has the claim does not.

    Raises as ``look_up`` does, and Refused where it is somebody else than was ``meant``.
    """
    require_text(named, "student")
    with store.writing() as tx, store.reading() as db:
        # All that is read is read before the first write, which the entities would not notice.
        found = _named(db, named)
        if meant is not None and meant.student != found.student:
            raise Refused(f"{named} means somebody else since it was looked up; try again")
        person = _person(db, found)
        now = utc_now()
        for identifier in found.deliveries:
            deliveries.forget(tx, identifier)
        for name in person.identifiers:
            kind, _, value = name.partition(":")
            written.forget_identifier(tx, kind, value)
        attendances = sum(written.forget(tx, row, now) for row in found.rows)
        upto, emptied = delivery_id_at(now + LATE), len(found.deliveries)
        claim = forgettings.ask(tx, now, person.to_json(), upto, emptied, now + LEASE)
    # What a rebuild has left behind that was ended tells of the person, too.
    scratch.discard(scratch.place(store.address))
    return Asked(found.student is not None, attendances, claim)


def complete(store: Store, named: str, asked: Asked, progress: Progress) -> Forgotten | None:
    """Search everything for what still tells of the person; None where another process does so.

    ``progress`` is told after each page how many deliveries were looked at. Raises NotFound where nobody
    knows the student and nothing told of one, StoreUnavailable.
    """
    found = search(store, asked.claim, progress, lambda: True)
    if found is None:
        return None
    if not asked.student and not found.told:
        raise NotFound(f"Student with identifier {named} not found")
    return Forgotten(asked.student, asked.attendances, found)


@dataclass(frozen=True, slots=True)
class _Named:
    """A student's row, current and former names, and the deliveries that are about one of them; ``rows``
    are all of the person's: those that were merged are one.
    """

    student: int | None
    names: tuple[str, ...]
    deliveries: tuple[str, ...]
    rows: tuple[int, ...] = ()


def _named(db: Entities, named: str) -> _Named:
    """Whom ``named`` means. Former names are those in deliveries that nobody has now.

    Raises Refused where it is nobody's now, and was one of a student who has another.
    """
    names = students.names(db, named)
    student = students.row_of(db, named)
    about = kept_deliveries.about_students(db, names)
    if student is None:
        for text in dict.fromkeys(about.values()):
            for row in subjects.rows_in(text):
                if label := students.label(db, row):
                    raise Refused(f"{named} is no identifier any more; forget the student {label}")
        return _Named(None, tuple(names), tuple(about))
    before: dict[str, None] = {}
    rows = tuple(students.rows_of(db, student))
    own = {subjects.row_name(row) for row in rows}
    for text in dict.fromkeys(about.values()):
        told = subjects.split(text)
        if (named_rows := {name for name in told if name.startswith("#")}) and named_rows <= own:
            before.update(dict.fromkeys(name for name in told if name not in names))
    former = [name for name in before if students.row_of(db, name) is None]
    if former:
        about |= kept_deliveries.about_students(db, former)
    return _Named(student, (*names, *former), tuple(about), rows)


def _person(db: Entities, found: _Named) -> Person:
    identifiers = tuple(name for name in found.names if not name.startswith("#"))
    if found.student is None:
        return Person(identifiers)
    own, *others = (students.shown(db, row)[:2] for row in found.rows)
    return Person(identifiers, *own, tuple(one for one in others if one != own))
