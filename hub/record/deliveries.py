"""The kept deliveries: found again, in pages, with all their attempts."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from pony.orm import max as highest
from pony.orm import select

from hub.domain import subjects
from hub.domain.delivery import (
    Attempt,
    Delivery,
    Emptied,
    KeptDelivery,
    Outcome,
    Told,
    delivery_id_at,
)
from hub.domain.request_line import RequestLine, parted
from hub.record.chunks import chunks, first
from hub.store.store import Entities

_PAGE = 200
_NO_ROW = 1 << 63
"""No row has such an id, and no database such a number."""

_CLOCK_SLACK = timedelta(hours=1)
"""How much earlier than its time of receipt a delivery's id may have been made, generously."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which kept deliveries: those for which everything holds that is given. ``unsettled``: refused, or
    waiting. ``awaited`` is what they wait for (``hub.domain.subjects``), ``error`` the sentence that they
    were refused with, ``of`` the delivery that they are rows of.
    """

    outcomes: tuple[Outcome, ...] | None = None
    status: int | None = None
    source: str | None = None
    since: datetime | None = None
    students: tuple[str, ...] | None = None
    events: tuple[str, ...] | None = None
    with_body: bool = False
    waiting: bool = False
    unsettled: bool = False
    upto: str | None = None
    awaited: str | None = None
    error: str | None = None
    of: str | None = None


ALL = Wanted()
"""Every kept delivery."""


def page(
    db: Entities,
    wanted: Wanted,
    limit: int,
    *,
    before: str = "",
    after: str = "",
    oldest_first: bool = False,
    bodies: bool = False,
) -> list[KeptDelivery]:
    """At most ``limit`` deliveries, the newest or the oldest first: below the id ``before``, above the id
    ``after``. Their headers and bodies are left out unless ``bodies`` are asked for.
    """
    query = _narrowed(_with_bodies(db) if bodies else _without_bodies(db), wanted)
    if before:
        query = query.where(lambda d: d.id < before)
    if after:
        query = query.where(lambda d: d.id > after)
    query = query.order_by(1 if oldest_first else -1)
    about = _about(db, wanted, before, after)
    if about is None:
        return [_delivery(row) for row in query.limit(limit)]
    return first(
        about if oldest_first else about[::-1],
        limit,
        lambda some, most: map(_delivery, _among(query, some).limit(most)),
    )


def every(
    reading: Callable[[], AbstractContextManager[Entities]],
    wanted: Wanted,
    *,
    after: str = "",
    bodies: bool = False,
) -> Iterator[list[KeptDelivery]]:
    """All the deliveries above the id ``after``, the oldest first, a page at a time; ``reading`` is asked
    for each page, so that nothing is held open in between.
    """
    while True:
        with reading() as db:
            found = page(db, wanted, _PAGE, after=after, oldest_first=True, bodies=bodies)
        yield found
        if len(found) < _PAGE:
            return
        after = found[-1].delivery.id


def answer_begins(error: str) -> str:
    """How the answer begins that refuses a delivery with a sentence."""
    return f'{{"error": {json.dumps(error, ensure_ascii=False)}'


def find(db: Entities, identifier: str) -> KeptDelivery | None:
    """The delivery with this id."""
    found = _with_bodies(db).where(lambda d: d.id == identifier)
    return next((_delivery(row) for row in found), None)


def count(db: Entities, wanted: Wanted) -> int:
    """How many deliveries there are."""
    query = _narrowed(_ids(db), wanted)
    about = _about(db, wanted)
    if about is None:
        return int(query.count())
    return sum(int(_among(query, some).count()) for some in chunks(about))


def about_students(db: Entities, names: Sequence[str]) -> dict[str, str]:
    """The deliveries that are about one of the students ``names``: by id, whom they are about."""
    found: dict[str, str] = {}
    for some in chunks(sorted(_told_of(db, subjects.STUDENT, names))):
        found |= dict(select((d.id, d.students) for d in db.Delivery if d.id in some))
    return found


def received(db: Entities, identifiers: Iterable[str]) -> dict[str, tuple[datetime, str | None]]:
    """When deliveries were received, and with which of the hub's tokens; of those that are kept."""
    found: dict[str, tuple[datetime, str | None]] = {}
    for some in chunks(sorted(set(identifiers))):
        rows = select((d.id, d.received_at, d.sent_by) for d in db.Delivery if d.id in some)
        found |= {identifier: (at, by) for identifier, at, by in rows}
    return found


def subjects_of(db: Entities, identifiers: Sequence[str]) -> dict[str, list[str]]:
    """The names of the students (``hub.domain.subjects``) that each of these deliveries is about."""
    some = list(identifiers)
    found = select((d.id, d.students) for d in db.Delivery if d.id in some)
    return {identifier: subjects.split(text) for identifier, text in found}


def attempts(db: Entities, kept: KeptDelivery) -> list[Attempt]:
    """Every attempt of a delivery; the first answered its sender."""
    identifier = kept.delivery.id
    rows = select(
        (a.number, a.attempted_at, a.outcome, a.status, a.answer, a.duration)
        for a in db.Attempt
        if a.delivery.id == identifier
    ).order_by(1)
    found = [Attempt(row[0], row[1], Outcome(row[2]), *row[3:]) for row in rows]
    return found or [kept.first_attempt]


def waiting_for(db: Entities, names: Sequence[str]) -> list[str]:
    """The ids of the deliveries that wait for one of ``names``, the oldest first."""
    return list(select(d.id for d in db.Delivery if d.waiting in names).order_by(1))


def waiting_near(db: Entities, name: str, starts_at: datetime) -> list[str]:
    """What those deliveries wait for that wait for an event of this name near a moment, such as this."""
    prefix = subjects.NEAR
    found = select(d.waiting for d in db.Delivery if d.waiting.startswith(prefix))
    return [
        awaited
        for awaited in found
        if (near := subjects.is_near(awaited)) is not None
        and near[0] == name
        and near[1] <= starts_at <= near[2]
    ]


def waiting(db: Entities, after: str, limit: int, wanted: Wanted = ALL) -> list[tuple[str, str]]:
    """The wanted deliveries that wait, oldest first, above the id ``after``: their ids and what they wait
    for.
    """
    query = select((d.id, d.waiting) for d in db.Delivery if d.waiting is not None and d.id > after)
    query = _narrowed(query, wanted).order_by(1)
    about = _about(db, wanted, after=after)
    if about is None:
        return list(query.limit(limit))
    return first(about, limit, lambda some, most: _among(query, some).limit(most))


def full_before(
    db: Entities, cutoff: datetime, after: str, limit: int, but: Collection[str] = ()
) -> list[tuple[str, datetime]]:
    """Deliveries that have a body, above the id ``after`` and made before ``cutoff``, ``but`` those to
    some sources: ids and times of receipt, the oldest first.
    """
    others = list(but)
    upto = delivery_id_at(cutoff)
    found = select(
        (d.id, d.received_at)
        for d in db.Delivery
        if d.id > after and d.id < upto and d.emptied is None and d.source not in others
    )
    return list(found.order_by(1).limit(limit))


def newest(db: Entities) -> datetime | None:
    """When the newest delivery was received."""
    found = list(select((d.id, d.received_at) for d in db.Delivery).order_by(-1).limit(1))
    return found[0][1] if found else None


def last_id(db: Entities) -> str:
    """The highest id of a delivery, or ''."""
    return highest(d.id for d in db.Delivery) or ""


def settled_later(db: Entities) -> dict[str, str]:
    """The deliveries that were replayed, and what an id made at their last attempt would begin with."""
    last = select((a.delivery.id, highest(a.attempted_at)) for a in db.Attempt if a.number > 1)
    return {identifier: delivery_id_at(moment) for identifier, moment in last}


def _ids(db: Entities) -> Any:
    return select(d.id for d in db.Delivery)


def _without_bodies(db: Entities) -> Any:
    return select(
        (
            d.id,
            d.source,
            d.received_at,
            d.outcome,
            d.status,
            d.answer,
            d.duration,
            d.waiting,
            d.emptied,
            d.key_holder,
            highest(a.number for a in db.Attempt if a.delivery == d),
            d.of_delivery,
            d.of_row,
            d.told_status,
            d.told_type,
            d.told,
        )
        for d in db.Delivery
    )


def _with_bodies(db: Entities) -> Any:
    return select(
        (
            d.id,
            d.source,
            d.received_at,
            d.outcome,
            d.status,
            d.answer,
            d.duration,
            d.waiting,
            d.emptied,
            d.key_holder,
            highest(a.number for a in db.Attempt if a.delivery == d),
            d.of_delivery,
            d.of_row,
            d.told_status,
            d.told_type,
            d.told,
            d.headers,
            d.body,
            d.sent_by,
            d.meant_student,
            d.meant_event,
            d.fetched,
        )
        for d in db.Delivery
    )


def _narrowed(query: Any, wanted: Wanted) -> Any:
    """A query of deliveries, called ``d`` in it, with the conditions that are wanted."""
    if wanted.outcomes is not None:
        outcomes = [outcome.value for outcome in wanted.outcomes]
        query = query.where(lambda d: d.outcome in outcomes)
    if wanted.status is not None:
        status = wanted.status
        query = query.where(lambda d: d.status == status)
    if wanted.source is not None:
        source = wanted.source
        query = query.where(lambda d: d.source == source)
    if wanted.since is not None:
        since = wanted.since
        # Ids sort by time; that bounds the search.
        first = delivery_id_at(max(since, datetime(1970, 1, 2)) - _CLOCK_SLACK)
        query = query.where(lambda d: d.id >= first and d.received_at >= since)
    if wanted.with_body:
        query = query.where(lambda d: d.emptied is None)
    if wanted.upto is not None:
        upto = wanted.upto
        query = query.where(lambda d: d.id <= upto)
    if wanted.unsettled:
        refused = Outcome.REFUSED.value
        query = query.where(lambda d: d.outcome == refused or d.waiting is not None)
    if wanted.awaited is not None:
        awaited = wanted.awaited
        query = query.where(lambda d: d.waiting == awaited)
    if wanted.of is not None:
        of = wanted.of
        query = query.where(lambda d: d.of_delivery == of)
    if wanted.error is not None:
        begin = answer_begins(wanted.error)
        query = query.where(lambda d: d.answer.startswith(begin))
    if wanted.waiting:
        query = query.where(lambda d: d.waiting is not None)
    return query


def _about(db: Entities, wanted: Wanted, before: str = "", after: str = "") -> list[str] | None:
    """The ids, sorted, of the deliveries about the students and events that are wanted; None: any."""
    found: set[str] | None = None
    for what, names in ((subjects.STUDENT, wanted.students), (subjects.EVENT, wanted.events)):
        if names is not None:
            told = _told_of(db, what, names)
            found = told if found is None else found & told
    if found is None:
        return None
    return sorted(one for one in found if one > after and (not before or one < before))


def _told_of(db: Entities, what: str, names: Sequence[str]) -> set[str]:
    """The ids of the deliveries that are found by one of these names of students, or of events: those
    that say something of an attendance of theirs, and those with a mention of it.
    """
    mentions = [subjects.mention(what, name) for name in names]
    found = set(select(m.delivery for m in db.Mention if m.name in mentions))
    rows = subjects.rows_in(subjects.joined(names))
    for row in rows:
        if row >= _NO_ROW:
            continue
        if what == subjects.STUDENT:
            attendances = select(a for a in db.Attendance if a.student.id == row)
            evidence = select(e for e in db.Evidence if e.attendance.student.id == row)
        else:
            attendances = select(a for a in db.Attendance if a.event.id == row)
            evidence = select(e for e in db.Evidence if e.attendance.event.id == row)
        found.update(select(a.delivery for a in attendances))
        found.update(select(e.delivery for e in evidence))
    return found


def _among(query: Any, identifiers: Sequence[str]) -> Any:
    """The deliveries of a query that have one of these ids."""
    return query.where(lambda d: d.id in identifiers)


def _delivery(row: Sequence[Any]) -> KeptDelivery:
    identifier, source, received_at, outcome, status, answer, duration = row[:7]
    waiting, emptied, key_holder, attempts, of_delivery, of_row = row[7:13]
    told = None if row[13] is None else Told(*row[13:16])
    headers: dict[str, str] = {}
    line = RequestLine()
    body, sent_by = b"", None
    meant_student = meant_event = fetched = None
    if len(row) > 16:
        headers, line = parted(json.loads(row[16]))
        body, sent_by = bytes(row[17]), row[18]
        meant_student, meant_event, fetched = row[19:22]
    return KeptDelivery(
        Delivery(
            identifier,
            source,
            received_at,
            MappingProxyType(headers),
            body,
            sent_by,
            of_delivery,
            of_row,
            *line,
            None if fetched is None else bytes(fetched),
        ),
        Outcome(outcome),
        status,
        answer,
        duration,
        waiting,
        Emptied(emptied) if emptied else None,
        attempts or 1,
        key_holder,
        meant_student,
        meant_event,
        told,
    )
