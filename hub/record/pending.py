"""What is still to be sent on: how much for each target, and a check-in as it is now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from pony.orm import count, select
from pony.orm import min as lowest

from hub.domain.identifiers import A_NUMBER, EMAIL
from hub.domain.records import AttendanceRecord, CommittedCheckIn, EventRecord, StudentRecord
from hub.domain.timestamps import calendar_date
from hub.store.store import Entities


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much there is for a target: to be sent, and given up."""

    waiting: int = 0
    given_up: int = 0


def counts(db: Entities) -> Mapping[str, Waiting]:
    """How much there is, by target, sorted."""
    found = select((o.target, count(o), count(o.due_at, distinct=False)) for o in db.Outbox)
    return {target: Waiting(due, every - due) for target, every, due in found.order_by(1)}


def next_due(db: Entities, target: str) -> datetime | None:
    """When something is due for a target; None if nothing is."""
    due: datetime | None = lowest(o.due_at for o in db.Outbox if o.target == target)
    return due


def check_in(db: Entities, identifier: int, zone: tzinfo) -> CommittedCheckIn | None:
    """The check-in that a row tells to send, as it is now; None if it is not to be sent any more."""
    row = db.Outbox.get(id=identifier)
    if row is None:
        return None
    attendance = row.attendance
    attended = db.Attendance.get(id=attendance)
    attended = attended or db.WithdrawnAttendance.get(attendance=attendance)
    if attended is None:
        return None
    return CommittedCheckIn(
        id=f"msg_{attended.delivery}_{attendance}",
        delivery=attended.delivery,
        source=attended.source,
        student=_student(attended.student),
        event=_event(attended.event, zone),
        attendance=AttendanceRecord(attendance, attended.checked_in_at, attended.checked_out_at),
    )


def _student(student: Any) -> StudentRecord:
    shown = {one.kind: one.shown for one in student.identifiers if one.kind in (A_NUMBER, EMAIL)}
    return StudentRecord(
        student.id,
        student.first_name,
        student.last_name,
        student.is_admin,
        shown.get(A_NUMBER),
        shown.get(EMAIL),
    )


def _event(event: Any, zone: tzinfo) -> EventRecord:
    return EventRecord(
        event.id,
        event.name,
        event.starts_at,
        calendar_date(event.starts_at, zone),
        event.event_type,
        event.points,
        event.description,
        event.location,
    )
