"""Attendances that are told as one, since their students or their events were merged.

Nothing is moved by a merge: each attendance stays with its student and its event, and keeps its evidence.
What it is by itself is kept in a row of ``own_attendance`` as long as it is joined; the one with the
lowest id has in its own row what is told of all, and the others are in no listing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from hub.domain.evidence import Own, State, together, weigh
from hub.domain.records import AttendanceRecord
from hub.store import changes, sayings
from hub.store.context import Context
from hub.store.transaction import Row, Transaction

_STUDENTS = "SELECT s.id FROM student s WHERE s.id = ? OR s.merged_into = ?"
_EVENTS = "SELECT e.id FROM event e WHERE e.id = ? OR e.merged_into = ?"
TOLD = f"""
    SELECT a.id, a.state, a.checked_in_at, a.checked_out_at, a.firm
    FROM attendance a
    WHERE a.student IN ({_STUDENTS}) AND a.event IN ({_EVENTS})
    ORDER BY a.joined_in IS NOT NULL AND a.joined_in <> a.id, a.state = 3, a.id LIMIT 1"""
_GROUPS = """
    SELECT a.id, coalesce(s.merged_into, s.id), coalesce(e.merged_into, e.id), a.joined_in,
        a.student, a.event
    FROM attendance a JOIN student s ON s.id = a.student JOIN event e ON e.id = a.event"""
OF_STUDENTS = f"{_GROUPS} WHERE a.student IN ({_STUDENTS}) ORDER BY a.id"
OF_EVENTS = f"{_GROUPS} WHERE a.event IN ({_EVENTS}) ORDER BY a.id"
OF_PAIR = f"{_GROUPS} WHERE a.student IN ({_STUDENTS}) AND a.event IN ({_EVENTS}) ORDER BY a.id"
ROOTS = """
    SELECT coalesce(s.merged_into, s.id), coalesce(e.merged_into, e.id)
    FROM student s, event e WHERE s.id = ? AND e.id = ?"""
MEMBERS = "SELECT a.id FROM attendance a WHERE a.joined_in = ? ORDER BY a.id"
KEEP_OWN = """
    INSERT INTO own_attendance (attendance, checked_in_at, checked_out_at, state, sightings, source, via,
        first_delivery, withdrawal, firm)
    SELECT a.id, a.checked_in_at, a.checked_out_at, a.state, a.sightings, a.source, a.via,
        a.first_delivery, a.withdrawal, a.firm
    FROM attendance a WHERE a.id = ? ON CONFLICT DO NOTHING"""
OWN = """
    SELECT o.attendance, o.state, o.checked_in_at, o.checked_out_at, o.sightings, o.source, o.via,
        coalesce(o.first_delivery, a.delivery), o.withdrawal, o.firm
    FROM own_attendance o JOIN attendance a ON a.id = o.attendance WHERE o.attendance = ?"""
SHOWN = """
    SELECT a.state, a.checked_in_at, a.checked_out_at, a.delivery FROM attendance a WHERE a.id = ?"""
TELL = """
    UPDATE attendance SET checked_in_at = ?, checked_out_at = ?, state = ?, sightings = ?, source = ?,
        via = ?, first_delivery = ?, withdrawal = ?, firm = ?, joined_in = ? WHERE id = ?"""
PART_OF = "UPDATE attendance SET state = 3, joined_in = ? WHERE id = ?"
GIVE_BACK = """
    UPDATE attendance SET (checked_in_at, checked_out_at, state, sightings, source, via, first_delivery,
        withdrawal, firm) = (SELECT o.checked_in_at, o.checked_out_at, o.state, o.sightings, o.source,
        o.via, o.first_delivery, o.withdrawal, o.firm FROM own_attendance o WHERE o.attendance = ?),
        joined_in = NULL
    WHERE id = ?"""
DROP_OWN = "DELETE FROM own_attendance WHERE attendance = ?"


class Told(NamedTuple):
    """The attendance that is told of a student and an event, who may be merged with others."""

    attendance: int
    state: State
    checked_in_at: datetime
    checked_out_at: datetime | None
    firm: bool

    @property
    def record(self) -> AttendanceRecord:
        """As results have it."""
        return AttendanceRecord(self.attendance, self.checked_in_at, self.checked_out_at)


def told(tx: Transaction, student: int, event: int) -> Told | None:
    """The attendance that is told of a student and an event, given by those that others were merged
    into; None where there is none.
    """
    row = tx.row(TOLD, student, student, event, event)
    if row is None:
        return None
    identifier, state, came, left, firm = row
    return Told(identifier, State(state), *_times(tx, came, left), bool(firm))


def regroup_students(
    tx: Transaction, students: Iterable[int], moved: Collection[int], context: Context
) -> None:
    """Join what belongs together now of the students' attendances, and part what does not. They are given
    by those that others were merged into; ``moved`` are those who were or are somebody else's.
    """
    rows = {row[0]: row for one in students for row in tx.rows(OF_STUDENTS, one, one)}
    is_moved = {row[0] for row in rows.values() if row[4] in moved}
    _regroup(tx, rows.values(), is_moved, context)


def regroup_events(
    tx: Transaction, events: Iterable[int], moved: Collection[int], context: Context
) -> None:
    """The same for events."""
    rows = {row[0]: row for one in events for row in tx.rows(OF_EVENTS, one, one)}
    is_moved = {row[0] for row in rows.values() if row[5] in moved}
    _regroup(tx, rows.values(), is_moved, context)


def regroup(tx: Transaction, student: int, event: int, context: Context) -> None:
    """The same for one student at one event."""
    _regroup(tx, tx.rows(OF_PAIR, student, student, event, event), (), context)


def regroup_pair(tx: Transaction, student: int, event: int, context: Context) -> None:
    """The same for two rows, whatever they are told as."""
    ((root, at),) = tx.rows(ROOTS, student, event)
    regroup(tx, root, at, context)


def retell(tx: Transaction, leader: int, context: Context) -> AttendanceRecord:
    """Tell anew what joined attendances come to, of which one has changed."""
    return _join(tx, [(row[0], leader) for row in tx.rows(MEMBERS, leader)], context)


def _regroup(
    tx: Transaction, rows: Iterable[Row], moved: Collection[int], context: Context
) -> None:
    groups: dict[tuple[int, int], list[tuple[int, int | None]]] = defaultdict(list)
    for row in sorted(rows):
        groups[row[1], row[2]].append((row[0], row[3]))
    for members in groups.values():
        (attendance, joined_in), *others = members
        if others:
            _join(tx, members, context)
        elif joined_in is not None:
            _part(tx, attendance, context)
        elif attendance in moved:
            changes.add(tx, changes.CHANGED, attendance, context)


def _join(
    tx: Transaction, members: Sequence[tuple[int, int | None]], context: Context
) -> AttendanceRecord:
    """Tell as one what is given with the id of what it is told in now."""
    owns, is_firm = [], False
    for one, joined_in in members:
        if joined_in is None:
            tx.run(sayings.KEEP_FIRST, one)
            tx.run(KEEP_OWN, one)
        row = tx.row(OWN, one)
        assert row is not None
        owns.append(Own(row[0], State(row[1]), *_times(tx, row[2], row[3]), *row[4:9]))
        is_firm = is_firm or bool(row[9])
    words = []
    if is_firm:
        rows = [row for one, _ in members for row in tx.rows(sayings.FIRM, one)]
        words = [sayings.said(tx, row) for row in sorted(rows)]
        owns = [_as_seen(tx, own) for own in owns]
    whole = together(owns, words)
    row = tx.row(SHOWN, whole.attendance)
    assert row is not None
    before = State(row[0]), *_times(tx, row[1], row[2])
    first_delivery = None if whole.first_delivery == row[3] else whole.first_delivery
    tx.run(
        TELL,
        whole.checked_in_at,
        whole.checked_out_at,
        whole.state.value,
        whole.sightings,
        whole.source,
        whole.via,
        first_delivery,
        whole.withdrawal,
        is_firm,
        whole.attendance,
        whole.attendance,
    )
    after = whole.state, whole.checked_in_at, whole.checked_out_at
    kind = changes.of_states(before[0], after[0], before != after)
    changes.add(tx, kind, whole.attendance, context)
    for one, joined_in in members:
        if one != whole.attendance and joined_in != whole.attendance:
            tx.run(PART_OF, whole.attendance, one)
            changes.add(tx, changes.WITHDRAWN, one, context)
    return AttendanceRecord(whole.attendance, whole.checked_in_at, whole.checked_out_at)


def _as_seen(tx: Transaction, own: Own) -> Own:
    """An attendance as the sightings that stand have it, whatever was said with authority: that is said
    of all together.
    """
    rows = sayings.standing(tx, own.attendance)
    seen = [sayings.said(tx, row)._replace(firm=False, correction=None) for row in rows]
    found = weigh(seen)
    if found.checked_in_at is None:
        return own
    return own._replace(
        state=found.state,
        checked_in_at=found.checked_in_at,
        checked_out_at=found.checked_out_at,
        sightings=found.sightings,
    )


def _part(tx: Transaction, attendance: int, context: Context) -> None:
    row = tx.row(SHOWN, attendance)
    assert row is not None
    before = State(row[0])
    tx.run(GIVE_BACK, attendance, attendance)
    tx.run(DROP_OWN, attendance)
    row = tx.row(SHOWN, attendance)
    assert row is not None
    changes.add(tx, changes.of_states(before, State(row[0]), True), attendance, context)


def _times(tx: Transaction, came: object, left: object) -> tuple[datetime, datetime | None]:
    return tx.moment(came), None if left is None else tx.moment(left)
