"""The store: opened once, written to in transactions that deliveries share."""

import logging
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import (
    AbstractContextManager,
    ExitStack,
    closing,
    contextmanager,
    nullcontext,
    suppress,
)
from typing import Any

from pony.orm import Database, db_session
from pony.orm.core import TransactionError
from pony.orm.dbapiprovider import Pool

from hub.errors import (
    HubError,
    SettingError,
    StoreUnavailable,
    StoreVersionError,
)
from hub.store import migrations
from hub.store.database import (
    LOCK_TIMEOUT,
    Address,
    bind,
    classified,
    file_identity,
    is_lost,
    may_be_committed,
    parse_address,
    root,
)
from hub.store.entities import define
from hub.store.soundness import CHECK_FOR, Log, LogDeleted, LogGone, is_whole
from hub.store.transaction import StatementNames, Transaction, tell

_WRITERS = "SELECT pg_advisory_xact_lock(7346152)"
"""One writer at a time, on PostgreSQL as on SQLite: what a transaction has read stays true in it."""

_TRY_TO_WRITE = "UPDATE schema_version SET version = version"
"""Changes nothing, and is written all the same."""

_log = logging.getLogger(__name__)

Entities = Any
"""The Pony database with its entities, as ``db.Student`` and so on; Pony has no types of them."""

PAUSE = 1.0
"""Seconds for which a store that was found unavailable is not asked again. Whoever asks waits, and the
rest of the hub with it."""


class Store:
    """Everything the hub keeps, behind one address.

    Each thread has its own connection. Several stores may be open in one process, and several
    processes may have one store open.
    """

    def __init__(self, database: Database, address: Address) -> None:
        self.database = database
        self.address = address
        self._local = threading.local()
        self._file = file_identity(address) if address.in_file else None
        self._unavailable_until = 0.0
        self._failed = False
        self._broken: str | None = None

    @classmethod
    def open(cls, url: str, create: bool = True, is_scratch: bool = False) -> "Store":
        """Open the store at ``url``; a new one gets its tables, if it may be created. What is in a
        scratch store may be made anew: it is faster, and may lose its end with the machine's power.

        Raises SettingError for a wrong address or where there is none, StoreUnavailable where it cannot
        be reached, and StoreVersionError where its schema is not this hub's.
        """
        address = parse_address(url)
        if not create and address.in_file and file_identity(address) is None:
            raise SettingError(f"database: there is no store at {address.shown}")
        database = bind(address, is_scratch)
        try:
            with _translated():
                version = migrations.current_version(database)
                if version is None and not create:
                    raise SettingError(f"database: there is no store at {address.shown}")
                is_new = version is None or (
                    version.number < migrations.LATEST and migrations.has_nothing(database)
                )
                if is_new:
                    _migrate(database, address)
                elif version is not None:
                    _require_version(version, address)
                define(database)
                database.generate_mapping(check_tables=True, create_tables=False)
        except BaseException:
            database.disconnect()
            raise
        return cls(database, address)

    def close(self) -> None:
        """Close this thread's connection; with the last one, a store in memory is gone."""
        self.database.disconnect()
        if self.address.in_memory:
            # Pony keeps the connection of such a store, whatever it is told.
            Pool.disconnect(self.database.provider.pool)

    def writing(self) -> AbstractContextManager[Transaction]:
        """A transaction: this thread's open batch, or one of its own that ends with the block.

        Committed, and on the disk, when the block ends; rolled back when it raises. Raises
        StoreUnavailable where the store cannot take it now, StoreConflict where another writer came
        first and the same work may be tried again; within a batch, what the database raises may come
        as it is, and the batch raises it translated.
        """
        batch: _Batch | None = getattr(self._local, "batch", None)
        return self._alone() if batch is None else nullcontext(batch.transaction())

    @contextmanager
    def _alone(self) -> Iterator[Transaction]:
        with self._remembered(), self._transaction() as transaction:
            yield transaction
        transaction.committed()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Let all that this thread writes in the block share one transaction and one commit.

        The transaction begins with the first write; what raises out of the block undoes all of it.
        """
        with self._remembered(), ExitStack() as stack:
            batch = self._local.batch = _Batch(self, stack)
            try:
                yield
            finally:
                self._local.batch = None
        if batch.opened is not None:
            batch.opened.committed()
        tell(batch.done)

    @contextmanager
    def reading(self) -> Iterator[Entities]:
        """A session that only reads, through the entities (``hub.store.entities``): it waits for no
        writer, and sees what is committed; inside of this thread's transaction, what that sees.

        Raises StoreUnavailable where the store does not answer.
        """
        self._require_available()
        try:
            with _translated(), db_session:
                if self.database.provider.pool.con is not None:
                    # Inside of a transaction, SQL may have changed what Pony remembers.
                    database: Any = self.database
                    database._get_cache().query_results.clear()
                yield self.database
        except StoreUnavailable as error:
            if error.needs_restart:
                self._breaks(error)
            raise

    @property
    def in_batch(self) -> bool:
        """Whether this thread is inside of ``batch``."""
        return getattr(self._local, "batch", None) is not None

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when this thread's batch is done, and never if it is undone; without a
        batch, now.
        """
        batch: _Batch | None = getattr(self._local, "batch", None)
        if batch is None:
            callback()
        else:
            batch.done.append(callback)

    def remove_traces(self) -> None:
        """Write back SQLite's log, which still tells what was overwritten; left to later where others
        read from it.
        """
        if self.address.in_file:
            connection = sqlite3.connect(self.address.target, timeout=LOCK_TIMEOUT)
            with _translated(), closing(connection):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def is_reachable(self) -> bool:
        """Whether the store answers, took the last thing that it was given to write, and has the tables
        that this hub works with.
        """
        if self._failed:
            return False
        try:
            with self.reading() as db:
                (readable_from,) = db.select(migrations.READABLE_FROM_NOW)
                if readable_from > migrations.LATEST:
                    return False
                if self.address.in_file:
                    # Not get_connection(), which would wait for the writers.
                    self._log_of(self.database.provider.pool.con).require_same()
        except HubError:
            return False
        return True

    @property
    def has_failed(self) -> bool:
        """Whether it did not take the last thing that it was given to write."""
        return self._failed

    def try_to_write(self) -> None:
        """Write something that changes nothing: until that succeeds, a store that failed is unhealthy.

        Raises as ``writing`` does.
        """
        with self.writing() as tx:
            tx.run(_TRY_TO_WRITE)

    def require_sound(self) -> None:
        """Raise StoreDamaged for an SQLite file with damaged pages, as far as they are found in a few
        seconds.
        """
        if self.address.in_file:
            with _translated():
                if not is_whole(self.address):
                    _log.warning(
                        "the store is too large to be checked whole in %d s; check it with: sqlite3 FILE "
                        "'PRAGMA quick_check'",
                        CHECK_FOR,
                    )

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """Translate trouble, and remember for a moment that the store is unavailable."""
        self._require_available()
        try:
            with _translated():
                yield
        except StoreUnavailable as error:
            self._failed = True
            self._unavailable_until = time.monotonic() + PAUSE
            if error.needs_restart:
                self._breaks(error)
            # The next try shall open it anew: a file may have been read-only when it was opened.
            self.database.disconnect()
            raise

    def _require_available(self) -> None:
        """Raise StoreUnavailable where there is nothing to be had by asking the store itself."""
        if self._broken is not None:
            raise StoreUnavailable(self._broken)
        if time.monotonic() < self._unavailable_until:
            raise StoreUnavailable("it was just found unavailable")
        self._require_file()

    def _require_file(self) -> None:
        if self._file is not None and file_identity(self.address) != self._file:
            raise StoreUnavailable("its file was moved, deleted or replaced; start the hub again")

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        stack = ExitStack()
        try:
            transaction = self._begin(stack)
        except Exception as error:
            if self.address.dialect != "postgres" or not is_lost(error):
                raise
            # A connection lost while idle: nothing was done on it, so another will do.
            self.database.disconnect()
            transaction = self._begin(stack)
        is_in_commit = False
        try:
            with stack:
                yield transaction
                # It may have waited for its turn while the file was taken away.
                self._require_file()
                is_in_commit = True
            if self.address.in_file:
                self._local.log[1].require_written()
        except Exception as error:
            if is_in_commit and (isinstance(error, LogGone) or may_be_committed(error)):
                if isinstance(error, LogGone):
                    self._breaks(error)
                raise StoreUnavailable(
                    f"it was lost in the commit: {root(error)}", may_be_recorded=True
                ) from error
            raise
        if transaction.has_written:
            self._failed = False

    def _log_of(self, connection: Any) -> Log:
        """The log as this thread's connection has it open."""
        kept: tuple[Any, Log] | None = getattr(self._local, "log", None)
        if kept is None or kept[0] is not connection:
            kept = self._local.log = connection, Log(self.address)
        return kept[1]

    def _breaks(self, error: StoreUnavailable) -> None:
        """Take nothing more until the hub is started again; save what can be saved."""
        if self._broken is None:
            self._broken = str(error)
            _log.error("the store takes nothing more: %s", error)
            if isinstance(error, LogDeleted):
                # Its content is lost with the process, unless it is in the database's file before.
                with suppress(Exception):
                    self._local.log[0].execute("PRAGMA wal_checkpoint(FULL)")

    def _begin(self, stack: ExitStack) -> Transaction:
        try:
            stack.enter_context(db_session(optimistic=False))
            connection = self.database.get_connection()
            if self.address.in_file:
                self._log_of(connection).require_whole()
            transaction = Transaction(connection, self.address.dialect, self._prepared(connection))
            self._require_usable(transaction)
        except BaseException:
            stack.__exit__(*sys.exc_info())
            raise
        return transaction

    def _require_usable(self, transaction: Transaction) -> None:
        """Raise StoreUnavailable where a newer hub has changed the tables; on PostgreSQL, wait for the
        other writers before.
        """
        usable = migrations.READABLE_FROM_NOW
        if self.address.dialect == "postgres":
            usable = f"{_WRITERS}; {usable}"  # in one message
        ((readable_from,),) = transaction.rows(usable)
        if readable_from > migrations.LATEST:
            raise StoreUnavailable("a newer hub has changed its tables; install that one")

    def _prepared(self, connection: Any) -> dict[str, str]:
        names: StatementNames | None = getattr(self._local, "prepared", None)
        if names is None:
            names = self._local.prepared = StatementNames()
        return names.on(connection)


class _Batch:
    """A transaction that begins when it is first asked for, and ends with ``stack``."""

    def __init__(self, store: Store, stack: ExitStack) -> None:
        self._store = store
        self._stack = stack
        self.opened: Transaction | None = None
        self.done: list[Callable[[], None]] = []

    def transaction(self) -> Transaction:
        if self.opened is None:
            self.opened = self._stack.enter_context(self._store._transaction())
        return self.opened


def migrate(url: str) -> list[int]:
    """Bring the schema of the store at ``url`` up to date; tell the steps that were applied.

    Raises as ``Store.open`` does; a newer store than this hub is left as it is.
    """
    address = parse_address(url)
    database = bind(address)
    try:
        with _translated():
            version = migrations.current_version(database)
            if version is not None and version.number > migrations.LATEST:
                _require_version(version, address)
                return []
            if address.in_file and version and version.number < migrations.OVERWRITES_FROM:
                _rewrite(address)
            applied = _migrate(database, address)
    finally:
        database.disconnect()
    return applied


def _rewrite(address: Address) -> None:
    """Write an SQLite store's file anew: its older hub may have freed pages that still tell of somebody.
    Check-ins wait meanwhile.
    """
    try:
        # With no transaction of Python's own, which a VACUUM cannot be in.
        connection = sqlite3.connect(address.target, timeout=LOCK_TIMEOUT, isolation_level=None)
        with closing(connection):
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise StoreUnavailable(
            f"The store {address.shown} cannot be written anew, which removes what was deleted before: "
            f"{error}; stop the hubs that use it, and run it again"
        ) from error


def _migrate(database: Database, address: Address) -> list[int]:
    try:
        return migrations.migrate(database, address)
    except Exception as error:
        if classified(error) is not None:
            raise
        raise StoreVersionError(
            f"The store {address.shown} cannot be migrated; is it another program's? {root(error)}"
        ) from error


def _require_version(version: migrations.Version, address: Address) -> None:
    found, wanted = version.number, migrations.LATEST
    if found < wanted:
        raise StoreVersionError(
            f"The store {address.shown} has schema version {found}, this hub needs {wanted}; "
            "run: attendance-hub migrate"
        )
    if not version.is_usable:
        raise StoreVersionError(
            f"The store {address.shown} has schema version {found}, this hub knows {wanted}; "
            "install the newer attendance-hub that made it"
        )


@contextmanager
def _translated() -> Iterator[Any]:
    """Raise the store's trouble in the hub's own words; let everything else pass."""
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        meant = classified(error)
        if meant is None and isinstance(error, TransactionError):
            meant = StoreUnavailable(type(error).__name__)
        if meant is None:
            raise
        raise meant from error
