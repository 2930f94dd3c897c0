"""The copy in which a rebuild derives the attendances, and what it has beside the tables of a store: the
record as it was, to be compared with, and how far the rebuild is. It is SQLite.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hub.domain.evidence import State
from hub.store.transaction import Row, Transaction

STUDENT, EVENT = "student", "event"

_TABLES = (
    """CREATE TABLE recorded_key (
        what TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL,
        PRIMARY KEY (what, key)) WITHOUT ROWID""",
    """CREATE TABLE recorded_merged (
        what TEXT NOT NULL, id INTEGER NOT NULL, root INTEGER NOT NULL,
        PRIMARY KEY (what, id)) WITHOUT ROWID""",
    """CREATE TABLE recorded (
        student INTEGER NOT NULL, event INTEGER NOT NULL, attendance INTEGER NOT NULL,
        own_student INTEGER NOT NULL, own_event INTEGER NOT NULL,
        checked_in_at TEXT NOT NULL, checked_out_at TEXT, delivery TEXT NOT NULL)""",
    """CREATE TABLE settled_later (
        moment TEXT NOT NULL, delivery TEXT NOT NULL UNIQUE,
        PRIMARY KEY (moment, delivery)) WITHOUT ROWID""",
    """CREATE TABLE twin (
        what TEXT NOT NULL, id INTEGER NOT NULL, recorded INTEGER NOT NULL,
        PRIMARY KEY (what, id)) WITHOUT ROWID""",
    """CREATE TABLE difference (
        id INTEGER PRIMARY KEY, student INTEGER NOT NULL, event INTEGER NOT NULL,
        derived INTEGER, root_student INTEGER, root_event INTEGER,
        derived_in TEXT, derived_out TEXT, derived_delivery TEXT,
        recorded INTEGER, own_student INTEGER, own_event INTEGER,
        recorded_in TEXT, recorded_out TEXT, recorded_delivery TEXT,
        is_second INTEGER NOT NULL DEFAULT FALSE)""",
    """CREATE TABLE rebuild (
        mark TEXT NOT NULL, cursor TEXT NOT NULL, upto TEXT NOT NULL, emptied INTEGER NOT NULL,
        attendance INTEGER NOT NULL, change INTEGER NOT NULL,
        key TEXT NOT NULL, delivery TEXT NOT NULL, derived INTEGER NOT NULL, failed INTEGER NOT NULL,
        applied_by TEXT, applied INTEGER NOT NULL)""",
)
ADD_KEY = "INSERT OR REPLACE INTO recorded_key (what, key, id) VALUES (?, ?, ?)"
ADD_MERGED = "INSERT INTO recorded_merged (what, id, root) VALUES (?, ?, ?)"
ADD_RECORDED = """
    INSERT INTO recorded (student, event, attendance, own_student, own_event, checked_in_at,
        checked_out_at, delivery)
    SELECT coalesce(s.root, own.student), coalesce(e.root, own.event), own.*
    FROM (SELECT ? AS attendance, ? AS student, ? AS event, ?, ?, ?) AS own
    LEFT JOIN recorded_merged s ON s.what = 'student' AND s.id = own.student
    LEFT JOIN recorded_merged e ON e.what = 'event' AND e.id = own.event"""
ADD_LATER = "INSERT INTO settled_later (moment, delivery) VALUES (?, ?)"
BEGIN = """
    INSERT INTO rebuild (mark, cursor, upto, emptied, attendance, change, key, delivery, derived, failed,
        applied)
    VALUES (?, ?, ?, ?, ?, ?, '', '', 0, 0, 0)"""
OF = "SELECT mark, cursor, emptied FROM rebuild"
PROGRESS = """
    SELECT upto, attendance, change, key, delivery, derived, failed, applied_by, applied FROM rebuild"""
MOVE = "UPDATE rebuild SET key = ?, delivery = ?, derived = ?, failed = ?"
APPLY = "UPDATE rebuild SET applied_by = ?, applied = ?"
LATER = """
    SELECT moment, delivery FROM settled_later WHERE (moment, delivery) > (?, ?)
    ORDER BY moment, delivery LIMIT ?"""
ARE_LATER = "SELECT delivery FROM settled_later WHERE delivery >= ? AND delivery <= ?"

_TWINS = (
    "DELETE FROM twin",
    # Whoever has no key was copied, and has the same id in both.
    """INSERT INTO twin (what, id, recorded)
    SELECT 'student', own.student, coalesce((
        SELECT k.id FROM student_identifier i
        JOIN recorded_key k ON k.what = 'student' AND k.key = i.kind || ':' || i.value
        WHERE i.student = own.student ORDER BY i.id LIMIT 1), -own.student)
    FROM (SELECT DISTINCT student FROM student_identifier) AS own""",
    """INSERT INTO twin (what, id, recorded)
    SELECT 'event', e.id, coalesce((
        SELECT k.id FROM event_identifier i
        JOIN recorded_key k ON k.what = 'event' AND k.key = i.kind || ':' || i.value
        WHERE i.event = e.id ORDER BY i.id LIMIT 1), (
        SELECT k.id FROM recorded_key k
        WHERE k.what = 'event' AND k.key = e.starts_at || ' ' || e.name), -e.id)
    FROM event e""",
)
_MAKE_DERIVED = """
    CREATE TABLE derived (
        student INTEGER NOT NULL, event INTEGER NOT NULL, attendance INTEGER NOT NULL,
        root_student INTEGER NOT NULL, root_event INTEGER NOT NULL,
        checked_in_at TEXT NOT NULL, checked_out_at TEXT, delivery TEXT NOT NULL)"""
_DERIVED = f"""
    INSERT INTO derived (student, event, attendance, root_student, root_event, checked_in_at,
        checked_out_at, delivery)
    SELECT coalesce(s.recorded, told.root_student), coalesce(e.recorded, -told.root_event), told.*
    FROM (
        SELECT a.id AS attendance, coalesce(s.merged_into, s.id) AS root_student,
            coalesce(e.merged_into, e.id) AS root_event,
            a.checked_in_at, a.checked_out_at, a.delivery
        FROM attendance a JOIN student s ON s.id = a.student JOIN event e ON e.id = a.event
        WHERE a.delivery <= ? AND a.state < {State.WITHDRAWN.value}) AS told
    LEFT JOIN twin s ON s.what = 'student' AND s.id = told.root_student
    LEFT JOIN twin e ON e.what = 'event' AND e.id = told.root_event"""
_INDEXES = (
    # Made once all is there: to keep them up to date meanwhile would take several times as long.
    "CREATE INDEX IF NOT EXISTS recorded_pair ON recorded (student, event)",
    "CREATE INDEX derived_pair ON derived (student, event)",
)
_DIFFERENCES = (
    "DELETE FROM difference",
    """INSERT INTO difference (student, event, derived, root_student, root_event, derived_in,
        derived_out, derived_delivery, recorded, own_student, own_event, recorded_in, recorded_out,
        recorded_delivery, is_second)
    SELECT d.student, d.event, d.attendance, d.root_student, d.root_event, d.checked_in_at,
        d.checked_out_at, d.delivery, r.attendance, r.own_student, r.own_event, r.checked_in_at,
        r.checked_out_at, r.delivery, d.is_second
    FROM (
        SELECT own.*, EXISTS (
            SELECT 1 FROM derived o WHERE o.student = own.student AND o.event = own.event
                AND o.attendance < own.attendance) AS is_second
        FROM derived own) AS d
    LEFT JOIN recorded r ON r.student = d.student AND r.event = d.event AND NOT d.is_second
    WHERE r.attendance IS NULL OR r.checked_in_at <> d.checked_in_at
        OR r.checked_out_at IS NOT d.checked_out_at
    ORDER BY d.attendance""",
    """INSERT INTO difference (student, event, recorded, own_student, own_event, recorded_in,
        recorded_out, recorded_delivery)
    SELECT r.student, r.event, r.attendance, r.own_student, r.own_event, r.checked_in_at,
        r.checked_out_at, r.delivery
    FROM recorded r LEFT JOIN derived d ON d.student = r.student AND d.event = r.event
    WHERE d.attendance IS NULL ORDER BY r.attendance""",
)
FOUND = """
    SELECT id, student, event, derived, root_student, root_event, derived_in, derived_out,
        derived_delivery, recorded, own_student, own_event, recorded_in, recorded_out,
        recorded_delivery, is_second
    FROM difference WHERE id > ? ORDER BY id LIMIT ?"""
COUNT = """
    SELECT coalesce(sum(recorded IS NULL), 0), coalesce(sum(derived IS NULL), 0), count(*)
    FROM difference WHERE id > ?"""
DROP = "DELETE FROM difference WHERE id = ?"


class Progress(NamedTuple):
    """How far a rebuild is: it derives the deliveries up to the id ``upto``, and compares with a record
    whose last ``attendance`` and ``change`` these were. ``key`` and ``delivery`` are the last one's place
    in the order, and ``applied`` is the last difference that was put into the record by the delivery
    ``applied_by``.
    """

    upto: str
    attendance: int
    change: int
    key: str = ""
    delivery: str = ""
    derived: int = 0
    failed: int = 0
    applied_by: str | None = None
    applied: int = 0


class Side(NamedTuple):
    """An attendance as the copy, or the record, has it: with the student and the event, its times as the
    database has them, and its delivery.
    """

    attendance: int
    student: int
    event: int
    checked_in_at: Any
    checked_out_at: Any
    delivery: str


class Found(NamedTuple):
    """A difference: ``student`` and ``event`` are those of the record (below 0: it has none). ``derived``
    is of those who are told in the copy, ``recorded`` of those it is of in the record; None where there
    is none. ``is_second``: the copy has another one that is of the same two.
    """

    id: int
    student: int
    event: int
    derived: Side | None
    recorded: Side | None
    is_second: int


def make_tables(tx: Transaction) -> None:
    """Give a new copy its own tables, and indexes by which those are found whom a delivery has made."""
    for sql in (
        *_TABLES,
        "CREATE INDEX student_delivery ON student (delivery)",
        "CREATE INDEX event_delivery ON event (delivery)",
    ):
        tx.run(sql)


class Origin(NamedTuple):
    """What a copy was made of: the ``mark`` of code and settings, and the record at a time, which its
    ``cursor`` tells from another; how many deliveries had lost their bodies.
    """

    mark: str
    cursor: str
    emptied: int


def begin(tx: Transaction, origin: Origin, upto: str, attendance: int, change: int) -> None:
    """All of the record is in the copy that it takes to begin."""
    tx.run(BEGIN, origin.mark, origin.cursor, upto, origin.emptied, attendance, change)


def origin(tx: Transaction) -> Origin | None:
    """What the copy was made of; None where it is not whole."""
    row = tx.row(OF)
    return None if row is None else Origin(*row)


def progress(tx: Transaction) -> Progress:
    """How far the rebuild is that has begun."""
    return Progress(*tx.rows(PROGRESS)[0])


def move(tx: Transaction, so_far: Progress) -> None:
    """Keep how far the deriving is."""
    tx.run(MOVE, so_far.key, so_far.delivery, so_far.derived, so_far.failed)


def applied(tx: Transaction, delivery: str, upto: int) -> None:
    """Keep how many of the differences are put into the record by a delivery."""
    tx.run(APPLY, delivery, upto)


def compare(tx: Transaction, upto: str) -> None:
    """Find the differences between what was derived, by deliveries up to the id ``upto``, and what was
    recorded.
    """
    for sql in _TWINS:
        tx.run(sql)
    tx.run("DROP TABLE IF EXISTS derived")
    tx.run(_MAKE_DERIVED)
    tx.run(_DERIVED, upto)
    for sql in (*_INDEXES, *_DIFFERENCES):
        tx.run(sql)


def found(tx: Transaction, after: int, limit: int) -> list[Found]:
    """At most ``limit`` differences after one of them."""
    return [
        Found(row[0], row[1], row[2], _side(row[3:9]), _side(row[9:15]), row[15])
        for row in tx.rows(FOUND, after, limit)
    ]


def _side(row: Row) -> Side | None:
    return None if row[0] is None else Side(*row)


def drop(tx: Transaction, differences: Iterable[int]) -> None:
    """Forget differences that are none."""
    tx.run_many(DROP, [(one,) for one in differences])


def count(tx: Transaction, after: int) -> tuple[int, int, int]:
    """How many attendances the record lacks, has too many, and how many differences there are, after one
    of them.
    """
    missing, surplus, every = tx.rows(COUNT, after)[0]
    return int(missing), int(surplus), int(every)


def later(tx: Transaction, key: str, delivery: str, limit: int) -> Sequence[Row]:
    """The first of the deliveries that were settled later than they came, after a place in the order."""
    return tx.rows(LATER, key, delivery, limit)


def are_later(tx: Transaction, first: str, last: str) -> frozenset[str]:
    """Which deliveries, between two ids, were settled later than they came."""
    return frozenset(one for (one,) in tx.rows(ARE_LATER, first, last))
