"""The store: its schema, its migrations, its transactions."""

import multiprocessing
import os
import shutil
import sqlite3
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import STORE
from pony.orm import db_session

from hub.domain.delivery import Delivery, Outcome, Settlement
from hub.domain.identifiers import Identifier
from hub.domain.operations import (
    CheckIn,
    CreateStudent,
    SaveEvent,
    SaveStudent,
    UpdateStudent,
)
from hub.errors import (
    Refused,
    SettingError,
    StoreChanged,
    StoreConflict,
    StoreDamaged,
    StoreUnavailable,
    StoreVersionError,
)
from hub.store import (
    attendances,
    captures,
    changes,
    deeds,
    deliveries,
    event_edits,
    events,
    evidence,
    forgettings,
    joining,
    members,
    mentions,
    merging,
    metadata,
    migrations,
    outbox,
    rebuilding,
    sayings,
    scratch,
    settling,
    student_edits,
    students,
    tokens,
    undoing,
)
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import bind, classified, is_lost, parse_address, root
from hub.store.soundness import Log
from hub.store.store import Store, _rewrite, migrate

NOW = datetime(2026, 1, 1, 10)
sqlite_only = pytest.mark.skipif(STORE != "sqlite", reason="about SQLite's own ways")
postgres_only = pytest.mark.skipif(STORE != "postgres", reason="about PostgreSQL's own ways")


@pytest.fixture
def store(url):
    store = Store.open(url)
    yield store
    store.close()


def student(number):
    identifiers = (Identifier("a_number", f"a{number}"), Identifier("email", f"a{number}@e.org"))
    return CreateStudent(identifiers=identifiers, first_name="Ada", last_name="Example")


def context(number=0):
    return Context(f"d{number}", NOW, "test", UTC)


def count(store, table):
    with db_session:
        return store.database.select(f"SELECT count(*) FROM {table}")[0]


def described(store, table):
    """The columns of a table: type, and whether it may be NULL."""
    with db_session:
        cursor = store.database.get_connection().cursor()
        if STORE == "sqlite":
            cursor.execute(f"PRAGMA table_info({table})")
            return {name: (kind, not required) for _, name, kind, required, *_ in cursor.fetchall()}
        cursor.execute(
            "SELECT column_name, data_type, is_nullable FROM information_schema.columns"
            f" WHERE table_name = '{table}'"
        )
        return {name: (kind, null == "YES") for name, kind, null in cursor.fetchall()}


def cut(cluster):
    """Cut all connections of hubs."""
    cluster.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE application_name = 'attendance-hub'"
    )


class TestMigrations:
    def test_a_new_store_gets_its_tables_at_its_first_opening(self, empty_url):
        Store.open(empty_url).close()
        assert migrate(empty_url) == []

    def test_the_command_makes_them_too(self, empty_url):
        assert migrate(empty_url) == list(range(1, migrations.LATEST + 1))
        Store.open(empty_url).close()

    def test_several_processes_may_migrate_at_once(self, empty_url):
        spawn = multiprocessing.get_context("spawn")
        with spawn.Pool(4) as pool:
            applied = pool.map(migrate, [empty_url] * 4)
        steps = sorted(step for steps in applied for step in steps)
        assert steps == list(range(1, migrations.LATEST + 1))

    def test_a_newer_store_is_refused_and_left_alone(self, empty_url, monkeypatch):
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", newer)
            patch.setattr(migrations, "READABLE_FROM", len(newer))
            migrate(empty_url)
        with pytest.raises(StoreVersionError, match="install the newer attendance-hub"):
            Store.open(empty_url)
        with pytest.raises(StoreVersionError, match="install the newer attendance-hub"):
            migrate(empty_url)

    def test_a_newer_store_that_only_has_more_is_opened(self, empty_url, monkeypatch):
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", newer)
            migrate(empty_url)
        Store.open(empty_url).close()
        assert migrate(empty_url) == []

    def test_an_older_store_asks_for_the_command(self, empty_url, monkeypatch):
        url = empty_url
        store = Store.open(url)
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        store.close()
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        monkeypatch.setattr(migrations, "STEPS", newer)
        monkeypatch.setattr(migrations, "LATEST", len(newer))
        with pytest.raises(StoreVersionError, match="run: attendance-hub migrate"):
            Store.open(url)
        assert migrate(url) == [len(newer)]

    def test_a_first_migration_that_was_cut_short_is_finished(self, empty_url, monkeypatch):
        # As an older hub, whose steps were a transaction each, may have left it.
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", migrations.STEPS[:1])
            patch.setattr(migrations, "_KNOWS_READABLE_FROM", 99)
            patch.setattr(migrations, "SET_READABLE_FROM", "SELECT 1")
            migrate(empty_url)
        Store.open(empty_url).close()
        assert migrate(empty_url) == []

    def test_a_step_that_fails_leaves_nothing(self, empty_url, monkeypatch):
        url = empty_url
        Store.open(url).close()
        broken = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)", "CREATE nonsense"))
        monkeypatch.setattr(migrations, "STEPS", broken)
        with pytest.raises(Exception, match="nonsense"):
            migrate(url)
        monkeypatch.setattr(migrations, "STEPS", broken[:-1])
        assert migrate(url) == []

    def test_one_that_was_cut_short_goes_on_after_its_last_whole_step(self, empty_url, monkeypatch):
        url = empty_url
        store = Store.open(url)
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        store.close()
        first, second = "CREATE TABLE first (id INTEGER)", "CREATE TABLE second (id INTEGER)"
        latest = migrations.LATEST + 2
        monkeypatch.setattr(migrations, "LATEST", latest)
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", (*migrations.STEPS, (first,), (second, "CREATE it")))
            with pytest.raises(Exception, match="it"):
                migrate(url)
        with pytest.raises(StoreVersionError, match="run: attendance-hub migrate"):
            Store.open(url)
        monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, (first,), (second,)))
        assert migrate(url) == [latest]
        Store.open(url).close()


@sqlite_only
class TestFile:
    """What is in an SQLite store's file, and who may read it."""

    @pytest.fixture(autouse=True)
    def ordinary(self, monkeypatch):
        """An SQLite that does not overwrite by itself, as most are built."""
        connect = sqlite3.connect

        def ordinary(*arguments, **options):
            connection = connect(*arguments, **options)
            connection.execute("PRAGMA secure_delete = OFF")
            return connection

        monkeypatch.setattr(sqlite3, "connect", ordinary)

    def test_every_connection_overwrites_what_it_deletes(self, store):
        def setting():
            with db_session:
                cursor = store.database.get_connection().cursor()
                return cursor.execute("PRAGMA secure_delete").fetchone()

        with ThreadPoolExecutor(1) as thread:
            assert thread.submit(setting).result() == (1,)
            thread.submit(store.close).result()
        assert setting() == (1,)
        store.database.disconnect()
        assert setting() == (1,)

    def with_what_was_deleted(self, url):
        """The file of a store from which an older hub has deleted something."""
        store = Store.open(url)
        path = Path(store.address.target)
        store.close()
        with closing(sqlite3.connect(path)) as older:
            older.execute("INSERT INTO capture VALUES (1, 't', '2026-01-01', '2026-01-01')")
            for _ in range(50):
                body = b"ada@example.edu " * 200
                sql = "INSERT INTO captured_request VALUES (NULL, 1, '2026-01-01', '{}', ?)"
                older.execute(sql, (body,))
            older.commit()
            older.execute("DELETE FROM captured_request")
            older.commit()
        assert b"ada@example.edu" in path.read_bytes()
        return path

    def test_a_migration_removes_what_was_deleted_before(self, url, monkeypatch):
        path = self.with_what_was_deleted(url)
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        monkeypatch.setattr(migrations, "STEPS", newer)
        monkeypatch.setattr(migrations, "LATEST", len(newer))
        monkeypatch.setattr(migrations, "OVERWRITES_FROM", len(newer))
        assert migrate(url) == [len(newer)]
        files = path.parent.glob(f"{path.name}*")
        assert b"ada@example.edu" not in b"".join(one.read_bytes() for one in files)

    def test_it_does_so_before_a_step_that_fails(self, url, monkeypatch):
        path = self.with_what_was_deleted(url)
        broken = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",), ("CREATE nonsense",))
        monkeypatch.setattr(migrations, "STEPS", broken)
        monkeypatch.setattr(migrations, "LATEST", len(broken))
        monkeypatch.setattr(migrations, "OVERWRITES_FROM", len(broken) - 1)
        with pytest.raises(Exception, match="nonsense"):
            migrate(url)
        files = path.parent.glob(f"{path.name}*")
        assert b"ada@example.edu" not in b"".join(one.read_bytes() for one in files)

    def test_one_that_is_in_use_is_left_as_it_was(self, url, monkeypatch):
        monkeypatch.setattr("hub.store.store.LOCK_TIMEOUT", 0)
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        monkeypatch.setattr(migrations, "STEPS", newer)
        monkeypatch.setattr(migrations, "LATEST", len(newer))
        monkeypatch.setattr(migrations, "OVERWRITES_FROM", len(newer))

        with closing(sqlite3.connect(parse_address(url).target)) as other:

            def beside(address):
                other.execute("BEGIN IMMEDIATE")
                _rewrite(address)

            with monkeypatch.context() as patch:
                patch.setattr("hub.store.store._rewrite", beside)
                with pytest.raises(StoreUnavailable, match="cannot be written anew"):
                    migrate(url)
        assert migrate(url) == [len(newer)]

    @pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
    @pytest.mark.parametrize("make", [Store.open, migrate])
    def test_a_new_one_is_its_owners_alone(self, empty_url, make):
        before = os.umask(0o022)
        try:
            made = make(empty_url)
            if isinstance(made, Store):
                made.close()
            store = Store.open(empty_url)
            with store.writing() as tx:
                apply(tx, [student(1)], context())
            path = store.address.target
            modes = [stat.S_IMODE(os.stat(f"{path}{end}").st_mode) for end in ("", "-wal", "-shm")]
            store.close()
        finally:
            os.umask(before)
        assert modes == [0o600] * 3


class TestSchema:
    def test_the_hand_written_sql_fits_the_tables(self, store):
        modules = (
            students, events, attendances, evidence, changes, mentions, tokens, deliveries,
            captures, forgettings, metadata, outbox, scratch, deeds, event_edits, joining, sayings,
            settling, student_edits, undoing, rebuilding,
        )  # fmt: skip
        statements = [
            value
            for module in modules
            for name, value in vars(module).items()
            if name.isupper() and isinstance(value, str)
            if not name.startswith("_") and " " in value and value != sayings.STANDS
        ]
        statements += [
            getattr(kind, name)
            for kind in merging.KINDS.values()
            for name in ("group", "state", "under", "join", "set_under", "set_joined")
        ]
        statements += [
            getattr(kind, name)
            for kind in members.KINDS.values()
            for name in ("identifiers", "drop", "hidden_by", "hide", "show")
        ]
        assert len(statements) > 100
        with store.writing() as tx:
            for sql in statements:
                if sql == attendances.FIND_AND_INSERT and not tx.inserts_in_queries:
                    continue
                # Every value fits every column where it is NULL.
                tx.rows(f"EXPLAIN {sql}", *[None] * sql.count("?"))

    def test_every_column_has_its_attribute(self, store):
        database = store.database
        for entity in database.entities.values():
            with db_session:
                connection = database.get_connection()
                cursor = connection.cursor()
                cursor.execute(f"SELECT * FROM {entity._table_} WHERE 1 = 0")
                columns = {column[0] for column in cursor.description}
            assert columns == set(entity._columns_), entity

    def test_every_attribute_says_what_its_column_may_have(self, store):
        kinds = {
            "INTEGER": (int, 32), "integer": (int, 32), "BIGINT": (int, 64), "bigint": (int, 64),
            "BOOLEAN": (bool, None), "boolean": (bool, None), "TEXT": (str, None), "text": (str, None),
            "DATETIME": (datetime, None), "timestamp without time zone": (datetime, None),
            "BLOB": (bytes, None), "bytea": (bytes, None),
        }  # fmt: skip
        for entity in store.database.entities.values():
            for name, (kind, may_be_null) in described(store, entity._table_).items():
                attribute = entity._adict_[name]
                python, bits = kinds[kind]
                if attribute.reverse is None:
                    assert attribute.py_type is python, (entity, name)
                if attribute.is_pk:
                    continue  # SQLite says of a key that it may be NULL
                if attribute.reverse is None and python is int:
                    assert (attribute.converters[0].size or 32) == bits, (entity, name)
                assert bool(attribute.nullable) is may_be_null, (entity, name)

    @pytest.mark.parametrize(
        ("table", "row"),
        [
            ("student_identifier", {"kind": "email", "value": "a1@e.org", "student": 2}),
            ("student_identifier", {"kind": "email", "value": "second@e.org", "student": 1}),
            ("student_identifier", {"kind": "a_number", "value": "second", "student": 1}),
            ("event", {"name": "M", "starts_at": NOW, "points": 0}),
            ("event_identifier", {"kind": "room", "value": "7", "event": 1}),
            ("attendance", {"student": 1, "event": 1, "checked_in_at": NOW}),
            ("attendance", {"student": 9, "event": 1, "checked_in_at": NOW}),
            ("delivery", {"source": "s", "idempotency_key": "k"}),
            ("attempt", {"delivery": "d0", "number": 1}),
            ("attempt", {"delivery": "none", "number": 1}),
        ],
    )
    def test_the_database_keeps_the_invariants(self, store, table, row):
        room = (Identifier("room", "7"),)
        with store.writing() as tx:
            apply(tx, [student(1)], context())
            apply(tx, [student(2)], context())
            apply(tx, [SaveEvent(identifiers=room, name="M", starts_at=NOW)], context())
            apply(tx, [CheckIn(student="a1", event="M", at=NOW)], context())
            delivery = Delivery("d0", "s", NOW, {}, b"")
            deliveries.keep(tx, delivery, Settlement(Outcome.APPLIED, 200, "{}", 1), "k", None)
            tx.run(deliveries.ADD_ATTEMPT, "d0", 1, NOW, "applied", 200, "{}", 1)
        texts = {
            "student_identifier": ["shown"],
            "event": ["event_type", "description", "location", "source", "metadata", "delivery"],
            "event_identifier": ["shown"],
            "attendance": ["source", "metadata", "delivery"],
            "delivery": ["id", "headers", "outcome", "answer"],
            "attempt": ["delivery", "outcome", "answer"],
        }
        row = {**dict.fromkeys(texts[table], "x"), **row}
        if table == "event":
            row |= {"created_at": NOW, "updated_at": NOW}
        if table == "attempt":
            row |= {"attempted_at": NOW, "status": 200, "duration": 1}
        if table == "delivery":
            row |= {"received_at": NOW, "body": b"", "status": 200, "duration": 1}
        sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        with pytest.raises(Exception, match=r"(?i)unique|foreign key"), store.writing() as tx:
            tx.run(sql, *row.values())

    def test_the_same_identifier_twice_is_one(self, store):
        twice = (Identifier("card", "7"), Identifier("card", "7"), Identifier("a_number", "A1"))
        saved = SaveStudent(identifiers=(*twice, Identifier("a_number", "A2")))
        with store.writing() as tx:
            for _ in range(2):
                (result,) = apply(tx, [saved], context())
        assert result.student.a_number == "A1"
        assert count(store, "student_identifier") == 2

    def test_saving_an_event_again_keeps_what_is_not_given(self, store):
        room = (Identifier("room", "7"),)
        told = {"description": "Bring a pen", "location": "Room 7"}
        with store.writing() as tx:
            apply(tx, [SaveEvent(identifiers=room, name="M", starts_at=NOW, **told)], context())
            for again in ({}, {"update": True}, {"description": "No pen", "update": True}):
                (saved,) = apply(
                    tx, [SaveEvent(identifiers=room, name="M", starts_at=NOW, **again)], context()
                )
                told["description"] = again.get("description", told["description"])
                assert (saved.event.description, saved.event.location) == tuple(told.values())
            (saved,) = apply(tx, [SaveEvent(identifiers=room, name="N", starts_at=NOW)], context())
        assert (saved.event.name, saved.change.value) == ("M", "unchanged")

    def test_an_identifier_is_shown_as_it_was_written_last(self, store):
        with store.writing() as tx:
            apply(tx, [student(1)], context())
            for written in ("A1", "a1", "A1"):
                named = Identifier("a_number", written)
                update = UpdateStudent(find=(named,), identifiers=(named,))
                (updated,) = apply(tx, [update], context())
                assert updated.student.a_number == written

    @sqlite_only
    def test_a_commit_of_sqlite_is_on_the_disk(self, store):
        with db_session:
            connection = store.database.get_connection()
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)

    @postgres_only
    def test_a_commit_of_postgresql_is_on_the_disk(self, store):
        for _ in range(2):  # the second session has the first one's connection
            with db_session:
                cursor = store.database.get_connection().cursor()
                settings = {}
                for name in ("synchronous_commit", "TimeZone", "lock_timeout"):
                    cursor.execute(f"SHOW {name}")
                    settings[name] = cursor.fetchone()[0]
            assert settings == {"synchronous_commit": "on", "TimeZone": "UTC", "lock_timeout": "2s"}


class TestTransactions:
    def test_what_raises_leaves_nothing(self, store):
        with pytest.raises(ZeroDivisionError), store.writing() as tx:
            apply(tx, [student(1)], context())
            raise ZeroDivisionError
        assert count(store, "student") == 0

    def test_those_who_wait_for_the_commit_are_told_after_it(self, store):
        told = []
        with store.writing() as tx:
            tx.when_committed(lambda: told.append(count(store, "student")))
            apply(tx, [student(1)], context())
            assert told == []
        assert told == [1]
        with pytest.raises(ZeroDivisionError), store.writing() as tx:
            tx.when_committed(lambda: told.append(2))
            raise ZeroDivisionError
        assert told == [1]

    def test_a_batch_is_one_transaction(self, store):
        told = []
        with store.batch():
            for number in range(3):
                with store.writing() as tx:
                    tx.when_committed(lambda: told.append(1))
                    apply(tx, [student(number)], context())
            assert told == []
            assert store.in_batch
        assert (count(store, "student"), len(told)) == (3, 3)
        assert not store.in_batch

    def test_a_batch_that_raises_leaves_nothing(self, store):
        with pytest.raises(ZeroDivisionError), store.batch():
            with store.writing() as tx:
                apply(tx, [student(1)], context())
            raise ZeroDivisionError
        assert count(store, "student") == 0
        with store.writing() as tx:
            apply(tx, [student(1)], context())

    def test_a_refusal_among_several_operations_undoes_only_its_own(self, store):
        with store.writing() as tx:
            apply(tx, [student(1)], context())
            with pytest.raises(Refused):
                apply(tx, [student(2), student(1)], context())
            apply(tx, [student(3), student(4)], context())
        assert count(store, "student") == 3

    def test_another_threads_batch_is_its_own(self, store):
        seen = []

        def other():
            seen.append(store.in_batch)

        with store.batch():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        assert seen == [False]

    def test_two_stores_live_side_by_side(self, store, tmp_path):
        other = Store.open(f"sqlite:///{tmp_path / 'other.db'}")
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        assert (count(store, "student"), count(other, "student")) == (1, 0)
        other.close()


class TestTrouble:
    @sqlite_only
    def test_a_store_that_is_locked_too_long_is_unavailable(self, url, monkeypatch):
        monkeypatch.setattr("hub.store.database.LOCK_TIMEOUT", 0.05)
        store = Store.open(url)
        blocker = sqlite3.connect(store.address.target, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"), store.writing():
            pass
        # For a moment nobody waits for it again.
        with pytest.raises(StoreUnavailable, match="just found"), store.writing():
            pass
        assert not store.is_reachable()
        blocker.execute("ROLLBACK")
        blocker.close()
        store._unavailable_until = 0
        assert not store.is_reachable()
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        assert store.is_reachable()
        store.close()

    @sqlite_only
    def test_a_file_that_is_gone_takes_nothing(self, store, tmp_path):
        path = Path(store.address.target)
        path.rename(tmp_path / "moved.db")
        with pytest.raises(StoreUnavailable, match="moved, deleted or replaced"), store.writing():
            pass
        assert not store.is_reachable()
        (tmp_path / "moved.db").rename(path)
        store._unavailable_until = 0
        store.try_to_write()
        assert store.is_reachable()

    @sqlite_only
    def test_what_would_be_committed_to_a_file_that_is_gone_is_undone(self, store, tmp_path):
        path = Path(store.address.target)
        with pytest.raises(StoreUnavailable, match="moved"), store.writing() as tx:
            apply(tx, [student(1)], context())
            path.rename(tmp_path / "moved.db")
        (tmp_path / "moved.db").rename(path)
        assert count(store, "student") == 0

    @sqlite_only
    def test_a_file_that_cannot_be_written_to_is_named(self, url, monkeypatch):
        Store.open(url).close()
        monkeypatch.setattr("os.access", lambda *_: False)  # root may write to any
        with pytest.raises(SettingError, match=r"hub.db cannot be written to"):
            Store.open(url)

    @sqlite_only
    def test_a_store_that_was_locked_is_healthy_only_when_it_can_be_written_to(self, url):
        store = Store.open(url)
        store._failed = True
        assert not store.is_reachable()
        with store.writing() as tx:
            tx.rows("SELECT 1")  # nothing is written by this
        assert not store.is_reachable()
        store.try_to_write()
        assert store.is_reachable()
        store.close()

    def test_a_store_is_opened_anew_after_it_was_unavailable(self, store):
        """A connection may have been made while the store could only be read."""
        with db_session:
            cursor = store.database.get_connection().cursor()
            if STORE == "sqlite":
                cursor.execute("PRAGMA query_only = ON")
            else:
                cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        with pytest.raises(StoreUnavailable), store.writing() as tx:
            apply(tx, [student(1)], context())
        store._unavailable_until = 0
        with pytest.raises(StoreUnavailable, match="full"), store.writing() as tx:
            apply(tx, [student(1)], context())
            before = store.database.get_connection()
            raise StoreUnavailable("the disk is full")
        store._unavailable_until = 0
        with store.writing() as tx:
            apply(tx, [student(1)], context())
            assert store.database.get_connection() is not before
        assert count(store, "student") == 1

    def test_a_store_that_took_nothing_is_healthy_only_once_it_does(self, store, monkeypatch):
        def gone(stack):
            raise StoreUnavailable("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(store, "_begin", gone)
            with pytest.raises(StoreUnavailable), store.writing():
                pass
            store._unavailable_until = 0
            assert not store.is_reachable()
        store._unavailable_until = 0
        assert not store.is_reachable()
        store.try_to_write()
        assert store.is_reachable()

    @sqlite_only
    def test_a_damaged_file_is_unavailable(self, url):
        store = Store.open(url)
        store.close()
        with open(store.address.target, "r+b") as file:
            file.write(b"damage " * 3000)
        assert not store.is_reachable()
        with pytest.raises(StoreUnavailable, match="damaged"), store.writing():
            pass
        store.close()

    @sqlite_only
    @pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
    def test_a_damaged_page_is_found_at_the_start(self, url, place, monkeypatch):
        store = Store.open(url)
        with store.writing() as tx:
            for number in range(300):
                apply(tx, [student(number)], context())
        store.close()
        path = Path(store.address.target)
        page = int(path.stat().st_size * place) // 4096 * 4096
        with open(path, "r+b") as file:
            file.seek(page)
            file.write(b"\xa5" * 4096)
        store = Store.open(url)
        with pytest.raises(StoreDamaged, match="is damaged .*; restore a backup"):
            store.require_sound()
        monkeypatch.setattr("hub.store.soundness.CHECK_FOR", -1)
        monkeypatch.setattr("hub.store.soundness._STEPS", 1)
        store.require_sound()  # bounded in time
        store.close()

    @sqlite_only
    def test_damage_that_is_met_on_the_way_stops_the_store(self, store):
        with pytest.raises(StoreUnavailable), store.writing():
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorname = "SQLITE_CORRUPT"
            raise error
        store._unavailable_until = 0
        with pytest.raises(StoreUnavailable, match="damaged"), store.writing():
            pass
        assert not store.is_reachable()

    @sqlite_only
    def test_a_log_that_was_deleted_is_noticed_and_what_was_in_it_saved(self, url, tmp_path):
        store = Store.open(url)
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        Path(f"{store.address.target}-wal").unlink()
        with pytest.raises(StoreUnavailable, match="-wal file was deleted"), store.writing():
            pass
        # As after kill -9: what the file alone has.
        shutil.copy(store.address.target, tmp_path / "after.db")
        with closing(sqlite3.connect(tmp_path / "after.db")) as after:
            assert after.execute("SELECT count(*) FROM student").fetchone() == (1,)
        store._unavailable_until = 0
        with pytest.raises(StoreUnavailable, match="-wal file was deleted"), store.writing():
            pass
        assert not store.is_reachable()
        store.close()

    @sqlite_only
    def test_a_log_that_was_cut_off_is_noticed(self, store):
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        os.truncate(f"{store.address.target}-wal", 100)
        with pytest.raises(StoreUnavailable, match="-wal file was cut off"), store.writing():
            pass

    @sqlite_only
    def test_the_status_notices_it_too(self, store):
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        assert store.is_reachable()
        Path(f"{store.address.target}-wal").unlink()
        assert not store.is_reachable()

    @sqlite_only
    def test_a_log_that_goes_while_it_is_written_may_have_been_recorded(self, store):
        with pytest.raises(StoreUnavailable) as lost, store.writing() as tx:
            apply(tx, [student(1)], context())
            Path(f"{store.address.target}-wal").unlink()
        assert lost.value.may_be_recorded

    @sqlite_only
    @pytest.mark.parametrize("index", [b"", None])
    def test_where_the_index_tells_nothing_a_shorter_log_was_cut_off(self, tmp_path, index):
        log = tmp_path / "hub.db-wal"
        log.write_bytes(b"x" * 100)
        if index is not None:
            (tmp_path / "hub.db-shm").write_bytes(index)
        watched = Log(parse_address(f"sqlite:///{tmp_path / 'hub.db'}"))
        watched.require_whole()
        log.write_bytes(b"x" * 50)
        with pytest.raises(StoreUnavailable, match="cut off"):
            watched.require_whole()

    @sqlite_only
    def test_a_log_that_was_replaced_is_noticed(self, tmp_path):
        log = tmp_path / "hub.db-wal"
        log.write_bytes(b"x" * 100)
        watched = Log(parse_address(f"sqlite:///{tmp_path / 'hub.db'}"))
        (tmp_path / "other").write_bytes(b"x" * 100)
        (tmp_path / "other").replace(log)
        with pytest.raises(StoreUnavailable, match="replaced"):
            watched.require_same()

    @sqlite_only
    def test_a_store_without_a_log_is_no_trouble(self, url):
        with closing(sqlite3.connect(parse_address(url).target)) as other:
            assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        store = Store.open(url)
        for number in range(3):
            with store.writing() as tx:
                apply(tx, [student(number)], context())
        assert store.is_reachable()
        store.close()

    @sqlite_only
    def test_another_process_may_empty_the_log(self, store):
        for number in range(3):
            with store.writing() as tx:
                apply(tx, [student(number)], context())
            with closing(sqlite3.connect(store.address.target)) as other:
                other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert count(store, "student") == 3
        assert store.is_reachable()

    def test_a_store_that_a_newer_hub_has_changed_takes_nothing(self, store):
        with store.writing() as tx:
            tx.run("INSERT INTO schema_version (version) VALUES (99)")
        with pytest.raises(StoreUnavailable, match="a newer hub"), store.writing():
            pass
        store._unavailable_until = 0
        with db_session:
            store.database.execute("DELETE FROM schema_version WHERE version = 99")
        with store.writing() as tx:
            tx.run("INSERT INTO schema_version (version, readable_from) VALUES (99, 5)")
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        with db_session:
            store.database.execute("DELETE FROM schema_version WHERE version = 99")

    @pytest.mark.parametrize("sql", ["SELECT unknown FROM student", "SELECT 1 FROM unknown"])
    def test_other_tables_are_no_fault_of_a_delivery(self, store, sql):
        with pytest.raises(StoreUnavailable, match="its tables are not"), store.writing() as tx:
            tx.rows(sql)
        # Not even by a write that succeeds: nothing is taken until the hub is started again.
        store._unavailable_until = 0
        with pytest.raises(StoreUnavailable, match="its tables are not"):
            store.try_to_write()
        assert not store.is_reachable()

    def test_a_commit_that_is_lost_may_have_been_recorded(self, store, monkeypatch):
        def lost(*_):
            if STORE == "sqlite":
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
                raise error
            import psycopg2

            raise psycopg2.OperationalError("server closed the connection unexpectedly")

        monkeypatch.setattr(store.database.provider, "commit", lost)
        with pytest.raises(StoreUnavailable) as raised, store.writing() as tx:
            apply(tx, [student(1)], context())
        assert raised.value.may_be_recorded

    @sqlite_only
    def test_a_commit_for_which_there_was_no_room_was_not(self, store, monkeypatch):
        def full(*_):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorname = "SQLITE_FULL"
            raise error

        monkeypatch.setattr(store.database.provider, "commit", full)
        with pytest.raises(StoreUnavailable) as raised, store.writing() as tx:
            apply(tx, [student(1)], context())
        assert not raised.value.may_be_recorded

    @sqlite_only
    def test_another_programs_file_is_named(self, tmp_path):
        path = tmp_path / "other.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE student (name TEXT)")
        other.close()
        for attempt in (Store.open, migrate):
            with pytest.raises(StoreVersionError, match="is it another program's"):
                attempt(f"sqlite:///{path}")

    @postgres_only
    def test_a_lock_that_is_held_too_long_is_waited_for_once(self, store, cluster, url):
        import psycopg2

        blocker = psycopg2.connect(url)
        blocker.cursor().execute("SELECT pg_advisory_xact_lock(7346152)")
        began = []
        begin = store._begin
        store._begin = lambda stack: began.append(1) or begin(stack)
        with pytest.raises(StoreUnavailable, match="55P03"), store.writing():
            pass
        assert len(began) == 1
        blocker.close()

    @postgres_only
    def test_a_connection_lost_in_a_transaction_commits_no_half(self, store, cluster):
        with pytest.raises(StoreUnavailable), store.writing() as tx:
            apply(tx, [student(1)], context())
            cut(cluster)
            apply(tx, [student(2)], context())
        store._unavailable_until = 0
        assert count(store, "student") == 0

    @postgres_only
    def test_a_connection_lost_while_idle_is_made_anew(self, store, cluster):
        for number in range(2):
            with store.writing() as tx:
                apply(tx, [student(number)], context())
            cut(cluster)
        assert store.is_reachable()
        cut(cluster)
        assert count(store, "student") == 2

    @postgres_only
    def test_pony_does_not_go_on_with_half_a_transaction(self, store, cluster):
        """Pony 0.7.20 would reconnect by itself, and commit the second half alone."""
        entity = store.database.entities["Delivery"]

        def row(identifier):
            return entity(
                id=identifier,
                source="s",
                received_at=NOW,
                headers="{}",
                outcome="applied",
                status=200,
                answer="{}",
                duration=1,
                body=b"",
            )

        with pytest.raises(Exception, match=r".+"), db_session:
            row("first").flush()
            cut(cluster)
            row("second").flush()
        assert count(store, "delivery") == 0

    @postgres_only
    def test_a_server_that_is_gone_is_unavailable_and_reachable_again(self, cluster):
        url = cluster.create("template_hub")
        store = Store.open(url)
        cluster.stop()
        try:
            assert not store.is_reachable()
            with pytest.raises(StoreUnavailable), store.writing() as tx:
                apply(tx, [student(1)], context())
            with pytest.raises(StoreUnavailable):
                Store.open(url)
        finally:
            cluster.start()
        store._unavailable_until = 0
        store.try_to_write()
        assert store.is_reachable()
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        store.close()
        cluster.drop(url)

    def test_a_file_that_is_no_database_is_named(self, tmp_path):
        path = tmp_path / "x.db"
        path.write_bytes(b"not a database" * 100)
        with pytest.raises(StoreUnavailable, match="cannot be opened"):
            Store.open(f"sqlite:///{path}")

    def test_a_folder_that_is_not_there_is_named(self):
        with pytest.raises(SettingError, match="the folder of /nowhere/x.db does not exist"):
            Store.open("sqlite:////nowhere/x.db")

    @pytest.mark.parametrize(
        "url",
        [
            "sqlite://",
            "sqlite:///",
            "mysql://x/y",
            "a.db",
            "sqlite:x",
            "",
            "postgresql://u:p@[bad/db",
        ],
    )
    def test_a_wrong_address_is_told(self, url):
        with pytest.raises(SettingError, match="database: use sqlite"):
            parse_address(url)

    def test_a_postgresql_that_is_not_there_is_unavailable(self):
        url = "postgresql://hub:hush@127.0.0.1:9/hub"
        with pytest.raises(StoreUnavailable, match="cannot be opened") as error:
            Store.open(url)
        assert "hush" not in str(error.value)

    def test_a_driver_that_is_not_there_is_named(self, monkeypatch):
        def bind(*_, **__):
            raise ImportError

        monkeypatch.setattr("pony.orm.Database.bind", bind)
        with pytest.raises(SettingError, match="pip install psycopg2-binary"):
            Store.open("postgresql://hub@localhost/hub")

    @pytest.mark.parametrize(
        ("code", "meaning"),
        [
            ("40001", StoreConflict),
            ("40P01", StoreConflict),
            ("55P03", StoreUnavailable),
            ("57P01", StoreUnavailable),
            ("53100", StoreUnavailable),
            ("08006", StoreUnavailable),
            ("25006", StoreUnavailable),
            ("23505", type(None)),
            ("42P01", StoreChanged),
            ("42601", type(None)),
        ],
    )
    def test_postgresqls_codes_have_their_meaning(self, code, meaning):
        driver = type("Error", (Exception,), {"pgcode": code})()
        wrapped = RuntimeError()
        wrapped.original_exc = driver
        assert type(classified(wrapped)) is meaning
        assert is_lost(wrapped) is (code in ("57P01", "08006"))
        assert root(wrapped) is driver

    def test_an_error_of_the_driver_without_a_code_is_a_lost_connection(self):
        import psycopg2

        for kind in (psycopg2.OperationalError, psycopg2.InterfaceError):
            assert isinstance(classified(kind("gone")), StoreUnavailable)
            assert is_lost(kind("gone"))
        assert classified(psycopg2.ProgrammingError("bug")) is None

    @pytest.mark.parametrize("in_transaction", [False, True])
    def test_a_connection_is_not_made_anew_inside_of_a_transaction(self, store, in_transaction):
        provider = store.database.provider
        provider_says = type(provider).should_reconnect
        type(provider).should_reconnect = lambda *_: True
        try:
            database = bind(store.address)
            with db_session:
                if in_transaction:
                    database.get_connection()
                else:
                    database.select("SELECT 1")
                assert database.provider.should_reconnect(Exception()) is not in_transaction
            database.disconnect()
        finally:
            type(provider).should_reconnect = provider_says

    def test_faults_are_not_trouble(self):
        assert classified(ValueError()) is None
        assert classified(sqlite3.OperationalError('near "x": syntax error')) is None
