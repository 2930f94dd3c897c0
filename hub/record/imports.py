"""Imports, as the record knows them: what an earlier one had, and what a trial has to know."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple

from pony.orm import select

from hub.domain import subjects
from hub.record.chunks import chunks
from hub.record.objects import Object
from hub.record.roster import Directory, merged_events, merged_students
from hub.store.store import Entities

Reading = Callable[[], AbstractContextManager[Entities]]

_PAGE = 500
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


class Earlier(NamedTuple):
    """An earlier import. ``counts`` are its rows by outcome; ``undone_by`` is the delivery that took it
    back, as a whole. ``received_at`` is naive and in UTC.
    """

    delivery: str
    kind: str
    received_at: datetime
    by: str | None
    counts: Mapping[str, int]
    undone_by: str | None


def every(db: Entities, source: str, before: str, limit: int) -> list[Earlier]:
    """The earlier imports below the id ``before``, the newest first."""
    query = select(
        (d.id, d.received_at, d.sent_by, d.body, d.answer)
        for d in db.Delivery
        if d.source == source and d.of_delivery is None and '"rows"' in d.answer
    )  # what has no rows was posted by somebody, of no file, or is being read
    if before:
        query = query.where(lambda d: d.id < before)
    found = list(query.order_by(-1).limit(limit))
    ids = [row[0] for row in found]
    rows = select(
        (d.of_delivery, u.undone_by)
        for u in db.Deed
        for d in db.Delivery
        if d.of_delivery in ids and u.delivery == d.id
    )
    undone: dict[str, set[str | None]] = {}
    for of_delivery, by in rows:
        undone.setdefault(of_delivery, set()).add(by)
    earlier = []
    for identifier, at, by, body, answer in found:
        told = json.loads(bytes(body)) if body else {}
        counts = {name: n for name, n in json.loads(answer).items() if name in _COUNTED}
        last = sorted(one for one in undone.get(identifier, ()) if one is not None)
        whole = None if None in undone.get(identifier, {None}) or not last else last[-1]
        kind = told.get("data", {}).get("kind", "")
        earlier.append(Earlier(identifier, kind, at, by, counts, whole))
    return earlier


_COUNTED = ("rows", "created", "changed", "unchanged", "refused")


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


def known(db: Entities, source: str, keys: Sequence[str]) -> set[str]:
    """Those of the idempotency keys for which a delivery was answered."""
    found: set[str] = set()
    for some in chunks(keys):
        found.update(
            select(
                d.idempotency_key
                for d in db.Delivery
                if d.source == source and d.idempotency_key in some
            )
        )
    return found


def copied(
    reading: Reading, events: Sequence[int]
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    """All students and events, and the attendances of some events, a page at a time: by table, those
    first that others refer to, each row by column. Each page is read in a session of its own.
    """
    for name in ("Student", "StudentIdentifier", "Event", "EventIdentifier"):
        yield from _pages(reading, name, None)
    ids: list[int] = []
    for table, rows in _pages(reading, "Attendance", events):
        ids += [row["id"] for row in rows]
        yield table, rows
    for part in chunks(ids):
        with reading() as db:
            evidence = [row.to_dict() for row in _evidence(db, part)]
            owns = [row.to_dict() for row in _owns(db, part)]
        yield "evidence", evidence
        yield "own_attendance", owns


def _evidence(db: Entities, attendances: Sequence[int]) -> Any:
    part = list(attendances)
    return select(e for e in db.Evidence if e.attendance.id in part)


def _owns(db: Entities, attendances: Sequence[int]) -> Any:
    part = list(attendances)
    return select(o for o in db.OwnAttendance if o.attendance in part)


def _pages(
    reading: Reading, name: str, events: Sequence[int] | None
) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    after, size = 0, _PAGE
    while size == _PAGE:
        with reading() as db:
            rows = [row.to_dict() for row in _page(db, name, after, events)]
            table = getattr(db, name)._table_
        if size := len(rows):
            after = rows[-1]["id"]
            yield table, rows


def _page(db: Entities, name: str, after: int, events: Sequence[int] | None) -> list[Any]:
    entity = getattr(db, name)
    query = select(o for o in entity if o.id > after)
    if events is not None:
        some = list(events)
        query = query.where(lambda o: o.event.id in some)
    return list(query.order_by(lambda o: o.id).limit(_PAGE))
