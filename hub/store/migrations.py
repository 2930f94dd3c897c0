"""The store's schema, as ordered steps. Those that a store lacks run in one transaction, under a lock.

A step is never changed once it is released; a change of the schema is a new step at the end. A
statement serves both dialects; ``{id}``, ``{moment}`` and ``{bytes}`` stand for their column types.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any, NamedTuple

from pony.orm import Database, db_session

from hub.store.database import LOCK_TIMEOUT, Address

_ARE_THE_LAST = """
    NOT EXISTS (SELECT 1 FROM attendance a WHERE a.student = w.student AND a.event = w.event)
    AND NOT EXISTS (
        SELECT 1 FROM withdrawn_attendance l
        WHERE l.student = w.student AND l.event = w.event AND l.attendance > w.attendance)"""
_OF_ATTENDANCE = """
    FROM withdrawn_attendance w
    JOIN attendance a ON a.student = w.student AND a.event = w.event"""
_VIA = "coalesce((SELECT d.source FROM delivery d WHERE d.id = {}), '')"
_INSERT_EVIDENCE = """
    INSERT INTO evidence (attendance, kind, delivery, source, via, at, repeatable, participant,
        taken_back_by)"""

_WITHDRAWN_BACK = (
    f"UPDATE attendance SET via = {_VIA.format('attendance.delivery')}",
    """UPDATE attendance SET participant = (
        SELECT min(i.kind || ':' || i.value) FROM attendance_identifier i
        WHERE i.attendance = attendance.id)""",
    # A check-out was one column.
    f"""{_INSERT_EVIDENCE}
        SELECT id, 'check_in', delivery, source, via, checked_in_at, FALSE, participant, NULL
        FROM attendance WHERE checked_out_at IS NOT NULL ORDER BY id""",
    f"""{_INSERT_EVIDENCE}
        SELECT id, 'check_out', delivery, source, via, checked_out_at, FALSE, participant, NULL
        FROM attendance WHERE checked_out_at IS NOT NULL ORDER BY id""",
    "UPDATE attendance SET state = 1 WHERE checked_out_at IS NOT NULL",
    # Of several withdrawn ones of a student and an event the last has its place again.
    f"""INSERT INTO attendance (id, student, event, checked_in_at, checked_out_at, source, metadata,
            delivery, via, state, sightings, withdrawal)
        SELECT w.attendance, w.student, w.event, w.checked_in_at, w.checked_out_at, w.source,
            w.metadata, w.delivery, {_VIA.format("w.delivery")}, 2, 0, w.withdrawn_by
        FROM withdrawn_attendance w WHERE {_ARE_THE_LAST} ORDER BY w.id""",
    # Whatever stands with one that was withdrawn before is evidence from now on.
    f"""{_INSERT_EVIDENCE}
        SELECT a.id, 'check_in', a.delivery, a.source, a.via, a.checked_in_at, FALSE, a.participant,
            NULL
        FROM attendance a WHERE a.state <> 2 AND EXISTS (
            SELECT 1 FROM withdrawn_attendance w WHERE w.student = a.student AND w.event = a.event)
        ON CONFLICT DO NOTHING""",
    *(
        f"""{_INSERT_EVIDENCE}
            SELECT a.id, '{kind}', w.{delivery}, w.source, {_VIA.format(f"w.{delivery}")}, w.{at}, FALSE,
                NULL, {taken_back_by}
            {_OF_ATTENDANCE} WHERE w.{at} IS NOT NULL ORDER BY w.id ON CONFLICT DO NOTHING"""
        for kind, delivery, at, taken_back_by in (
            ("check_in", "delivery", "checked_in_at", "w.withdrawn_by"),
            ("check_out", "delivery", "checked_out_at", "w.withdrawn_by"),
            ("withdrawal", "withdrawn_by", "withdrawn_at", "NULL"),
        )
    ),
    # What is still to be sent on is known by the attendance that is left.
    f"""DELETE FROM outbox WHERE EXISTS (
            SELECT 1 {_OF_ATTENDANCE} JOIN outbox o ON o.target = outbox.target AND o.id <> outbox.id
            WHERE w.attendance = outbox.attendance AND (
                o.attendance = a.id
                OR o.attendance > outbox.attendance AND EXISTS (
                    SELECT 1 FROM withdrawn_attendance v WHERE v.attendance = o.attendance
                        AND v.student = w.student AND v.event = w.event)))""",
    f"""UPDATE outbox SET attendance = (
            SELECT a.id {_OF_ATTENDANCE} WHERE w.attendance = outbox.attendance)
        WHERE EXISTS (
            SELECT 1 {_OF_ATTENDANCE} WHERE w.attendance = outbox.attendance AND a.id <> w.attendance)""",
    """DELETE FROM outbox WHERE NOT EXISTS (
        SELECT 1 FROM attendance a WHERE a.id = outbox.attendance)""",
)
"""Withdrawn attendances were moved to a table of their own. They go back to their place, and what was
said of them becomes evidence."""


def index_deliveries(cursor: Any, dialect: str) -> None:
    """Have the kept deliveries found by whom and what they are about. Those that made an attendance, and
    neither its student nor its event, are found through that.
    """
    mark = "?" if dialect == "SQLite" else "%s"
    tables = ("attendance", "student", "event")
    for table in tables:
        cursor.execute(f"CREATE INDEX {table}_delivery ON {table} (delivery)")
    cursor.execute("SELECT kind, value, student FROM student_identifier")
    owners = {f"{kind}:{value}": f"#{student}" for kind, value, student in cursor.fetchall()}
    after = ""
    while True:
        cursor.execute(
            f"""SELECT d.id, d.students, d.events,
                EXISTS (SELECT 1 FROM attendance a WHERE a.delivery = d.id)
                    AND NOT EXISTS (SELECT 1 FROM student s WHERE s.delivery = d.id)
                    AND NOT EXISTS (SELECT 1 FROM event e WHERE e.delivery = d.id)
            FROM delivery d WHERE d.id > {mark} ORDER BY d.id LIMIT 1000""",
            (after,),
        )
        page = cursor.fetchall()
        if not page:
            break
        after = page[-1][0]
        rows = {
            (f"{what} {name}", identifier)
            for identifier, students, events, is_found in page
            for what, text in (("student", students), ("event", events))
            for name in text.split("\n")[1:-1]
            if not is_found
            or (
                what == "student"
                and name[0] != "#"
                and owners.get(name, "?") not in text.split("\n")
            )
        }
        cursor.executemany(
            f"INSERT INTO mention (name, delivery) VALUES ({mark}, {mark})", sorted(rows)
        )
    for table in tables:
        cursor.execute(f"DROP INDEX {table}_delivery")


Step = tuple["str | Callable[[Any, str], None]", ...]

STEPS: tuple[Step, ...] = (
    (
        """CREATE TABLE student (
            id {id},
            first_name TEXT NOT NULL,
            last_name TEXT NOT NULL,
            is_admin BOOLEAN NOT NULL,
            source TEXT NOT NULL,
            metadata TEXT NOT NULL,
            delivery TEXT NOT NULL,
            created_at {moment} NOT NULL,
            updated_at {moment} NOT NULL,
            hidden_at {moment}
        )""",
        """CREATE TABLE student_identifier (
            id {id},
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            shown TEXT NOT NULL,
            student BIGINT NOT NULL REFERENCES student (id),
            CONSTRAINT student_identifier_value UNIQUE (kind, value)
        )""",
        "CREATE INDEX student_identifier_student ON student_identifier (student, kind)",
        """CREATE UNIQUE INDEX student_identifier_single ON student_identifier (student, kind)
            WHERE kind IN ('a_number', 'email')""",
        """CREATE TABLE event (
            id {id},
            name TEXT NOT NULL,
            starts_at {moment} NOT NULL,
            event_type TEXT NOT NULL,
            points INTEGER NOT NULL,
            description TEXT NOT NULL,
            location TEXT NOT NULL,
            source TEXT NOT NULL,
            metadata TEXT NOT NULL,
            delivery TEXT NOT NULL,
            created_at {moment} NOT NULL,
            updated_at {moment} NOT NULL,
            hidden_at {moment},
            CONSTRAINT event_name_starts_at UNIQUE (name, starts_at)
        )""",
        """CREATE TABLE event_identifier (
            id {id},
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            shown TEXT NOT NULL,
            event BIGINT NOT NULL REFERENCES event (id),
            CONSTRAINT event_identifier_value UNIQUE (kind, value)
        )""",
        "CREATE INDEX event_identifier_event ON event_identifier (event, kind)",
        """CREATE TABLE attendance (
            id {id},
            student BIGINT NOT NULL REFERENCES student (id),
            event BIGINT NOT NULL REFERENCES event (id),
            checked_in_at {moment} NOT NULL,
            checked_out_at {moment},
            source TEXT NOT NULL,
            metadata TEXT NOT NULL,
            delivery TEXT NOT NULL,
            CONSTRAINT attendance_student_event UNIQUE (student, event)
        )""",
        "CREATE INDEX attendance_event ON attendance (event)",
        """CREATE TABLE attendance_identifier (
            id {id},
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            attendance BIGINT NOT NULL REFERENCES attendance (id),
            CONSTRAINT attendance_identifier_value UNIQUE (kind, value)
        )""",
        "CREATE INDEX attendance_identifier_attendance ON attendance_identifier (attendance)",
        """CREATE TABLE withdrawn_attendance (
            id {id},
            attendance BIGINT NOT NULL,
            student BIGINT NOT NULL REFERENCES student (id),
            event BIGINT NOT NULL REFERENCES event (id),
            checked_in_at {moment} NOT NULL,
            checked_out_at {moment},
            source TEXT NOT NULL,
            metadata TEXT NOT NULL,
            delivery TEXT NOT NULL,
            withdrawn_at {moment} NOT NULL,
            withdrawn_by TEXT NOT NULL
        )""",
        "CREATE INDEX withdrawn_attendance_student ON withdrawn_attendance (student)",
        "CREATE INDEX withdrawn_attendance_event ON withdrawn_attendance (event)",
        """CREATE TABLE delivery (
            id TEXT NOT NULL PRIMARY KEY,
            source TEXT NOT NULL,
            received_at {moment} NOT NULL,
            headers TEXT NOT NULL,
            body {bytes} NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            answer TEXT NOT NULL,
            duration INTEGER NOT NULL,
            idempotency_key TEXT,
            body_digest TEXT
        )""",
        """CREATE UNIQUE INDEX delivery_idempotency_key ON delivery (source, idempotency_key)
            WHERE idempotency_key IS NOT NULL""",
    ),
    (
        "ALTER TABLE delivery ADD COLUMN students TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE delivery ADD COLUMN events TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE delivery ADD COLUMN waiting TEXT",
        "ALTER TABLE delivery ADD COLUMN emptied TEXT",
        "CREATE INDEX delivery_waiting ON delivery (waiting) WHERE waiting IS NOT NULL",
        """CREATE TABLE attempt (
            id {id},
            delivery TEXT NOT NULL REFERENCES delivery (id),
            number INTEGER NOT NULL,
            attempted_at {moment} NOT NULL,
            outcome TEXT NOT NULL,
            status INTEGER NOT NULL,
            answer TEXT NOT NULL,
            duration INTEGER NOT NULL,
            CONSTRAINT attempt_delivery_number UNIQUE (delivery, number)
        )""",
    ),
    (
        """CREATE TABLE capture (
            id {id},
            token TEXT NOT NULL,
            opened_at {moment} NOT NULL,
            expires_at {moment} NOT NULL,
            CONSTRAINT capture_token UNIQUE (token)
        )""",
        """CREATE TABLE captured_request (
            id {id},
            capture BIGINT NOT NULL REFERENCES capture (id),
            received_at {moment} NOT NULL,
            headers TEXT NOT NULL,
            body {bytes} NOT NULL
        )""",
        "CREATE INDEX captured_request_capture ON captured_request (capture)",
    ),
    (
        """CREATE TABLE outbox (
            id {id},
            target TEXT NOT NULL,
            attendance BIGINT NOT NULL,
            attempts INTEGER NOT NULL,
            due_at {moment},
            CONSTRAINT outbox_target_attendance UNIQUE (target, attendance)
        )""",
        "CREATE INDEX outbox_due ON outbox (target, due_at)",
    ),
    (
        "ALTER TABLE schema_version ADD COLUMN readable_from INTEGER",
        "ALTER TABLE delivery ADD COLUMN key_attempt INTEGER",
        "ALTER TABLE delivery ADD COLUMN key_holder TEXT",
        # Keys that a replay claimed, and keys that remember what may do better.
        """UPDATE delivery SET key_attempt = (
                SELECT max(a.number) FROM attempt a
                WHERE a.delivery = delivery.id AND a.outcome = 'applied')
            WHERE idempotency_key IS NOT NULL AND outcome = 'applied'""",
        """UPDATE delivery SET idempotency_key = NULL, body_digest = NULL
            WHERE outcome <> 'applied'
                AND (status = 404 OR status >= 500 OR answer LIKE '%already%')""",
        "ALTER TABLE event_identifier ADD COLUMN hidden_at {moment}",
        """CREATE TABLE forgetting (
            id {id},
            asked_at {moment} NOT NULL,
            names TEXT NOT NULL,
            upto TEXT NOT NULL,
            looked_upto TEXT NOT NULL,
            emptied INTEGER NOT NULL,
            claimed_until {moment} NOT NULL,
            ended_at {moment}
        )""",
    ),
    (
        "ALTER TABLE student ADD COLUMN preferred_name TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE student ADD COLUMN merged_into BIGINT REFERENCES student (id)",
        "ALTER TABLE student ADD COLUMN hidden_by TEXT",
        "ALTER TABLE student ADD COLUMN hidden_firmly BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE student ADD COLUMN forgotten_at {moment}",
        """UPDATE student SET forgotten_at = hidden_at
            WHERE hidden_at IS NOT NULL AND first_name = '' AND last_name = '' AND source = ''
                AND NOT EXISTS (SELECT 1 FROM student_identifier i WHERE i.student = student.id)""",
        """CREATE INDEX student_hidden ON student (id)
            WHERE hidden_at IS NOT NULL AND forgotten_at IS NULL""",
        "CREATE INDEX student_merged_into ON student (merged_into) WHERE merged_into IS NOT NULL",
        "ALTER TABLE event ADD COLUMN ends_at {moment}",
        "ALTER TABLE event ADD COLUMN merged_into BIGINT REFERENCES event (id)",
        "ALTER TABLE event ADD COLUMN hidden_by TEXT",
        "ALTER TABLE event ADD COLUMN hidden_firmly BOOLEAN NOT NULL DEFAULT FALSE",
        "CREATE INDEX event_hidden ON event (id) WHERE hidden_at IS NOT NULL",
        "CREATE INDEX event_merged_into ON event (merged_into) WHERE merged_into IS NOT NULL",
        "CREATE INDEX event_starts_at ON event (starts_at)",
        "ALTER TABLE attendance ADD COLUMN via TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE attendance ADD COLUMN repeatable BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE attendance ADD COLUMN participant TEXT",
        "ALTER TABLE attendance ADD COLUMN state INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE attendance ADD COLUMN sightings INTEGER NOT NULL DEFAULT 1",
        "ALTER TABLE attendance ADD COLUMN first_delivery TEXT",
        "ALTER TABLE attendance ADD COLUMN withdrawal TEXT",
        "ALTER TABLE attendance ADD COLUMN firm BOOLEAN NOT NULL DEFAULT FALSE",
        """CREATE TABLE evidence (
            id {id},
            attendance BIGINT NOT NULL REFERENCES attendance (id),
            kind TEXT NOT NULL,
            delivery TEXT NOT NULL,
            source TEXT NOT NULL,
            via TEXT NOT NULL,
            at {moment} NOT NULL,
            repeatable BOOLEAN NOT NULL,
            participant TEXT,
            idempotency_key TEXT,
            firm BOOLEAN NOT NULL DEFAULT FALSE,
            reason TEXT,
            correction TEXT,
            taken_back_by TEXT,
            CONSTRAINT evidence_attendance_delivery_kind UNIQUE (attendance, delivery, kind)
        )""",
        """CREATE UNIQUE INDEX evidence_key ON evidence (attendance, via, kind, idempotency_key)
            WHERE idempotency_key IS NOT NULL""",
        """CREATE INDEX evidence_standing ON evidence (attendance, kind, repeatable, delivery)
            WHERE kind IN ('check_in', 'check_out') AND taken_back_by IS NULL""",
        """CREATE INDEX evidence_participant ON evidence (attendance, participant, at)
            WHERE participant IS NOT NULL""",
        *_WITHDRAWN_BACK,
        "DROP TABLE withdrawn_attendance",
        """CREATE INDEX attendance_left ON attendance (event) WHERE state = 1""",
        """CREATE INDEX attendance_withdrawn ON attendance (event) WHERE state = 2""",
        "ALTER TABLE delivery ADD COLUMN sent_by TEXT",
        "ALTER TABLE delivery ADD COLUMN of_delivery TEXT",
        "ALTER TABLE delivery ADD COLUMN of_row INTEGER",
        """CREATE INDEX delivery_of_delivery ON delivery (of_delivery, of_row)
            WHERE of_delivery IS NOT NULL""",
        """CREATE TABLE change (
            id {id},
            type TEXT NOT NULL,
            subject BIGINT NOT NULL,
            delivery TEXT NOT NULL,
            at {moment} NOT NULL,
            attendances BIGINT NOT NULL
        )""",
        """INSERT INTO change (type, subject, delivery, at, attendances)
            SELECT 'student.saved', id, delivery, updated_at, 0 FROM student ORDER BY id""",
        """INSERT INTO change (type, subject, delivery, at, attendances)
            SELECT 'event.saved', id, delivery, updated_at, 0 FROM event ORDER BY id""",
        "CREATE INDEX change_subject ON change (type, subject)",
        """CREATE TABLE mention (
            name TEXT NOT NULL,
            delivery TEXT NOT NULL,
            PRIMARY KEY (name, delivery)
        ){clustered}""",
        "CREATE INDEX mention_delivery ON mention (delivery)",
        index_deliveries,
        """CREATE TABLE disagreement (
            id {id},
            delivery TEXT NOT NULL,
            student BIGINT NOT NULL REFERENCES student (id),
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            CONSTRAINT disagreement_student_identifier UNIQUE (student, kind, value)
        )""",
        """CREATE TABLE token (
            id {id},
            name TEXT NOT NULL,
            digest TEXT NOT NULL,
            scopes TEXT NOT NULL,
            sources TEXT NOT NULL,
            created_at {moment} NOT NULL,
            expires_at {moment},
            last_used_at {moment},
            revoked_at {moment},
            CONSTRAINT token_digest UNIQUE (digest)
        )""",
        "CREATE UNIQUE INDEX token_name ON token (name) WHERE revoked_at IS NULL",
    ),
    (
        "ALTER TABLE student ADD COLUMN joined BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE student ADD COLUMN merged_under BIGINT REFERENCES student (id)",
        "ALTER TABLE event ADD COLUMN joined BOOLEAN NOT NULL DEFAULT FALSE",
        "ALTER TABLE event ADD COLUMN merged_under BIGINT REFERENCES event (id)",
        "ALTER TABLE attendance ADD COLUMN joined_in BIGINT REFERENCES attendance (id)",
        "ALTER TABLE attendance ADD COLUMN unseen BOOLEAN NOT NULL DEFAULT FALSE",
        """CREATE INDEX attendance_joined_in ON attendance (joined_in)
            WHERE joined_in IS NOT NULL""",
        """CREATE INDEX attendance_joined ON attendance (event) WHERE state = 3""",
        """CREATE TABLE own_attendance (
            attendance BIGINT NOT NULL PRIMARY KEY REFERENCES attendance (id),
            checked_in_at {moment} NOT NULL,
            checked_out_at {moment},
            state INTEGER NOT NULL,
            sightings INTEGER NOT NULL,
            source TEXT NOT NULL,
            via TEXT NOT NULL,
            first_delivery TEXT,
            withdrawal TEXT,
            firm BOOLEAN NOT NULL
        )""",
        """CREATE TABLE deed (
            id {id},
            delivery TEXT NOT NULL,
            what TEXT NOT NULL,
            subject BIGINT NOT NULL,
            member TEXT NOT NULL,
            before TEXT,
            after TEXT,
            undone_by TEXT
        )""",
        "CREATE INDEX deed_delivery ON deed (delivery)",
        "CREATE INDEX deed_subject ON deed (what, subject, member)",
        """CREATE TABLE settled_doubt (
            doubt TEXT NOT NULL PRIMARY KEY,
            delivery TEXT NOT NULL
        )""",
        "ALTER TABLE delivery ADD COLUMN meant_student BIGINT",
        "ALTER TABLE delivery ADD COLUMN meant_event BIGINT",
    ),
    (
        """CREATE TABLE secret (
            name TEXT NOT NULL PRIMARY KEY,
            value TEXT NOT NULL
        )""",
    ),
    (
        "ALTER TABLE delivery ADD COLUMN told_status INTEGER",
        "ALTER TABLE delivery ADD COLUMN told_type TEXT",
        "ALTER TABLE delivery ADD COLUMN told TEXT",
        "ALTER TABLE delivery ADD COLUMN fetched {bytes}",
        """CREATE TABLE fetching (
            delivery TEXT NOT NULL PRIMARY KEY,
            source TEXT NOT NULL,
            url TEXT NOT NULL,
            headers TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            due_at {moment} NOT NULL
        ){clustered}""",
        "CREATE INDEX fetching_due ON fetching (source, due_at, delivery)",
        """CREATE TABLE key_set (
            url TEXT NOT NULL PRIMARY KEY,
            document TEXT NOT NULL,
            fetched_at {moment} NOT NULL
        )""",
    ),
    (
        """CREATE TABLE backup (
            id {id},
            made_at {moment} NOT NULL,
            bytes BIGINT NOT NULL
        )""",
        """CREATE TABLE alert (
            name TEXT NOT NULL PRIMARY KEY,
            text TEXT NOT NULL,
            began_at {moment} NOT NULL,
            ended_at {moment},
            begun TEXT NOT NULL,
            ended TEXT NOT NULL
        )""",
    ),
)

LATEST = len(STEPS)
"""The schema version that this hub works with."""

READABLE_FROM = 9
"""The oldest version whose hubs may go on with a store of this one: what they do to it is still right.

A step that only adds what older hubs may leave out keeps this number; any other raises it.
"""

_KNOWS_READABLE_FROM = 5
"""The step from which a store tells who may use it."""

OVERWRITES_FROM = 5
"""The step from which hubs overwrite what they delete. An older store's file may still tell of it."""

_TYPES = {
    "SQLite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "moment": "DATETIME",
        "bytes": "BLOB",
        "clustered": " WITHOUT ROWID",
    },
    "PostgreSQL": {
        "id": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "moment": "TIMESTAMP(6)",
        "bytes": "BYTEA",
        "clustered": "",
    },
}

_LOCK = 7_346_151


class Version(NamedTuple):
    """A store's schema: its version, and the oldest one whose hubs may use it as well."""

    number: int
    readable_from: int

    @property
    def is_usable(self) -> bool:
        """Whether this hub may use the store as it is."""
        return self.readable_from <= LATEST <= self.number


def current_version(database: Database) -> Version | None:
    """The version of the store's schema; None for a store that has none yet."""
    with db_session:
        cursor = database.get_connection().cursor()
        number = _version(cursor, database.provider.dialect)
        if number is None:
            return None
        if number < _KNOWS_READABLE_FROM:
            return Version(number, number)
        cursor.execute(READABLE_FROM_NOW)
        row: tuple[int] = cursor.fetchone()
        return Version(number, row[0])


READABLE_FROM_NOW = "SELECT max(coalesce(readable_from, version)) FROM schema_version"
"""The oldest version whose hubs may use a store; a row that does not say so means itself."""

SET_READABLE_FROM = "UPDATE schema_version SET readable_from = {}"


def has_nothing(database: Database) -> bool:
    """Whether a store with an older schema holds nothing yet: its first migration was cut short."""
    with db_session:
        cursor = database.get_connection().cursor()
        for table in ("student", "event", "delivery"):
            cursor.execute(_table_exists(table, database.provider.dialect))
            if cursor.fetchone() is None:
                continue
            cursor.execute(f"SELECT 1 FROM {table} LIMIT 1")
            if cursor.fetchone() is not None:
                return False
        return True


def migrate(database: Database, address: Address) -> list[int]:
    """Apply the steps that the store lacks, and tell their numbers. Safe to run from several
    processes at once. Each step is a transaction: a migration that dies leaves the store after its last
    whole step, and the next goes on from there. A new store gets all of them in one.
    """
    if address.in_file:
        _use_write_ahead_log(address)
    applied: list[int] = []
    while some := _apply_next(database):
        applied += some
    return applied


def _apply_next(database: Database) -> list[int]:
    """Apply the next step, or all to a new store; the numbers of those that were applied."""
    dialect = database.provider.dialect
    with db_session(ddl=True):
        cursor = database.get_connection().cursor()
        if dialect == "PostgreSQL":
            # The time limits are for check-ins.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
        version = _version(cursor, dialect)
        if version is None:
            cursor.execute("CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)")
        lacking = range((version or 0) + 1, len(STEPS) + 1)
        steps = list(lacking[:1] if version else lacking)
        for number in steps:
            for statement in STEPS[number - 1]:
                if callable(statement):
                    statement(cursor, dialect)
                else:
                    cursor.execute(statement.format(**_TYPES[dialect]))
            cursor.execute(f"INSERT INTO schema_version (version) VALUES ({number})")
        if steps and steps[-1] >= _KNOWS_READABLE_FROM:
            # Until the last step is done, no hub may use the store: neither this one, which lacks a step,
            # nor an older one that may not use it afterwards.
            cursor.execute(SET_READABLE_FROM.format(READABLE_FROM))
    return steps


def _table_exists(table: str, dialect: str) -> str:
    if dialect == "SQLite":
        return f"SELECT name FROM sqlite_master WHERE type = 'table' AND name = '{table}'"
    # Not to_regclass: it may answer from a cache that is older than the lock.
    return (
        "SELECT 1 FROM pg_catalog.pg_tables "
        f"WHERE schemaname = current_schema() AND tablename = '{table}'"
    )


def _version(cursor: Any, dialect: str) -> int | None:
    cursor.execute(_table_exists("schema_version", dialect))
    if cursor.fetchone() is None:
        return None
    cursor.execute("SELECT coalesce(max(version), 0) FROM schema_version")
    row: tuple[int] = cursor.fetchone()
    return row[0]


def _use_write_ahead_log(address: Address) -> None:
    """Set the journal mode, which SQLite keeps in the file, outside of any transaction."""
    with closing(sqlite3.connect(address.target, timeout=LOCK_TIMEOUT)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
