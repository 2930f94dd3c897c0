"""Doubts: where the record may be wrong, and what the desk could do about each."""

import hashlib
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from pony.orm import select

from hub.domain.identifiers import A_NUMBER
from hub.domain.timestamps import calendar_date, format_utc
from hub.record import attendances, deliveries
from hub.record.chunks import chunks
from hub.record.roster import Directory
from hub.record.views import Attendance, Meeting, Person
from hub.store import changes
from hub.store.store import Entities

EARLY, LATE = timedelta(hours=2), timedelta(hours=2)
"""How long before its start, and after its end, a check-in at an event is plausible."""

LATE_WITHOUT_END = timedelta(hours=6)
"""The same after the start of an event that has no end."""

_SECOND = timedelta(seconds=1)


class Kind(StrEnum):
    """Why something is in doubt."""

    IDENTIFIERS_DISAGREE = "identifiers_disagree"
    NAMELESS = "nameless"
    OUTSIDE = "outside"
    TWIN_EVENTS = "twin_events"
    TWINS = "twins"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One doubt. ``about`` is an attendance, or one or two students or events, ``delivery`` the one that
    raised it; ``mend`` are payloads of the desk, any of which settles it. ``at`` is naive and in UTC.
    """

    kind: Kind
    number: int
    key: str
    message: str
    at: datetime
    about: Attendance | tuple[Person, ...] | tuple[Meeting, ...]
    delivery: str | None = None
    mend: Sequence[Mapping[str, Any]]

    @property
    def id(self) -> str:
        """The same as long as it is the same doubt; it sorts by the kind, and the row in doubt."""
        digest = hashlib.sha256(self.key.encode()).hexdigest()[:8]
        return f"{self.kind}-{self.number:018d}-{digest}"


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources as they are configured now: those that anyone may post to, and those that are
    signed.
    """

    open: tuple[str, ...]
    signed: tuple[str, ...]


def every(
    db: Entities, sources: Sources, zone: tzinfo, kinds: Sequence[Kind] = tuple(Kind)
) -> list[Doubt]:
    """All doubts of some kinds, by their ids."""
    finders: Mapping[Kind, Callable[[], Iterator[Doubt]]] = {
        Kind.IDENTIFIERS_DISAGREE: lambda: _disagreeing(db),
        Kind.NAMELESS: lambda: _nameless(db),
        Kind.OUTSIDE: lambda: _outside(db),
        Kind.TWIN_EVENTS: lambda: _twin_events(db, zone),
        Kind.TWINS: lambda: _twins(db),
        Kind.UNVERIFIED: lambda: _unverified(db, sources),
    }
    settled = set(select(d.doubt for d in db.SettledDoubt))
    found = [doubt for kind in kinds for doubt in finders[kind]() if doubt.id not in settled]
    return sorted(found, key=lambda doubt: doubt.id)


def _mends(doubt: str, *payloads: tuple[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [
        {"action": action, "data": data, "reason": f"doubt: {doubt}"} for action, data in payloads
    ]


def _outside(db: Entities) -> Iterator[Doubt]:
    # A second more than what is sought: databases round moments, each in its own way.
    early, late = EARLY - _SECOND, LATE - _SECOND
    without_end = LATE_WITHOUT_END - _SECOND
    query = select(a.id for a in db.Attendance if a.state < 2).where(
        lambda a: (
            a.checked_in_at < a.event.starts_at - early
            or (a.event.ends_at is None and a.checked_in_at > a.event.starts_at + without_end)
            or (a.event.ends_at is not None and a.checked_in_at > a.event.ends_at + late)
        )
    )
    directory = Directory().refresh(db)
    query = directory.of_shown_events(directory.of_shown_students(query)).order_by(1)
    found = attendances.of_ids(db, list(query)).values()
    ends = dict(select((e.id, e.ends_at) for e in db.Event if e.ends_at is not None))
    for one in found:
        begin, end = one.event.starts_at, ends.get(one.event.id)
        # Differences: an event may be at the very end of the calendar.
        is_early = begin - one.checked_in_at > EARLY
        late = LATE_WITHOUT_END if end is None else LATE
        if not is_early and one.checked_in_at - (end or begin) <= late:
            continue
        when = "before it starts" if is_early else "after it ended"
        message = f"The check-in is long {when}"
        start = {"attendance": one.id, "checked_in_at": format_utc(begin)}
        yield Doubt(
            kind=Kind.OUTSIDE,
            number=one.id,
            key=f"{one.checked_in_at} {begin} {end}",
            message=message,
            at=one.checked_in_at,
            about=one,
            mend=_mends(message, ("correct", start), ("withdraw", {"attendance": one.id})),
        )


def _nameless(db: Entities) -> Iterator[Doubt]:
    rows = list(
        select(
            (s.id, s.updated_at)
            for s in db.Student
            if s.first_name == ""
            and s.last_name == ""
            and s.hidden_at is None
            and s.merged_into is None
        ).order_by(1)
    )
    people = Directory().people(db, [row[0] for row in rows])
    for student, at in rows:
        message = "The student has no name"
        named = {"student": f"id:{student}", "first_name": "", "last_name": ""}
        yield Doubt(
            kind=Kind.NAMELESS,
            number=student,
            key="",
            message=message,
            at=at,
            about=(people[student],),
            mend=_mends(
                message, ("save_student", named), ("hide_student", {"student": f"id:{student}"})
            ),
        )


def _twins(db: Entities) -> Iterator[Doubt]:
    rows = select(
        (s.id, s.first_name, s.last_name, s.created_at)
        for s in db.Student
        if s.hidden_at is None and s.merged_into is None
    ).order_by(1)
    named = ((_fingerprint(f"{first} {last}"), student, at) for student, first, last, at in rows)
    pairs = _pairs(one for one in named if one[0])
    people = Directory().people(db, {one for pair in pairs for one in pair[:2]})
    for keep, merge, at in pairs:
        message = f"Students {keep} and {merge} have one name"
        both = {"keep": f"id:{keep}", "merge": f"id:{merge}"}
        yield Doubt(
            kind=Kind.TWINS,
            number=merge,
            key=str(keep),
            message=message,
            at=at,
            about=(people[merge], people[keep]),
            mend=_mends(message, ("merge_students", both)),
        )


def _twin_events(db: Entities, zone: tzinfo) -> Iterator[Doubt]:
    rows = select(
        (e.id, e.name, e.starts_at, e.created_at)
        for e in db.Event
        if e.hidden_at is None and e.merged_into is None
    ).order_by(1)
    pairs = _pairs(
        ((name, calendar_date(starts_at, zone)), event, at) for event, name, starts_at, at in rows
    )
    meetings = Directory().meetings(db, {one for pair in pairs for one in pair[:2]})
    for keep, merge, at in pairs:
        message = f"Events {keep} and {merge} have one name, and are on one day"
        yield Doubt(
            kind=Kind.TWIN_EVENTS,
            number=merge,
            key=str(keep),
            message=message,
            at=at,
            about=(meetings[merge], meetings[keep]),
            mend=_mends(message, ("merge_events", {"keep": keep, "merge": merge})),
        )


def _pairs(rows: Iterable[tuple[Hashable, int, datetime]]) -> list[tuple[int, int, datetime]]:
    """Of rows with the same key, the first with each of the others, and when that one was made."""
    firsts: dict[Hashable, int] = {}
    pairs = []
    for key, row, at in rows:
        first = firsts.setdefault(key, row)
        if first != row:
            pairs.append((first, row, at))
    return pairs


def _disagreeing(db: Entities) -> Iterator[Doubt]:
    rows = list(
        select(
            (d.id, d.delivery, d.student.id, d.kind, d.value)
            for d in db.Disagreement
            if d.student.hidden_at is None
        ).order_by(1)
    )
    owners = _owners(db, sorted({row[4] for row in rows}))
    merged = dict(select((s.id, s.merged_into.id) for s in db.Student if s.merged_into is not None))
    received = deliveries.received(db, (row[1] for row in rows))
    people = Directory().people(db, {row[2] for row in rows} | set(owners.values()))
    for number, delivery, student, kind, value in rows:
        owner = owners.get((kind, value))
        if owner is not None and merged.get(owner, owner) == merged.get(student, student):
            continue
        if owner is None and kind != A_NUMBER:
            continue  # it names nobody any more
        about: tuple[Person, ...] = (people[student],)
        if owner is None:
            message = f"A delivery gives student {student} another A-number"
            identifiers = {"student": f"id:{student}", "identifiers": {kind: value}}
            mend = _mends(message, ("save_student", identifiers))
        else:
            message = f"The identifiers of a delivery name students {student} and {owner}"
            both = {"keep": f"id:{student}", "merge": f"id:{owner}"}
            mend = _mends(message, ("merge_students", both))
            about = (people[student], people[owner])
        yield Doubt(
            kind=Kind.IDENTIFIERS_DISAGREE,
            number=number,
            key=f"{student} {kind} {value}",
            message=message,
            at=received.get(delivery, (datetime.min, None))[0],
            about=about,
            delivery=delivery,
            mend=mend,
        )


def _owners(db: Entities, values: Sequence[str]) -> Mapping[tuple[str, str], int]:
    """Whose identifiers with these values are, by kind and value."""
    found: dict[tuple[str, str], int] = {}
    for some in chunks(values):
        rows = select(
            (i.kind, i.value, i.student.id)
            for i in db.StudentIdentifier
            if i.value in some and i.student.hidden_at is None
        )
        found |= {(kind, value): owner for kind, value, owner in rows}
    return found


_CHANGED = {
    "student": (changes.STUDENT_SAVED, changes.STUDENT_HIDDEN),
    "event": (changes.EVENT_SAVED, changes.EVENT_HIDDEN),
    "attendance": (changes.CHANGED, changes.WITHDRAWN, changes.RESTORED),
}


def _unverified(db: Entities, sources: Sources) -> Iterator[Doubt]:
    if not sources.open or not sources.signed:
        return
    entities = {"student": db.Student, "event": db.Event, "attendance": db.Attendance}
    anyones, signed = list(sources.open), list(sources.signed)
    for what, types in _CHANGED.items():
        entity, kinds = entities[what], list(types)
        last: dict[int, tuple[str, datetime, str]] = {}
        for _, subject, delivery, at, source in select(
            (c.id, c.subject, c.delivery, c.at, d.source)
            for c in db.Change
            for d in db.Delivery
            for o in entity
            for m in db.Delivery
            if c.type in kinds
            and d.id == c.delivery
            and d.source in anyones
            and o.id == c.subject
            and m.id == o.delivery
            and m.source in signed
        ).order_by(1):
            last[subject] = delivery, at, source
        yield from _changed_by(db, what, last)


def _changed_by(
    db: Entities, what: str, last: Mapping[int, tuple[str, datetime, str]]
) -> Iterator[Doubt]:
    about: Mapping[int, Any]
    if what == "attendance":
        about = attendances.of_ids(db, sorted(last))
    elif what == "student":
        gone = set(select(s.id for s in db.Student if s.forgotten_at is not None))
        last = {one: told for one, told in last.items() if one not in gone}
        about = {one: (person,) for one, person in Directory().people(db, last).items()}
    else:
        about = {one: (meeting,) for one, meeting in Directory().meetings(db, last).items()}
    for subject, (delivery, at, source) in last.items():
        message = f"The source {source}, to which anyone may post, changed what a signed one made"
        yield Doubt(
            kind=Kind.UNVERIFIED,
            number=subject,
            key=f"{what} {delivery}",
            message=message,
            at=at,
            about=about[subject],
            delivery=delivery,
            mend=_mends(message),
        )


def _fingerprint(name: str) -> str:
    """What two spellings of one name have in common."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())
