"""Events as the record knows them: by each of their names in deliveries (``hub.domain.subjects``)."""

from datetime import datetime, timedelta

from pony.orm import select

from hub.domain import subjects
from hub.domain.identifiers import Identifier, event_id
from hub.store.store import Entities

USUAL_LENGTH = timedelta(hours=2)
"""How long an event is on that does not say when it ends."""


def is_known(db: Entities, named: str | Identifier) -> bool:
    """Whether an event has this name or identifier, and is not hidden."""
    if isinstance(named, Identifier):
        kind, value = named.kind, named.key
        return bool(
            db.EventIdentifier.exists(
                lambda i: i.kind == kind and i.value == value and i.event.hidden_at is None
            )
        )
    return bool(db.Event.exists(lambda e: e.name == named and e.hidden_at is None))


def is_near(db: Entities, name: str, begin: datetime, end: datetime) -> bool:
    """Whether an event of this name starts from ``begin`` to ``end``, and is not hidden."""
    return bool(
        db.Event.exists(
            lambda e: (
                e.name == name
                and e.starts_at >= begin
                and e.starts_at <= end
                and e.hidden_at is None
            )
        )
    )


def named_and_starting(db: Entities, event: int) -> tuple[str, datetime] | None:
    """The name of the event with this id, and when it starts."""
    found: tuple[str, datetime] | None = select(
        (e.name, e.starts_at) for e in db.Event if e.id == event
    ).first()
    return found


def running(db: Entities, now: datetime) -> list[datetime]:
    """When the events began that are on at a moment (naive, UTC), the first first. One that does not say
    when it ends is on for its usual length.
    """
    latest = now - USUAL_LENGTH
    found = select(
        (e.starts_at, e.id)
        for e in db.Event
        if e.hidden_at is None
        and e.starts_at <= now
        and (e.ends_at >= now or (e.ends_at is None and e.starts_at >= latest))
    )
    return [begin for begin, _ in found.order_by(1, 2)]


def names(db: Entities, text: str) -> list[str]:
    """Every name of the events that ``text`` (an id or a name) may mean."""
    found = [subjects.event_name(text)]
    events = _named(db, text)
    if (identifier := event_id(text)) is not None:
        for name in select(e.name for e in db.Event if e.id == identifier):
            events.append(identifier)
            if len(_named(db, name)) == 1:
                found.append(subjects.event_name(name))
    for event in events:
        found += [subjects.event_name(str(event)), *_own_names(db, event)]
    return list(dict.fromkeys(found))


def names_of(db: Entities, event: int) -> list[str]:
    """The names by which deliveries may have waited for the event with this id.

    Not its id: a sender that used the id before the event existed meant another event.
    """
    names = select(e.name for e in db.Event if e.id == event)
    return [*(subjects.event_name(name) for name in names), *_own_names(db, event)]


def _named(db: Entities, name: str) -> list[int]:
    return list(select(e.id for e in db.Event if e.name == name))


def _own_names(db: Entities, event: int) -> list[str]:
    """The names that no other event has."""
    own = select((i.id, i.kind, i.value) for i in db.EventIdentifier if i.event.id == event)
    return [
        subjects.row_name(event),
        *(f"{kind}:{value}" for _, kind, value in own.order_by(1)),
    ]
