"""All that the hub knows of one person: what a student may ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pony.orm import select

from hub.domain.delivery import KeptDelivery
from hub.domain.evidence import TOLD
from hub.record import attendances, deliveries, students
from hub.record.attendances import Attendances
from hub.record.deliveries import Wanted
from hub.record.roster import students_of
from hub.record.views import Attendance, Student
from hub.store.store import Entities

_PAGE = 200


@dataclass(frozen=True, slots=True)
class Everything:
    """A student, the metadata that came with the student, when the row was made and changed, all
    attendances with their evidence and metadata, and the deliveries about the student. Each of these has
    whether it is about others as well.
    """

    student: Student
    metadata: str
    created_at: datetime
    updated_at: datetime
    attendances: Sequence[tuple[Attendance, str]]
    deliveries: Sequence[tuple[KeptDelivery, bool]]


def of(db: Entities, student: int) -> Everything | None:
    """All about the student with this id; None where there is none, or one who was forgotten."""
    found = students_of(db, [student])
    if not found:
        return None
    metadata, created_at, updated_at = select(
        (s.metadata, s.created_at, s.updated_at) for s in db.Student if s.id == student
    ).first()
    return Everything(
        found[0],
        metadata,
        created_at,
        updated_at,
        _attendances(db, student),
        _deliveries(db, student),
    )


def _attendances(db: Entities, student: int) -> list[tuple[Attendance, str]]:
    rows = students.rows_of(db, student)
    wanted = Attendances(students=tuple(rows), states=TOLD)
    after, told = 0, []
    while True:
        page = attendances.page(db, wanted, after, _PAGE, evidence=True)
        told += page
        if len(page) < _PAGE:
            break
        after = page[-1].id
    metadata = dict(select((a.id, a.metadata) for a in db.Attendance if a.student.id in rows))
    return [(one, metadata[one.id]) for one in told]


def _deliveries(db: Entities, student: int) -> list[tuple[KeptDelivery, bool]]:
    own = tuple(students.names_of(db, student))
    wanted = Wanted(students=own)
    after, told = "", []
    while True:
        page = deliveries.page(db, wanted, _PAGE, after=after, oldest_first=True, bodies=True)
        rows: dict[str, Any] = deliveries.subjects_of(db, [one.delivery.id for one in page])
        told += [(one, any(name not in own for name in rows[one.delivery.id])) for one in page]
        if len(page) < _PAGE:
            return told
        after = page[-1].delivery.id
