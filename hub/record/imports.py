"""Imports, as the record knows them: what an earlier one had, and what a trial has to know."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pony.orm import select

from hub.domain import subjects
from hub.record.chunks import chunks
from hub.record.objects import Object
from hub.record.roster import Directory, merged_events, merged_students
from hub.store.store import Entities

_LOOKED_AT = 200
"""Earlier imports among which one of the same kind is looked for."""


def absent(db: Entities, delivery: str, kind: str) -> list[Object]:
    """The students whom the import of this kind before had, and this one has not."""
    source = select(d.source for d in db.Delivery if d.id == delivery).first()
    earlier = select(
        (d.id, d.body)
        for d in db.Delivery
        if d.source == source and d.id < delivery and d.of_delivery is None
    )
    for identifier, body in earlier.order_by(-1).limit(_LOOKED_AT):
        if body and json.loads(bytes(body)).get("data", {}).get("kind") == kind:
            gone = _students(db, identifier) - _students(db, delivery)
            people = Directory().people(db, gone)
            return [
                {"id": one.id, "identifier": one.identifier, "name": one.name, "email": one.email}
                for one in sorted((people[row] for row in gone), key=lambda one: one.id)
            ]
    return []


def _students(db: Entities, delivery: str) -> set[int]:
    """The students that the rows of an import named, who are neither hidden nor forgotten."""
    rows = select((d.id, d.students) for d in db.Delivery if d.of_delivery == delivery)
    found: set[int] = set()
    names: set[tuple[str, str]] = set()
    for _, text in rows:
        own = subjects.rows_in(text)
        found.update(own)
        if not own:
            names.update(
                (name.partition(":")[0], name.partition(":")[2]) for name in subjects.split(text)
            )
    values = sorted({value for _, value in names})
    for some in chunks(values):
        owners = select(
            (i.kind, i.value, i.student.id) for i in db.StudentIdentifier if i.value in some
        )
        found.update(owner for kind, value, owner in owners if (kind, value) in names)
    merged = merged_students(db)
    roots = sorted({merged.root(one) for one in found})
    shown: set[int] = set()
    for some_rows in chunks(roots):
        shown.update(select(s.id for s in db.Student if s.id in some_rows and s.hidden_at is None))
    return shown


def starts(db: Entities, events: Sequence[int], named: str) -> list[tuple[int, datetime]]:
    """The events with these ids that are shown, each with its start; of merged ones the one whose id is
    ``named``, or else what is kept.
    """
    if named.isdigit() and int(named) in events:
        events = [int(named)]
        return list(select((e.id, e.starts_at) for e in db.Event if e.id in events))
    merged = merged_events(db)
    roots = sorted({merged.root(one) for one in events})
    rows = select((e.id, e.starts_at) for e in db.Event if e.id in roots and e.hidden_at is None)
    return list(rows.order_by(1))


def is_known(db: Entities, source: str, key: str) -> bool:
    """Whether a delivery of this idempotency key was answered."""
    return bool(db.Delivery.exists(lambda d: d.source == source and d.idempotency_key == key))


def copied(db: Entities, events: Sequence[int]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """All students and events, and the attendances of some events: by table, those first that others
    refer to, each row by column.
    """
    some = list(events)
    attendances = select(a for a in db.Attendance if a.event.id in some)
    ids = [a.id for a in attendances]
    found = {
        db.Student: select(s for s in db.Student),
        db.StudentIdentifier: select(i for i in db.StudentIdentifier),
        db.Event: select(e for e in db.Event),
        db.EventIdentifier: select(i for i in db.EventIdentifier),
        db.Attendance: attendances,
    }
    for entity, rows in found.items():
        yield entity._table_, [row.to_dict() for row in rows]
    for entity in (db.Evidence, db.OwnAttendance):
        kept: list[Mapping[str, Any]] = []
        for part in chunks(ids):
            if entity is db.Evidence:
                rows = select(e for e in db.Evidence if e.attendance.id in part)
            else:
                rows = select(o for o in db.OwnAttendance if o.attendance in part)
            kept += [row.to_dict() for row in rows]
        yield entity._table_, kept
