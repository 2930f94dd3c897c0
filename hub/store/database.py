"""The database behind a store: its address, its connections, and which of its errors mean what."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pony.orm import Database, core
from pony.orm.dbproviders.sqlite import SQLiteDatetimeConverter

from hub.errors import (
    SettingError,
    StoreChanged,
    StoreConflict,
    StoreDamaged,
    StoreUnavailable,
)

LOCK_TIMEOUT = 2
"""Seconds that a transaction waits for the other writers of the same store."""

_STATEMENT_TIMEOUT = 5
_CONNECT_TIMEOUT = 2

_SCRATCH_CACHE = 32_768
"""KiB of memory for the pages of a scratch store: it is read and written all over."""

_TRY_AGAIN = frozenset({"40001", "40P01"})
"""PostgreSQL: serialization failure, deadlock."""

_CANNOT_NOW = ("08", "53", "57", "55P03", "25006", "25P03", "58")
"""PostgreSQL: connection, resources, shutdown or time-out, lock, read-only, idle, system."""


_OTHER_TABLES = frozenset({"42P01", "42703"})
"""PostgreSQL: there is no such table, no such column."""

_NO_SUCH = re.compile(r"no such (?:table|column)|table \w+ has no column")
"""The same of SQLite, which has one code for all that is wrong with a statement."""

_MEMORY = ":memory:"

MEMORY_URL = f"sqlite:///{_MEMORY}"
"""The address of a new store in memory, for what is tried and thrown away."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is. ``dialect`` is ``sqlite`` or ``postgres``."""

    dialect: str
    target: str

    @property
    def in_memory(self) -> bool:
        """Whether the store lives in this process alone, and no longer than it is open."""
        return self.target == _MEMORY

    @property
    def in_file(self) -> bool:
        """Whether the store is an SQLite file, with what SQLite keeps beside it."""
        return self.dialect == "sqlite" and not self.in_memory

    @property
    def shown(self) -> str:
        """The address without a password, for people to read."""
        if self.dialect == "sqlite":
            return f"sqlite:///{self.target}"
        parts = urlsplit(self.target)
        user, _, host = parts.netloc.rpartition("@")
        if user:
            host = f"{user.split(':')[0]}@{host}"
        return urlunsplit((parts.scheme, host, parts.path, "", ""))


def parse_address(url: str) -> Address:
    """The address that ``sqlite:///<path>`` or ``postgresql://…`` names. Raises SettingError.

    Three slashes begin a path relative to the working folder, four an absolute one.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme == "sqlite" and len(rest) > 1 and rest.startswith("/"):
        path = rest[1:]
        return Address("sqlite", path if path == _MEMORY else str(Path(path).absolute()))
    if separator and scheme in ("postgresql", "postgres") and _is_url(url):
        return Address("postgres", f"postgresql://{rest}")
    raise SettingError(
        "database: use sqlite:///<path> (four slashes for an absolute path) or "
        "postgresql://<user>@<host>/<name>"
    )


def _is_url(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:  # such as a bracket that is not closed
        return False
    return True


def bind(address: Address, is_scratch: bool = False) -> Database:
    """A Pony database bound to ``address``, without entities; ``is_scratch``: what is in it may be made
    anew. Raises StoreUnavailable.
    """
    database = Database()
    try:
        if address.dialect == "sqlite":
            arguments, options = _sqlite(database, address, is_scratch)
        else:
            arguments, options = _postgres(address)
        database.bind(address.dialect, *arguments, **options)
    except ImportError:
        raise SettingError(
            "database: PostgreSQL needs its driver; pip install psycopg2-binary"
        ) from None
    except SettingError:
        raise
    except Exception as error:
        raise StoreUnavailable(
            f"The store {address.shown} cannot be opened: {root(error)}"
        ) from error
    _guard(database)
    if address.dialect == "postgres":
        _keep_sessions(database)
    else:
        _read_moments_faster(database)
    return database


def _sqlite(
    database: Database, address: Address, is_scratch: bool
) -> tuple[tuple[str, ...], dict[str, Any]]:
    if not address.in_memory:
        _require_usable(address)

    @database.on_connect(provider="sqlite")  # type: ignore[arg-type]
    def _durable(_: Database, connection: sqlite3.Connection) -> None:
        if is_scratch:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA cache_size = -{_SCRATCH_CACHE}")
        else:
            connection.execute("PRAGMA synchronous = FULL")
            # What is deleted is overwritten: not every SQLite is built to do so by itself.
            connection.execute("PRAGMA secure_delete = ON")
        # Stored text is always UTF-8; Pony's own factory would decode each value in Python.
        connection.text_factory = str

    if address.in_memory:
        return (":sharedmemory:",), {}
    return (address.target,), {"create_db": True, "timeout": LOCK_TIMEOUT}


def _require_usable(address: Address) -> None:
    """Try the file first, because Pony leaves its connection open when it cannot use it."""
    if not Path(address.target).parent.is_dir():
        raise SettingError(
            f"database: the folder of {address.target} does not exist; make it first"
        )
    _make_private(address.target)
    with closing(sqlite3.connect(address.target, timeout=LOCK_TIMEOUT)) as connection:
        connection.execute("PRAGMA schema_version").fetchone()
        for path in (address.target, f"{address.target}-wal", f"{address.target}-shm"):
            if os.path.exists(path) and not os.access(path, os.W_OK):
                raise SettingError(f"database: {path} cannot be written to; change its permissions")


def _make_private(path: str) -> None:
    """Make the file of a new store, for its owner's eyes alone. SQLite would make it as the umask says;
    to ``-wal`` and ``-shm`` it gives the mode of the file.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _postgres(address: Address) -> tuple[tuple[str, ...], dict[str, Any]]:
    # Pony resets a session when it returns its connection, so settings go with the connection.
    settings = {
        "timezone": "UTC",
        "synchronous_commit": "on",
        "lock_timeout": f"{LOCK_TIMEOUT}s",
        "statement_timeout": f"{_STATEMENT_TIMEOUT}s",
        "idle_in_transaction_session_timeout": f"{_STATEMENT_TIMEOUT}s",
    }
    return (address.target,), {
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        "connect_timeout": _CONNECT_TIMEOUT,
        "tcp_user_timeout": _STATEMENT_TIMEOUT * 1000,
        "application_name": "attendance-hub",
    }


def _guard(database: Database) -> None:
    """Keep Pony from going on, on a new connection, with a transaction whose connection was lost.

    Pony 0.7.20 would commit the second half alone.
    """
    provider = database.provider
    reconnects = provider.should_reconnect

    def should_reconnect(error: Exception) -> bool:
        cache = core.local.db2cache.get(database)
        if cache is not None and cache.in_transaction:
            return False
        return bool(reconnects(error))

    provider.should_reconnect = should_reconnect


def _keep_sessions(database: Database) -> None:
    """Let prepared statements live as long as their connection.

    Pony ends each session with DISCARD ALL. The hub's leave nothing behind that would need it: their
    settings come with the connection, and their lock ends with the transaction.
    """
    provider = database.provider

    def release(connection: Any, cache: Any = None) -> None:
        try:
            connection.rollback()
            connection.autocommit = False
        except BaseException:
            provider.drop(connection, cache)
            raise

    provider.release = release


class _Moment(SQLiteDatetimeConverter):
    """A moment of SQLite, which has it as text. Pony's own reader takes six times as long."""

    def sql2py(self, val: str) -> datetime:
        return datetime.fromisoformat(val)


def _read_moments_faster(database: Database) -> None:
    provider = database.provider
    provider.converter_classes = [
        (kind, _Moment if kind is datetime else own) for kind, own in provider.converter_classes
    ]


def file_identity(address: Address) -> tuple[int, int] | None:
    """What tells the file of an SQLite store from another one of its name; None if it is gone."""
    try:
        found = os.stat(address.target)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def root(error: BaseException) -> BaseException:
    """The driver's error below those that Pony wraps around it."""
    while (inner := getattr(error, "original_exc", None)) is not None:
        error = inner
    return error


def classified(error: BaseException) -> Exception | None:
    """StoreConflict or StoreUnavailable if that is what ``error`` means, else None (a fault)."""
    for cause in _chain(error):
        code = getattr(cause, "pgcode", None)
        if code in _TRY_AGAIN:
            return StoreConflict(type(cause).__name__)
        if isinstance(cause, sqlite3.DatabaseError) and _has_name(cause, *_SQLITE_DAMAGE):
            return StoreDamaged(f"its file is damaged ({cause})")
        if isinstance(cause, sqlite3.DatabaseError) and _is_sqlite_trouble(cause):
            return StoreUnavailable(str(cause))
        if code is not None and str(code).startswith(_CANNOT_NOW):
            return StoreUnavailable(f"{type(cause).__name__} {code}")
        if _is_lost_connection(cause):
            return StoreUnavailable(type(cause).__name__)
        if code in _OTHER_TABLES or (
            isinstance(cause, sqlite3.OperationalError) and _NO_SUCH.match(str(cause))
        ):
            return StoreChanged("its tables are not those that this hub works with")
    return None


def may_be_committed(error: BaseException) -> bool:
    """Whether a transaction whose commit failed in this way may be on the disk all the same."""
    for cause in _chain(error):
        if isinstance(cause, sqlite3.DatabaseError):
            return _has_name(cause, "SQLITE_IOERR", *_SQLITE_DAMAGE)
        if getattr(cause, "pgcode", None) is not None:
            return is_lost(cause)
    return True  # the connection ended without a word


def is_lost(error: BaseException) -> bool:
    """Whether the connection itself was lost."""
    return any(
        _is_lost_connection(cause) or str(getattr(cause, "pgcode", None)).startswith(("08", "57P"))
        for cause in _chain(error)
    )


def _is_lost_connection(error: BaseException) -> bool:
    """Whether psycopg2, which may not be installed, says so; such an error has no code."""
    if getattr(error, "pgcode", None) is not None:
        return False
    kind = type(error)
    of_driver = kind.__module__.startswith("psycopg2")
    return of_driver and kind.__name__ in ("OperationalError", "InterfaceError")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, what Pony wrapped, and what it was raised from or while handling."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        for name in ("original_exc", "__cause__", "__context__"):
            inner = getattr(current, name, None)
            if isinstance(inner, BaseException):
                queue.append(inner)


_SQLITE_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")

_SQLITE_TROUBLE = (
    "SQLITE_BUSY",
    "SQLITE_LOCKED",
    "SQLITE_PROTOCOL",
    "SQLITE_FULL",
    "SQLITE_IOERR",
    "SQLITE_CANTOPEN",
    "SQLITE_READONLY",
    "SQLITE_NOMEM",
)
"""Locked, full or failing: SQLite's names of what is no fault of the statement."""


def _is_sqlite_trouble(error: sqlite3.DatabaseError) -> bool:
    return _has_name(error, *_SQLITE_TROUBLE)


def _has_name(error: sqlite3.DatabaseError, *names: str) -> bool:
    return (getattr(error, "sqlite_errorname", None) or "").startswith(names)
