"""Students as the record knows them: by each of their names in deliveries (``hub.domain.subjects``)."""

from collections.abc import Iterable, Sequence

from pony.orm import select

from hub.domain import subjects
from hub.domain.identifiers import A_NUMBER, EMAIL, Identifier, student_identifier
from hub.record.roster import merged_students
from hub.store.store import Entities


def is_known(db: Entities, identifier: Identifier) -> bool:
    """Whether a student has this identifier, and is not hidden."""
    kind, value = identifier.kind, identifier.key
    return bool(
        db.StudentIdentifier.exists(
            lambda i: i.kind == kind and i.value == value and i.student.hidden_at is None
        )
    )


def row_of(db: Entities, text: str) -> int | None:
    """The id of the student whom ``text`` means, hidden ones included.

    ``text`` is an A-number, an e-mail, or another identifier as ``<kind>:<value>``. Of one who was merged
    into another it is the other's.
    """
    owner = _owner(db, _meant(text))
    return None if owner is None else merged_students(db).root(owner)


def names(db: Entities, text: str) -> list[str]:
    """All the names of the student whom ``text`` means (as for ``row_of``); for one whom nobody knows
    there is the one name.
    """
    identifier = _meant(text)
    found = [subjects.student_name(identifier)]
    owner = _owner(db, identifier)
    if owner is not None:
        for row in rows_of(db, owner):
            found += _own_names(db, row)
    return list(dict.fromkeys(found))


def rows_of(db: Entities, student: int) -> list[int]:
    """The ids of all rows of the student with this id: those that were merged with it are the same
    person's.
    """
    return merged_students(db).group(student)


def names_of(db: Entities, student: int) -> list[str]:
    """All the names of the student with this id."""
    return [name for row in rows_of(db, student) for name in _own_names(db, row)]


def _own_names(db: Entities, student: int) -> list[str]:
    own = _identifiers(db, student)
    return [subjects.row_name(student), *(f"{kind}:{value}" for _, kind, value, _ in own)]


def is_about_known(db: Entities, told: Sequence[str]) -> bool:
    """Whether one of these names (``hub.domain.subjects``) is that of a student who is not forgotten."""
    for name in told:
        if name.startswith("#"):
            if _identifiers(db, int(name[1:])):
                return True
        else:
            kind, _, value = name.partition(":")
            if _owner(db, Identifier(kind, value)) is not None:
                return True
    return False


def shown(db: Entities, student: int) -> tuple[str, str, list[tuple[str, str]], int]:
    """A student to be shown to people: first and last name, identifiers as (kind, as shown), and how
    many attendances there are.
    """
    found = db.Student[student]
    rows = rows_of(db, student)
    identifiers = [(kind, text) for row in rows for _, kind, _, text in _identifiers(db, row)]
    attendances = sum(db.Student[row].attendances.count() for row in rows)
    return found.first_name, found.last_name, identifiers, attendances


def label(db: Entities, student: int) -> str | None:
    """An identifier to call a student by; None for one who was forgotten."""
    return label_of((kind, shown) for _, kind, _, shown in _identifiers(db, student))


def label_of(identifiers: Iterable[tuple[str, str]]) -> str | None:
    """The one of (kind, as shown) that a student is called by: the A-number, else the e-mail, else the
    first, with its kind.
    """
    order = {A_NUMBER: 0, EMAIL: 1}
    own = min(identifiers, key=lambda one: order.get(one[0], 2), default=None)
    if own is None:
        return None
    kind, shown = own
    return shown if kind in order else f"{kind}:{shown}"


def _identifiers(db: Entities, student: int) -> list[tuple[int, str, str, str]]:
    return list(
        select(
            (i.id, i.kind, i.value, i.shown)
            for i in db.StudentIdentifier
            if i.student.id == student
        ).order_by(1)
    )


def _owner(db: Entities, identifier: Identifier) -> int | None:
    """The id of the student who has the identifier."""
    kind, value = identifier.kind, identifier.key
    owner: int | None = select(
        i.student.id for i in db.StudentIdentifier if i.kind == kind and i.value == value
    ).first()
    return owner


def _meant(text: str) -> Identifier:
    kind, separator, value = text.partition(":")
    return Identifier(kind, value) if separator else student_identifier(text)
