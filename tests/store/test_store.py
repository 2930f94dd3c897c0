"""The store: its schema, its migrations, its transactions."""

import multiprocessing
import sqlite3
import threading
from datetime import UTC, datetime

import pytest
from conftest import STORE
from pony.orm import db_session

from hub.domain.identifiers import Identifier
from hub.domain.operations import CreateEvent, CreateStudent
from hub.errors import Refused, SettingError, StoreConflict, StoreUnavailable, StoreVersionError
from hub.store import attendances, deliveries, events, migrations, students
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import classified, parse_address
from hub.store.store import Store, migrate

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
        assert sorted(step for steps in applied for step in steps) == [1]

    def test_a_newer_store_is_refused_and_left_alone(self, empty_url, monkeypatch):
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "STEPS", newer)
            migrate(empty_url)
        for attempt in (Store.open, migrate):
            with pytest.raises(StoreVersionError, match="install the newer attendance-hub"):
                attempt(empty_url)

    def test_an_older_store_asks_for_the_command(self, empty_url, monkeypatch):
        url = empty_url
        Store.open(url).close()
        newer = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)",))
        monkeypatch.setattr(migrations, "STEPS", newer)
        monkeypatch.setattr(migrations, "LATEST", len(newer))
        with pytest.raises(StoreVersionError, match="run: attendance-hub migrate"):
            Store.open(url)
        assert migrate(url) == [len(newer)]

    def test_a_step_that_fails_leaves_nothing(self, empty_url, monkeypatch):
        url = empty_url
        Store.open(url).close()
        broken = (*migrations.STEPS, ("CREATE TABLE later (id INTEGER)", "CREATE nonsense"))
        monkeypatch.setattr(migrations, "STEPS", broken)
        with pytest.raises(Exception, match="nonsense"):
            migrate(url)
        monkeypatch.setattr(migrations, "STEPS", broken[:-1])
        assert migrate(url) == []


class TestSchema:
    def test_the_hand_written_sql_fits_the_tables(self, store):
        modules = (students, events, attendances, deliveries)
        statements = [
            value
            for module in modules
            for name, value in vars(module).items()
            if name.isupper() and not name.startswith("_") and " " in value
        ]
        assert len(statements) > 25
        with store.writing() as tx:
            for sql in statements:
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

    @pytest.mark.parametrize(
        ("table", "columns", "values"),
        [
            ("student_identifier", "kind, value, shown, student", "'email', 'a1@e.org', 'x', 1"),
            ("student_identifier", "kind, value, shown, student", "'email', 'other', 'x', 1"),
            ("attendance", *["student, event, checked_in_at, source, metadata, delivery"], None),
        ],
    )
    def test_the_database_keeps_the_invariants(self, store, table, columns, values):
        with store.writing() as tx:
            apply(tx, [student(1)], context())
            apply(tx, [CreateEvent(name="M", starts_at=NOW)], context())
        values = values or "1, 1, '2026-01-01 10:00:00.000000', 's', '{}', 'd'"
        insert = f"INSERT INTO {table} ({columns}) VALUES ({values})"
        with pytest.raises(StoreConflict), store.writing() as tx:
            tx.run(insert)
            tx.run(insert)

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
            assert settings == {"synchronous_commit": "on", "TimeZone": "UTC", "lock_timeout": "5s"}


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
        with pytest.raises(StoreUnavailable), store.writing():
            pass
        assert store.is_reachable()
        blocker.execute("ROLLBACK")
        with store.writing() as tx:
            apply(tx, [student(1)], context())
        blocker.close()
        store.close()

    @postgres_only
    def test_a_connection_lost_in_a_transaction_commits_no_half(self, store, cluster):
        with pytest.raises(StoreUnavailable), store.writing() as tx:
            apply(tx, [student(1)], context())
            cut(cluster)
            apply(tx, [student(2)], context())
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
        "url", ["sqlite://", "sqlite:///", "mysql://x/y", "attendance.db", "sqlite:x", ""]
    )
    def test_a_wrong_address_is_told(self, url):
        with pytest.raises(SettingError, match="database: use sqlite"):
            parse_address(url)

    def test_faults_are_not_trouble(self):
        assert classified(ValueError()) is None
        assert classified(sqlite3.OperationalError("no such table: x")) is None
