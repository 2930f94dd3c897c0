"""What is still to be sent on: how much for each target, and a check-in as it is now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from pony.orm import count, select
from pony.orm import max as highest
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


def waiting(db: Entities) -> int:
    """How many deliveries wait for a student, for an event, or for what is to be fetched."""
    number: int = count(d for d in db.Delivery if d.waiting is not None)
    return number


def last_backup(db: Entities) -> datetime | None:
    """When the last backup was begun that was made: naive, in UTC."""
    found: datetime | None = highest(b.made_at for b in db.Backup)
    return found


def fetches(db: Entities) -> Mapping[str, int]:
    """How much is to be fetched, by source."""
    return dict(select((f.source, count(f)) for f in db.Fetching))


def next_due(db: Entities, target: str) -> datetime | None:
    """When something is due for a target; None if nothing is."""
    due: datetime | None = lowest(o.due_at for o in db.Outbox if o.target == target)
    return due


def next_fetch(db: Entities, source: str) -> datetime | None:
    """When something is due to be fetched for a source; None if nothing is."""
    due: datetime | None = lowest(f.due_at for f in db.Fetching if f.source == source)
    return due


def check_in(db: Entities, identifier: int, zone: tzinfo) -> CommittedCheckIn | None:
    """The check-in that a row tells to send, as it is now; None if it is not to be sent any more."""
    attendance = select(o.attendance for o in db.Outbox if o.id == identifier).first()
    if attendance is None:
        return None
    row = _told(select(a for a in db.Attendance if a.id == attendance))
    if row is None:
        return None
    maker, first, source, came, left, *about = row
    delivery = first or maker
    student, (event, name, starts_at, *members) = about[:6], about[6:]
    return CommittedCheckIn(
        id=f"msg_{delivery}_{attendance}",
        delivery=delivery,
        source=source,
        student=StudentRecord(*student),
        event=EventRecord(event, name, starts_at, calendar_date(starts_at, zone), *members),
        attendance=AttendanceRecord(attendance, came, left),
    )


def _told(attended: Any) -> Any:
    """What is told of an attendance, in one query: itself, its student, its event."""
    return select(
        (
            a.delivery,
            a.first_delivery,
            a.source,
            a.checked_in_at,
            a.checked_out_at,
            a.student.id,
            a.student.first_name,
            a.student.last_name,
            a.student.is_admin,
            max(i.shown for i in a.student.identifiers if i.kind == A_NUMBER),
            max(i.shown for i in a.student.identifiers if i.kind == EMAIL),
            a.event.id,
            a.event.name,
            a.event.starts_at,
            a.event.event_type,
            a.event.points,
            a.event.description,
            a.event.location,
        )
        for a in attended
    ).first()
