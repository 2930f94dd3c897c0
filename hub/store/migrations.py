"""The store's schema, as ordered steps. Those that a store lacks run in one transaction, under a lock.

A step is never changed once it is released; a change of the schema is a new step at the end. A
statement serves both dialects; ``{id}``, ``{moment}`` and ``{bytes}`` stand for their column types.
"""

import sqlite3
from contextlib import closing
from typing import Any, NamedTuple

from pony.orm import Database, db_session

from hub.store.database import LOCK_TIMEOUT, Address

STEPS: tuple[tuple[str, ...], ...] = (
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
)

LATEST = len(STEPS)
"""The schema version that this hub works with."""

READABLE_FROM = LATEST
"""The oldest version whose hubs may go on with a store of this one: what they do to it is still right.

A step that only adds what older hubs may leave out keeps this number; any other raises it.
"""

_KNOWS_READABLE_FROM = 5
"""The step from which a store tells who may use it."""

_TYPES = {
    "SQLite": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "moment": "DATETIME",
        "bytes": "BLOB",
    },
    "PostgreSQL": {
        "id": "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        "moment": "TIMESTAMP(6)",
        "bytes": "BYTEA",
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
    processes at once. They are one transaction: a migration that dies leaves the store as it was.
    """
    if address.in_file:
        _use_write_ahead_log(address)
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
        applied = list(range((version or 0) + 1, len(STEPS) + 1))
        for number in applied:
            for statement in STEPS[number - 1]:
                cursor.execute(statement.format(**_TYPES[dialect]))
            cursor.execute(f"INSERT INTO schema_version (version) VALUES ({number})")
        if applied:
            cursor.execute(SET_READABLE_FROM.format(READABLE_FROM))
    return applied


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
