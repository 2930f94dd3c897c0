"""What the desk and calendars do to events: each member that changes is kept as a deed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hub.domain.corrections import EditEvent, ScheduleEvent, ShowEvent
from hub.domain.identifiers import Identifier, event_id
from hub.domain.operations import NamedEvent
from hub.domain.records import Change, EventRecord, Result
from hub.domain.timestamps import to_utc
from hub.errors import Contradicted, Refused
from hub.store import changes, deeds, events
from hub.store.context import Context
from hub.store.members import EVENTS, drop_identifiers, hidden_by, identifiers, set_hidden
from hub.store.transaction import Row, Transaction

MEMBERS = """
    SELECT name, starts_at, ends_at, event_type, points, description, location FROM event
    WHERE id = ?"""
OWNER = "SELECT event FROM event_identifier WHERE kind = ? AND value = ?"
INSERT = """
    INSERT INTO event (name, starts_at, ends_at, event_type, points, description, location, source,
        metadata, delivery, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id"""
UPDATE = """
    UPDATE event SET name = ?, starts_at = ?, ends_at = ?, event_type = ?, points = ?, description = ?,
        location = ?, updated_at = ? WHERE id = ?"""
BY_ID = "SELECT id FROM event WHERE id = ?"
_NAMES = (
    "name", "starts_at", "ends_at", "event_type", "points", "description", "location",
)  # fmt: skip
_MOMENTS = ("starts_at", "ends_at")


def edit(tx: Transaction, operation: EditEvent, context: Context) -> Result:
    """Change an event, or make a new one. Raises NotFound, Refused, and Contradicted for an identifier
    that is another event's, and for a name and start that another one has.
    """
    given = _given(operation, context)
    if operation.endless:
        given["ends_at"] = None
    if operation.event is None:
        if "name" not in given or "starts_at" not in given:
            raise Refused("A new event needs a name and starts_at")
        _require_free(tx, operation.identifiers, 0)
        return _make(tx, operation, given, context)
    found = events.find(tx, operation.event, context.received_at, context)
    if found is None:
        raise events.unknown(operation.event)
    event = events.root(tx, found, context).id
    own = _require_free(tx, operation.identifiers, event)
    before = members(tx, event)
    kinds = {one.kind for one in own} | set(operation.without)
    drop_identifiers(tx, EVENTS, event, kinds, before)
    for one in own:
        tx.run(events.ADD_IDENTIFIER, one.kind, one.key, one.text, event)
    return _changed(tx, operation, event, before, given, context)


def schedule(tx: Transaction, operation: ScheduleEvent, context: Context) -> Result:
    """Find the event of a calendar's entry, or make one. Raises Contradicted."""
    given = _given(operation, context)
    event = _known(tx, operation, given["starts_at"])
    if event is None:
        return _make(tx, operation, given, context)
    hidden = hidden_by(tx, EVENTS, event)
    if hidden is not None and hidden[1]:
        raise events.unknown(operation.name)
    if hidden is not None:
        return _show_again(tx, operation, event, given, context)
    before = members(tx, event)
    for one in operation.identifiers:
        if tx.row(OWNER, one.kind, one.key) is None:
            tx.run(events.ADD_IDENTIFIER, one.kind, one.key, one.text, event)
    return _changed(tx, operation, event, before, given, context)


def show(tx: Transaction, operation: ShowEvent, context: Context) -> Result:
    """Show a hidden event again. Raises NotFound, and Contradicted for one that is not hidden."""
    event = hidden_too(tx, operation.event, context)
    if event is None:
        raise events.unknown(operation.event)
    set_hidden(tx, EVENTS, event, None, context)
    return context.result(operation, Change.UPDATED, event=_record(tx, event, context))


def members(tx: Transaction, event: int) -> dict[str, Any]:
    """An event's members by name, moments as text; identifiers of each kind as a list of (value, as
    shown).
    """
    row = tx.row(MEMBERS, event)
    assert row is not None
    found: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    for name in _MOMENTS:
        found[name] = None if found[name] is None else tx.moment(found[name]).isoformat()
    return found | identifiers(tx, EVENTS, event)


def set_member(tx: Transaction, event: int, member: str, value: Any, context: Context) -> None:
    """Make a member that is no identifier what it is to be. Raises Contradicted where another event has
    that name and start.
    """
    _update(tx, event, members(tx, event) | {member: value}, context)


def _given(operation: EditEvent | ScheduleEvent, context: Context) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name in _NAMES:
        value = getattr(operation, name)
        if isinstance(value, datetime):
            value = to_utc(value, context.zone).isoformat()
        if value is not None:
            given[name] = value
    return given


def _known(tx: Transaction, operation: ScheduleEvent, starts_at: str) -> int | None:
    for one in operation.identifiers:
        row = tx.row(OWNER, one.kind, one.key)
        if row is not None:
            return int(row[0])
    row = tx.row(events.BY_NAME_AND_START, operation.name, datetime.fromisoformat(starts_at))
    return None if row is None else int(row[0])


def hidden_too(
    tx: Transaction, named: str | Identifier | NamedEvent, context: Context
) -> int | None:
    """The id of the event that ``named`` names, hidden ones included; one that was merged as such."""
    row: Row | None
    if isinstance(named, NamedEvent):
        row = events.meant_by_name(tx, named, context.received_at, context)
        return None if row is None else int(row[0])
    if isinstance(named, Identifier):
        row = tx.row(OWNER, named.kind, named.key)
    else:
        number = event_id(named)
        row = None if number is None else tx.row(BY_ID, number)
        row = row or events.meant_by_name(tx, NamedEvent(named), context.received_at, context)
    return None if row is None else int(row[0])


def _require_free(
    tx: Transaction, identifiers: Sequence[Identifier], event: int
) -> list[Identifier]:
    own = []
    for one in identifiers:
        row = tx.row(OWNER, one.kind, one.key)
        if row is not None and row[0] != event:
            if events.root_id(tx, row[0]) == event:
                continue
            raise Contradicted(f"{one.kind} {one.text} is event {row[0]}'s")
        own.append(one)
    return own


def _make(
    tx: Transaction,
    operation: EditEvent | ScheduleEvent,
    given: Mapping[str, Any],
    context: Context,
) -> Result:
    starts_at = datetime.fromisoformat(given["starts_at"])
    same = tx.row(events.BY_NAME_AND_START, given["name"], starts_at)
    if same is not None and (not same[-1] or same[8]):
        raise events.taken(given["name"], starts_at, context)
    if same is not None:
        return _show_again(tx, operation, same[0], given, context)
    ends_at = given.get("ends_at")
    _require_order(given["starts_at"], ends_at)
    event = tx.insert(
        INSERT,
        given["name"],
        starts_at,
        None if ends_at is None else datetime.fromisoformat(ends_at),
        given.get("event_type", "General"),
        given.get("points", 0),
        given.get("description", ""),
        given.get("location", ""),
        context.source_of(operation),
        context.metadata_of(operation),
        context.delivery,
        context.received_at,
        context.received_at,
    )
    for one in operation.identifiers:
        tx.run(events.ADD_IDENTIFIER, one.kind, one.key, one.text, event)
    deeds.add(tx, context, deeds.EVENT, event, deeds.MADE, None, True)
    changes.add(tx, changes.EVENT_SAVED, event, context)
    return context.result(operation, Change.CREATED, event=_record(tx, event, context))


def _show_again(
    tx: Transaction,
    operation: EditEvent | ScheduleEvent,
    event: int,
    given: Mapping[str, Any],
    context: Context,
) -> Result:
    """An event that a source or an undo has hidden, as if it were new."""
    set_hidden(tx, EVENTS, event, None, context)
    before = members(tx, event)
    for one in operation.identifiers:
        if tx.row(OWNER, one.kind, one.key) is None:
            tx.run(events.ADD_IDENTIFIER, one.kind, one.key, one.text, event)
    found = _changed(tx, operation, event, before, given, context)
    return replace(found, change=Change.CREATED)


def _changed(
    tx: Transaction,
    operation: EditEvent | ScheduleEvent,
    event: int,
    before: Mapping[str, Any],
    given: Mapping[str, Any],
    context: Context,
) -> Result:
    if any(before[name] != value for name, value in given.items()):
        _update(tx, event, {**before, **given}, context)
    after = members(tx, event)
    after |= {kind: [] for kind in before if kind not in after}
    record = _record(tx, event, context)
    change = Change.UNCHANGED
    if deeds.add_differences(tx, context, deeds.EVENT, event, before, after):
        events.tell_saved(tx, record, context)
        change = Change.UPDATED
    return context.result(operation, change, event=record)


def _update(tx: Transaction, event: int, own: Mapping[str, Any], context: Context) -> None:
    starts_at = datetime.fromisoformat(own["starts_at"])
    same = tx.row(events.BY_NAME_AND_START, own["name"], starts_at)
    if same is not None and same[0] != event:
        raise events.taken(own["name"], starts_at, context)
    _require_order(own["starts_at"], own["ends_at"])
    values = [
        own[name]
        if name not in _MOMENTS or own[name] is None
        else datetime.fromisoformat(own[name])
        for name in _NAMES
    ]
    tx.run(UPDATE, *values, context.received_at, event)


def _require_order(starts_at: str, ends_at: str | None) -> None:
    if ends_at is not None and datetime.fromisoformat(ends_at) < datetime.fromisoformat(starts_at):
        raise Refused("ends_at is before starts_at")


def _record(tx: Transaction, event: int, context: Context) -> EventRecord:
    row = tx.row(events.ANY, event)
    assert row is not None
    return events.record(tx, row, context)
