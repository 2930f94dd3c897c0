"""Events in the store: found by id, name, date or identifiers, created, changed, hidden."""

from datetime import date, datetime, time, timedelta
from typing import Any

from hub.domain import subjects
from hub.domain.identifiers import ROW, Identifier, event_id, is_number, row_id
from hub.domain.nearness import around
from hub.domain.operations import CreateEvent, HideEvent, NamedEvent, SaveEvent, UpdateEvent
from hub.domain.records import Change, EventRecord, Result
from hub.domain.timestamps import calendar_date, format_utc, to_utc
from hub.errors import Conflicting, NotFound, Refused
from hub.store import changes, deeds
from hub.store.context import Context
from hub.store.members import EVENTS
from hub.store.transaction import Row, Statement, Transaction

_COLUMNS = """e.id, e.name, e.starts_at, e.event_type, e.points, e.description, e.location, e.joined,
    e.hidden_firmly"""
WIDTH = 9
"""How many columns of a row tell of an event."""

BY_ID = f"SELECT {_COLUMNS} FROM event e WHERE e.id = ? AND e.hidden_at IS NULL"
ANY = f"SELECT {_COLUMNS} FROM event e WHERE e.id = ?"
ROOT = """
    SELECT coalesce(e.merged_into, e.id), r.hidden_at IS NOT NULL, r.hidden_firmly
    FROM event e JOIN event r ON r.id = coalesce(e.merged_into, e.id) WHERE e.id = ?"""
BY_NAME = f"SELECT {_COLUMNS} FROM event e WHERE e.name = ? AND e.hidden_at IS NULL LIMIT 2"
NEAREST = Statement(f"""
    SELECT * FROM (SELECT {_COLUMNS} FROM event e
        WHERE e.name = ? AND e.starts_at <= ? AND (e.hidden_at IS NULL OR e.hidden_firmly)
        ORDER BY e.starts_at DESC LIMIT 1) AS before
    UNION ALL
    SELECT * FROM (SELECT {_COLUMNS} FROM event e
        WHERE e.name = ? AND e.starts_at > ? AND (e.hidden_at IS NULL OR e.hidden_firmly)
        ORDER BY e.starts_at LIMIT 1) AS after""")
NAMED = f"""
    SELECT {_COLUMNS}, e.hidden_at IS NOT NULL FROM event e WHERE e.name = ? ORDER BY e.starts_at"""
BY_NAME_BETWEEN = f"""
    SELECT {_COLUMNS}, e.hidden_at IS NOT NULL FROM event e
    WHERE e.name = ? AND e.starts_at >= ? AND e.starts_at <= ?"""
BY_IDENTIFIER = f"""
    SELECT {_COLUMNS}, i.hidden_at IS NOT NULL, e.hidden_at IS NOT NULL
    FROM event_identifier i JOIN event e ON e.id = i.event WHERE i.kind = ? AND i.value = ?"""
BY_NAME_AND_START = f"""
    SELECT {_COLUMNS}, e.hidden_at IS NOT NULL FROM event e WHERE e.name = ? AND e.starts_at = ?"""
BY_NAME_AND_DAY = f"""
    SELECT {_COLUMNS}, e.hidden_at IS NOT NULL FROM event e
    WHERE e.name = ? AND e.starts_at >= ? AND e.starts_at < ?
        AND NOT EXISTS (SELECT 1 FROM event_identifier i WHERE i.event = e.id AND i.kind = ?)
    ORDER BY e.hidden_at IS NOT NULL, e.starts_at LIMIT 1"""
INSERT = """
    INSERT INTO event (name, starts_at, event_type, points, description, location, source, metadata,
        delivery, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
UPDATE = """
    UPDATE event SET name = ?, starts_at = ?, event_type = ?, points = ?, description = ?,
        location = ?, updated_at = ?, hidden_at = NULL, hidden_by = NULL, hidden_firmly = FALSE
    WHERE id = ?"""
HIDE_IDENTIFIER = "UPDATE event_identifier SET hidden_at = ? WHERE kind = ? AND value = ?"
SHOWN_OF_KIND = """
    SELECT 1 FROM event_identifier WHERE event = ? AND kind = ? AND hidden_at IS NULL LIMIT 1"""
FURTHER_NAME = "name"
"""The kind of an identifier that is one more name of an event."""

ADD_IDENTIFIER = "INSERT INTO event_identifier (kind, value, shown, event) VALUES (?, ?, ?, ?)"


Named = str | Identifier | NamedEvent
"""What names an event."""


def find(tx: Transaction, named: Named, near: datetime, context: Context) -> EventRecord | None:
    """The event that ``named`` names, unless hidden; one that was merged is found as such.

    Of several with the name, the one whose start is nearest to ``near``, the later one on a tie; none
    that is further away than the window.
    """
    row = _row(tx, named, near, context)
    if row is None or row[8]:
        return None
    found = record(tx, row, context)
    return None if found.joined and tx.rows(ROOT, found.id)[0][2] else found


def is_put_away(tx: Transaction, named: Named, near: datetime, context: Context) -> bool:
    """Whether what ``named`` names is hidden by somebody with authority."""
    row = _row(tx, named, near, context)
    return row is not None and bool(row[8] or tx.rows(ROOT, row[0])[0][2])


def _row(tx: Transaction, named: Named, near: datetime, context: Context) -> Row | None:
    """What is meant; hidden only where somebody with authority has hidden it."""
    if isinstance(named, NamedEvent):
        found = meant_by_name(tx, named, near, context)
        return None if found is None or (found[-1] and not found[8]) else found
    row = _by_number_or_identifier(tx, named)
    if row is not None or isinstance(named, Identifier):
        return row
    rows = tx.rows(NEAREST, named, near, named, near)
    if not rows:
        return _by_further_name(tx, named)
    row = min(rows, key=lambda row: _nearness(tx.moment(row[2]), near))
    window = context.nearness.window
    return row if window is None or abs(tx.moment(row[2]) - near) <= window else None


def meant_by_name(
    tx: Transaction, named: NamedEvent, now: datetime, context: Context
) -> Row | None:
    """The event of a name on a date, or about a moment: of several, the last that has begun, else the
    next. Hidden ones are found where no other is.
    """
    rows = tx.rows(NAMED, named.name)
    if named.on is not None:
        begin, end = _day_of(named.on, context)
        rows = [row for row in rows if begin <= tx.moment(row[2]) < end]
    near = now if named.at is None else to_utc(named.at, context.zone)
    if not rows and named.on is None:
        return _by_further_name(tx, named.name)

    def order(row: Row) -> tuple[bool, bool, timedelta]:
        starts_at = tx.moment(row[2])
        return bool(row[-1]) and not row[8], starts_at > near, abs(starts_at - near)

    return min(rows, key=order, default=None)


def _by_further_name(tx: Transaction, name: str) -> Row | None:
    """The event that has a name beside its own, which counts where no event is called so."""
    row = tx.row(BY_IDENTIFIER, FURTHER_NAME, name.strip())
    if row is None or (row[-1] and not row[8]) or tx.rows(NAMED, name):
        return None
    return row


def _nearness(starts_at: datetime, near: datetime) -> tuple[timedelta, timedelta]:
    return abs(starts_at - near), near - starts_at


def root(tx: Transaction, event: EventRecord, context: Context) -> EventRecord:
    """The event that this one was merged into, or itself."""
    if not event.joined:
        return event
    row = tx.row(ANY, root_id(tx, event.id))
    assert row is not None
    return record(tx, row, context)


def root_id(tx: Transaction, event: int) -> int:
    """The id of the event that this one was merged into, or its own."""
    return int(tx.rows(ROOT, event)[0][0])


def tell_saved(tx: Transaction, event: EventRecord, context: Context) -> None:
    """Tell that an event has changed, and whatever it is told as: its identifiers are the other's too."""
    changes.add(tx, changes.EVENT_SAVED, event.id, context)
    if event.joined and (root := root_id(tx, event.id)) != event.id:
        changes.add(tx, changes.EVENT_SAVED, root, context)


def told(tx: Transaction, event: EventRecord, context: Context) -> EventRecord:
    """The event as answers tell it: the one that it was merged into, unless that one is hidden."""
    if not event.joined or tx.rows(ROOT, event.id)[0][1]:
        return event
    return root(tx, event, context)


def is_name(named: Named | None) -> bool:
    """Whether ``named`` can only mean an event's name."""
    return isinstance(named, str) and not is_number(named)


def _by_number_or_identifier(tx: Transaction, named: str | Identifier) -> Row | None:
    if isinstance(named, Identifier):
        if named.kind == ROW:
            return tx.row(BY_ID, row_id(named))
        row = tx.row(BY_IDENTIFIER, named.kind, named.key)
        return row if row and (not row[-1] or row[8]) else None
    if (identifier := event_id(named)) is not None:
        return tx.row(BY_ID, identifier)
    return None


def unknown(named: Named, awaits: str | None = None) -> NotFound:
    """The refusal for an event that nobody knows, named as the sender wrote it."""
    text = shown_name(named)
    return NotFound(f"Event with identifier {text} not found", awaits=awaits)


def shown_name(named: Named) -> str:
    """What an event is called, as the sender wrote it."""
    if isinstance(named, NamedEvent):
        return named.name if named.on is None else f"{named.name} on {named.on}"
    return named if isinstance(named, str) else named.value


def not_near(tx: Transaction, named: str, near: datetime, context: Context) -> NotFound | None:
    """The refusal for a name of events of which none starts within the window; None where there is no
    event of the name, or no window.
    """
    window = context.nearness.window
    if window is None or not tx.rows(BY_NAME, named):
        return None
    shown = near.replace(microsecond=0) if near == context.received_at else near
    return NotFound(
        f"No event named {named} is near {format_utc(shown)}",
        "An event of the name is meant where it starts within check_in_window hours of the moment; "
        "its id means it whenever it starts",
        awaits=subjects.awaited_event_near(named, *around(near, window)),
    )


def create(tx: Transaction, operation: CreateEvent, context: Context) -> Result:
    """Create an event, or show a hidden one again. Refused where name and start exist."""
    starts_at = to_utc(operation.starts_at, context.zone)
    same = tx.row(BY_NAME_AND_START, operation.name, starts_at)
    if same and (not same[-1] or same[8]):
        raise taken(operation.name, starts_at, context)
    members = (
        operation.name,
        starts_at,
        operation.event_type,
        operation.points,
        operation.description,
        operation.location,
    )
    if same:
        event = record(tx, same, context).id
        tx.run(UPDATE, *members, context.received_at, event)
    else:
        event = _insert(tx, operation, members, context)
    changes.add(tx, changes.EVENT_SAVED, event, context)
    return context.result(operation, Change.CREATED, event=_made(event, members, context))


def update(tx: Transaction, operation: UpdateEvent, context: Context) -> Result:
    """Change the members that are given. Refused where it is not clear which event is meant."""
    starts_at = None
    if operation.starts_at is not None:
        starts_at = to_utc(operation.starts_at, context.zone)
    found = _meant(tx, operation, starts_at, context)
    members = (
        found.name if operation.name is None else operation.name,
        found.starts_at if starts_at is None else starts_at,
        found.event_type if operation.event_type is None else operation.event_type,
        found.points if operation.points is None else operation.points,
        found.description if operation.description is None else operation.description,
        found.location if operation.location is None else operation.location,
    )
    same = tx.row(BY_NAME_AND_START, members[0], members[1])
    if same and same[0] != found.id:
        raise taken(members[0], members[1], context)
    tx.run(UPDATE, *members, context.received_at, found.id)
    changes.add(tx, changes.EVENT_SAVED, found.id, context)
    return context.result(
        operation, Change.UPDATED, event=_made(found.id, members, context, found.joined)
    )


def save(tx: Transaction, operation: SaveEvent, context: Context) -> Result:
    """Find an event by identifier, else by name and about when it starts, or create it."""
    starts_at = to_utc(operation.starts_at, context.zone)
    row = _saved(tx, operation, starts_at, context)
    if row is None:
        members = (
            operation.name, starts_at, "General", 0, operation.description, operation.location,
        )  # fmt: skip
        event = _insert(tx, operation, members, context)
        _learn(tx, event, operation)
        changes.add(tx, changes.EVENT_SAVED, event, context)
        return context.result(operation, Change.CREATED, event=_made(event, members, context))
    if row[8] and not context.firm:
        return context.ignored(operation, "The event was hidden at the desk")
    found, hidden = record(tx, row, context), bool(row[-1])
    learnt = _learn(tx, found.id, operation)
    members = _members(found)
    if operation.update:
        name, start = operation.name, starts_at
        same = tx.row(BY_NAME_AND_START, name, start)
        if same and same[0] != found.id:
            name, start = found.name, found.starts_at
        members = (
            name,
            start,
            found.event_type,
            found.points,
            operation.description or found.description,
            operation.location or found.location,
        )
    if hidden or members != _members(found):
        tx.run(UPDATE, *members, context.received_at, found.id)
        learnt = True
    if learnt:
        tell_saved(tx, found, context)
    change = Change.UPDATED if learnt else Change.UNCHANGED
    return context.result(operation, change, event=_made(found.id, members, context, found.joined))


def hide(tx: Transaction, operation: HideEvent, context: Context) -> Result:
    """Hide an event from look-ups; ignored where nobody knows it."""
    found = find(tx, operation.event, context.received_at, context)
    if found is None:
        if context.firm:
            raise unknown(operation.event)
        return context.ignored(operation, "No such event")
    if context.firm:
        found = root(tx, found, context)
    what = changes.EVENT_SAVED
    if not _is_shown_by_another(tx, operation.event, found.id, context):
        hidden_by = context.delivery, context.firm
        deeds.add(tx, context, deeds.EVENT, found.id, deeds.HIDDEN, None, hidden_by)
        tx.run(EVENTS.hide, context.received_at, context.received_at, *hidden_by, found.id)
        what = changes.EVENT_HIDDEN
    changes.add(tx, what, found.id, context)
    return context.result(operation, Change.UPDATED, event=found)


def _is_shown_by_another(tx: Transaction, named: Named, event: int, context: Context) -> bool:
    """Hide the identifier, if it is one; whether the event has another of its kind that is not hidden."""
    if not isinstance(named, Identifier):
        return False
    tx.run(HIDE_IDENTIFIER, context.received_at, named.kind, named.key)
    return tx.row(SHOWN_OF_KIND, event, named.kind) is not None


def _meant(
    tx: Transaction, operation: UpdateEvent, starts_at: datetime | None, context: Context
) -> EventRecord:
    named = operation.event if operation.event is not None else operation.name
    if named is None:
        raise Refused("event_identifier or event_name is required")
    if isinstance(named, Identifier) or (operation.event is not None and is_number(named)):
        row = _by_number_or_identifier(tx, named)
        if row is not None and not row[8]:
            return record(tx, row, context)
    rows = tx.rows(BY_NAME, named) if isinstance(named, str) else []
    if len(rows) > 1:
        row = tx.row(BY_NAME_AND_START, named, starts_at) if starts_at is not None else None
        if row is None or row[-1]:
            raise Conflicting(
                f"Several events are named {named}; give event_identifier or event_date"
            )
        return record(tx, row, context)
    if not rows:
        raise unknown(named)
    return record(tx, rows[0], context)


def _saved(
    tx: Transaction, operation: SaveEvent, starts_at: datetime, context: Context
) -> Row | None:
    for identifier in operation.identifiers:
        row = tx.row(BY_IDENTIFIER, identifier.kind, identifier.key)
        if row:
            return row
    rows = tx.rows(BY_NAME_BETWEEN, operation.name, *around(starts_at, context.nearness.same_event))
    if rows:
        # One that is shown before one that is hidden, the nearest, the later one on a tie.
        return min(rows, key=lambda row: _distance(tx.moment(row[2]), starts_at, bool(row[-1])))
    # Another of the sender's events on the same day has an identifier of its own; it is not this.
    kind = operation.identifiers[0].kind if operation.identifiers else ""
    begin, end = _day(starts_at, context)
    return tx.row(BY_NAME_AND_DAY, operation.name, begin, end, kind)


def _distance(
    starts_at: datetime, wanted: datetime, hidden: bool
) -> tuple[bool, timedelta, timedelta]:
    return hidden, abs(starts_at - wanted), wanted - starts_at


def _day(moment: datetime, context: Context) -> tuple[datetime, datetime]:
    """Begin and end, in UTC, of the calendar day in the hub's zone that ``moment`` is on."""
    return _day_of(calendar_date(moment, context.zone), context)


def _day_of(day: date, context: Context) -> tuple[datetime, datetime]:
    begin = _midnight(day, context, datetime.min)
    if day == date.max:
        return begin, datetime.max
    return begin, _midnight(day + timedelta(days=1), context, datetime.max)


def _midnight(day: date, context: Context, otherwise: datetime) -> datetime:
    try:
        return to_utc(datetime.combine(day, time()), context.zone)
    except ValueError:  # before the first or after the last moment that a datetime can tell
        return otherwise


def _learn(tx: Transaction, event: int, operation: SaveEvent) -> bool:
    learnt = False
    for identifier in operation.identifiers:
        row = tx.row(BY_IDENTIFIER, identifier.kind, identifier.key)
        if row is None:
            tx.run(ADD_IDENTIFIER, identifier.kind, identifier.key, identifier.text, event)
            learnt = True
        elif row[-2]:
            tx.run(HIDE_IDENTIFIER, None, identifier.kind, identifier.key)
            learnt = True
    return learnt


def _insert(
    tx: Transaction, operation: CreateEvent | SaveEvent, members: tuple[Any, ...], context: Context
) -> int:
    return tx.insert(
        INSERT,
        *members,
        context.source_of(operation),
        context.metadata_of(operation),
        context.delivery,
        context.received_at,
        context.received_at,
    )


def _members(event: EventRecord) -> tuple[Any, ...]:
    return (
        event.name, event.starts_at, event.event_type, event.points, event.description,
        event.location,
    )  # fmt: skip


def _made(
    identifier: int, members: tuple[Any, ...], context: Context, joined: bool = False
) -> EventRecord:
    name, starts_at, event_type, points, description, location = members
    day = calendar_date(starts_at, context.zone)
    return EventRecord(
        identifier, name, starts_at, day, event_type, points, description, location, joined
    )


def record(tx: Transaction, row: Row, context: Context) -> EventRecord:
    """The event that a row of ``NEAREST`` tells of."""
    starts_at = tx.moment(row[2])
    return _made(row[0], (row[1], starts_at, *row[3:7]), context, bool(row[7]))


def taken(name: str, starts_at: datetime, context: Context) -> Conflicting:
    day = calendar_date(starts_at, context.zone)
    return Conflicting(f"Event with name {name} already exists on {day}")
