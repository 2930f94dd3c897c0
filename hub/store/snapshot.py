"""The record as a whole: read to be compared with another, and copied from one store to another."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.store.students import label_of
from hub.store.transaction import Queries, Transaction

_STUDENT = (
    "id, first_name, last_name, is_admin, source, metadata, delivery, created_at, updated_at, "
    "hidden_at"
)
_EVENT = (
    "id, name, starts_at, event_type, points, description, location, source, metadata, delivery, "
    "created_at, updated_at, hidden_at"
)
_ATTENDANCE = "id, student, event, checked_in_at, checked_out_at, source, metadata, delivery"
_TABLES = (
    ("student", _STUDENT, "student"),
    ("student_identifier", "id, kind, value, shown, student", "student"),
    ("event", _EVENT, "event"),
    ("event_identifier", "id, kind, value, shown, event", "event"),
    ("attendance", _ATTENDANCE, "attendance"),
    ("attendance_identifier", "id, kind, value, attendance", "attendance"),
)
"""Each table in the order of its references, its columns, and the table that knows its delivery."""

_MOMENTS = frozenset(
    {"starts_at", "checked_in_at", "checked_out_at", "created_at", "updated_at", "hidden_at"}
)
STUDENTS = "SELECT i.student, i.kind, i.value, i.shown FROM student_identifier i ORDER BY i.id"
EVENTS = "SELECT e.id, e.name, e.starts_at FROM event e"
EVENT_IDENTIFIERS = "SELECT i.event, i.kind, i.value FROM event_identifier i"
EVENTS_MADE = "SELECT e.id, e.delivery FROM event e ORDER BY e.id"
EVENTS_MADE_NOW = "SELECT e.id, e.delivery FROM event e WHERE e.delivery = ? ORDER BY e.id"
RENUMBER_EVENT = "UPDATE event SET id = ? WHERE id = ?"
ATTENDANCES = """
    SELECT a.student, a.event, a.checked_in_at, a.checked_out_at, a.delivery, d.source
    FROM attendance a LEFT JOIN delivery d ON d.id = a.delivery AND d.emptied IS NULL
    WHERE a.delivery <= ?"""


@dataclass(frozen=True, slots=True)
class Named:
    """A student or an event: how to show it, and what it is known by in any store."""

    label: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attended:
    """An attendance: its times, naive and in UTC, and the delivery that recorded it; ``source`` is None
    where that one has no body any more.
    """

    checked_in_at: datetime
    checked_out_at: datetime | None
    delivery: str
    source: str | None

    @property
    def times(self) -> tuple[datetime, datetime | None]:
        """From when to when."""
        return self.checked_in_at, self.checked_out_at


def students(queries: Queries) -> dict[int, Named]:
    """The students that have identifiers, by id."""
    found: dict[int, list[tuple[str, str, str]]] = defaultdict(list)
    for student, kind, value, shown in queries.rows(STUDENTS):
        found[student].append((kind, value, shown))
    return {
        student: Named(label_of(own) or "", tuple(f"{kind}:{value}" for kind, value, _ in own))
        for student, own in found.items()
    }


def events(queries: Queries) -> dict[int, Named]:
    """The events, by id."""
    keys: dict[int, list[str]] = defaultdict(list)
    for event, kind, value in queries.rows(EVENT_IDENTIFIERS):
        keys[event].append(f"{kind}:{value}")
    found = {}
    for event, name, starts_at in queries.rows(EVENTS):
        start = queries.moment(starts_at)
        label = f"{name} ({start:%Y-%m-%d %H:%M})"
        found[event] = Named(label, (*keys[event], f"{start.isoformat()} {name}"))
    return found


def attendances(queries: Queries, until: str) -> dict[tuple[int, int], Attended]:
    """The attendances by student and event that deliveries up to the id ``until`` have recorded."""
    found = {}
    for student, event, came, left, delivery, source in queries.rows(ATTENDANCES, until):
        found[student, event] = Attended(
            queries.moment(came), left and queries.moment(left), delivery, source
        )
    return found


def events_made_by(queries: Queries) -> dict[str, list[int]]:
    """The ids of the events that each delivery has made, in order."""
    made: dict[str, list[int]] = defaultdict(list)
    for event, delivery in queries.rows(EVENTS_MADE):
        made[delivery].append(event)
    return made


def give_ids(tx: Transaction, delivery: str, wanted: Sequence[int]) -> None:
    """Give the events that a delivery has just made the ids that they have in another store: a check-in
    may name an event by its id.
    """
    made = [row[0] for row in tx.rows(EVENTS_MADE_NOW, delivery)]
    for own, other in zip(made, wanted, strict=False):
        if own == other or tx.rows(f"SELECT e.id FROM event e WHERE e.id = {int(other)}"):
            continue
        tx.run("PRAGMA defer_foreign_keys = ON")
        tx.run(RENUMBER_EVENT, other, own)
        for table in ("event_identifier", "attendance", "withdrawn_attendance"):
            tx.run(f"UPDATE {table} SET event = ? WHERE event = ?", other, own)


def changed(queries: Queries, table: str, sources: Sequence[str]) -> dict[int, datetime]:
    """When the students or events (``table``) were last changed that no kept body tells the making of."""
    sql = f"SELECT o.id, o.updated_at FROM {table} o WHERE NOT {_derivable(sources)}"
    return {row: queries.moment(moment) for row, moment in queries.rows(sql, *sources)}


def _derivable(sources: Sequence[str]) -> str:
    if not sources:
        return "1 = 0"
    given = ", ".join("?" for _ in sources)
    return (
        "EXISTS (SELECT 1 FROM delivery d WHERE d.id = o.delivery AND d.emptied IS NULL "
        f"AND d.source IN ({given}))"
    )


def copy_underivable(queries: Queries, tx: Transaction, sources: Sequence[str]) -> None:
    """Copy to another store what no kept body of one of ``sources`` tells of, with its ids."""
    derivable = _derivable(sources)
    for table, columns, owner in _TABLES:
        names = columns.split(", ")
        join = "" if table == owner else f" JOIN {owner} o ON o.id = t.{owner}"
        alias = "o" if table == owner else "t"
        wanted = ", ".join(f"{alias}.{name}" for name in names)
        rows = queries.rows(
            f"SELECT {wanted} FROM {table} {alias}{join} WHERE NOT {derivable}", *sources
        )
        marks = ", ".join("?" for _ in names)
        insert = f"INSERT INTO {table} ({columns}) SELECT {marks}{_present(table)}"
        moments = [name in _MOMENTS for name in names]
        for row in rows:
            values = [
                queries.moment(value) if is_moment and value is not None else value
                for value, is_moment in zip(row, moments, strict=True)
            ]
            extra = values[1:3] if table == "attendance" else values[3:4] if _present(table) else []
            tx.run(insert, *values, *extra)


def _present(table: str) -> str:
    """Only where what it refers to was copied too."""
    return {
        "attendance": (
            " WHERE EXISTS (SELECT 1 FROM student WHERE id = ?)"
            " AND EXISTS (SELECT 1 FROM event WHERE id = ?)"
        ),
        "attendance_identifier": " WHERE EXISTS (SELECT 1 FROM attendance WHERE id = ?)",
    }.get(table, "")
