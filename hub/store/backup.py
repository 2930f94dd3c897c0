"""Backups of a store: each is one file, made while hubs go on, and put back in the place of a store.

On SQLite a backup is itself a store. It is written by ``VACUUM INTO``, which reads one state of the store
whatever is written meanwhile. (SQLite's backup API, a few pages at a time, begins anew with each commit
of another connection, and may never end.) On PostgreSQL it is what ``pg_dump`` writes.
"""

import errno
import os
import secrets
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from hub.errors import BackupError
from hub.store import migrations
from hub.store.database import LOCK_TIMEOUT, Address, bind
from hub.store.transaction import Transaction

MADE = "INSERT INTO backup (made_at, bytes) VALUES (?, ?)"

_SQLITE, _POSTGRES = b"SQLite format 3\0", b"PGDMP"
"""How the files begin."""

_VERSION = "SELECT max(version) FROM schema_version"


def back_up(address: Address, file: Path) -> int:
    """Write a backup of a store to a new file, which only its owner may read; its bytes.

    The file appears when it is whole, and is on the disk then. Raises BackupError.
    """
    file = file.absolute()
    if os.path.lexists(file):
        if address.in_file and os.path.exists(file) and os.path.samefile(file, address.target):
            raise BackupError(f"{file} is the store itself; name another file")
        raise BackupError(f"{file} exists already; name a file that does not")
    with _part(file) as part:
        if address.dialect == "postgres":
            _dump(address, part)
        else:
            _copy(address, part)
        _put(part, file)
    return file.stat().st_size


def keep(tx: Transaction, now: datetime, size: int) -> None:
    """Keep that a backup was made, for whoever watches its age."""
    tx.run(MADE, now, size)


@contextmanager
def opened(address: Address, file: Path) -> Iterator[str]:
    """A backup of a store as a store, to be looked at: its URL. On PostgreSQL it is restored into a new
    database beside the store's, which is dropped afterwards. Raises BackupError.
    """
    if address.dialect == "sqlite":
        yield f"sqlite:///{file.absolute()}"
        return
    name = f"hub_verify_{secrets.token_hex(4)}"
    copy = Address("postgres", urlunsplit(urlsplit(address.target)._replace(path=f"/{name}")))
    try:
        _tell(address, f"CREATE DATABASE {name}")
    except BackupError as error:
        raise BackupError(
            f"The backup is made, and was not verified: no database can be made for that ({error}); let "
            "the user make databases (ALTER ROLE … CREATEDB)"
        ) from None
    try:
        _load(copy, file)
        yield copy.target
    finally:
        _tell(address, f"DROP DATABASE {name}")


def restore(address: Address, file: Path, replace: bool) -> tuple[int, Path | None]:
    """Put a backup in the place of the store; with ``replace`` also where there is one, which is moved
    aside. The version of its schema, and where the store of before is. Raises BackupError.
    """
    try:
        with file.open("rb") as opened:
            begin = opened.read(16)
    except OSError as error:
        raise BackupError(f"{file} cannot be read: {error.strerror}") from None
    if address.dialect == "postgres":
        if not begin.startswith(_POSTGRES):
            raise _something_else(file, "what pg_dump wrote with --format=custom")
        return _load(address, file), None
    if begin != _SQLITE:
        raise _something_else(file, "an SQLite file")
    return _put_back(Path(address.target), file, replace)


def _copy(address: Address, part: Path) -> None:
    try:
        # With no transaction of Python's own, which a VACUUM cannot be in.
        connection = sqlite3.connect(address.target, timeout=LOCK_TIMEOUT, isolation_level=None)
        with closing(connection):
            connection.execute("VACUUM INTO ?", (str(part),))
        # As a store is, so that a plain copy of it is one too.
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"The backup was not made: {error}") from None


def _dump(address: Address, part: Path) -> None:
    _run("pg_dump", address, "--format=custom", "--no-owner", "--file", str(part))


def _load(address: Address, file: Path) -> int:
    database = bind(address)
    try:
        if migrations.current_version(database) is not None:
            raise BackupError(
                f"There is a store at {address.shown}; restore into an empty database"
            )
        _run(
            "pg_restore",
            address,
            "--no-owner",
            "--single-transaction",
            "--exit-on-error",
            str(file),
        )
        version = migrations.current_version(database)
    finally:
        database.disconnect()
    if version is None:
        raise _something_else(file, "a backup of a hub's store")
    return version.number


def _tell(address: Address, statement: str) -> None:
    _run("psql", address, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", statement)


def _run(program: str, address: Address, *arguments: str) -> None:
    """Run one of PostgreSQL's programs. The password is in its environment, where nobody else sees it."""
    parts = urlsplit(address.target)
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    url = urlunsplit(parts._replace(netloc=f"{name}@{host}" if user else host))
    environment = dict(os.environ, **({"PGPASSWORD": unquote(password)} if password else {}))
    command = [program, f"--dbname={url}", *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BackupError(
            f"{program} is not here; install PostgreSQL's client programs (postgresql-client)"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"{program}: {said[-1] if said else f'exit status {done.returncode}'}")


def _put_back(target: Path, file: Path, replace: bool) -> tuple[int, Path | None]:
    if os.path.lexists(f"{file}-wal") and os.stat(f"{file}-wal").st_size:
        raise BackupError(f"{file} is in use, or was: there is a {file.name}-wal beside it")
    is_there = os.path.lexists(target)
    if is_there and os.path.samefile(target, file):
        raise BackupError(f"{file} is the store itself; name a backup")
    if is_there and not replace:
        raise BackupError(
            f"There is a store at {target}; stop the hub, and add --replace to move it aside"
        )
    with _part(target) as part:
        try:
            shutil.copyfile(file, part)
        except OSError as error:
            raise BackupError(f"{file} cannot be copied: {error.strerror}") from None
        version = _checked(part, file)
        if not is_there:
            _put(part, target)
            return version, None
        _require_alone(target)
        aside = _aside(target)
        os.replace(part, target)
        _to_disk(target.parent)
    return version, aside


def _checked(part: Path, file: Path) -> int:
    """The version of the schema of a file that was copied from a backup."""
    try:
        with closing(sqlite3.connect(part)) as connection:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            (version,) = connection.execute(_VERSION).fetchone()
    except sqlite3.DatabaseError as error:
        if "no such table" in str(error):
            raise _something_else(file, "a backup of a hub's store") from None
        raise BackupError(f"{file} is damaged: {error}") from None
    if found != "ok":
        raise BackupError(f"{file} is damaged: {found}")
    if version > migrations.LATEST:
        raise BackupError(
            f"{file} has schema version {version}, this hub knows {migrations.LATEST}; install the "
            "newer attendance-hub that made it"
        )
    return int(version)


def _require_alone(target: Path) -> None:
    """Raise BackupError while anybody has a store open; write its log back into its file."""
    try:
        connection = sqlite3.connect(target, timeout=0, isolation_level=None)
        with closing(connection):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.OperationalError:
        raise BackupError(f"A hub, or another program, has {target} open; stop it first") from None
    except sqlite3.DatabaseError:
        pass  # whatever is damaged is moved aside as it is


def _aside(target: Path) -> Path:
    """Give the store of before another name; it keeps its own until the other file has it."""
    names = (target.with_name(f"{target.name}.before-{number}") for number in count(1))
    aside = next(name for name in names if not os.path.lexists(name))
    try:
        os.link(target, aside)
    except OSError:
        os.rename(target, aside)  # a file system without links
    for ending in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(f"{target}{ending}", f"{aside}{ending}")
    return aside


@contextmanager
def _part(file: Path) -> Iterator[Path]:
    """A new file beside another one, for its owner alone, which is gone at the end unless it was put in
    its place. What a backup that was killed has left is written over.
    """
    part = file.with_name(f"{file.name}.part")
    try:
        number = os.open(part, os.O_CREAT | os.O_RDWR | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise BackupError(f"{part} cannot be written: {error.strerror}") from None
    try:
        _lock(number, part)
        os.fchmod(number, 0o600)
        os.truncate(number, 0)
        try:
            yield part
        finally:
            for ending in ("", "-wal", "-shm", "-journal"):
                with suppress(FileNotFoundError):
                    os.unlink(f"{part}{ending}")
    finally:
        os.close(number)


def _lock(number: int, part: Path) -> None:
    try:
        import fcntl
    except ImportError:  # Windows has another way, and no cron
        return
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BackupError(f"Another backup writes {part} just now") from None


def _put(part: Path, file: Path) -> None:
    """Give a file that is whole its name, once it is on the disk. Nothing is written over."""
    try:
        _to_disk(part)
        try:
            os.link(part, file)
        except FileExistsError:
            raise BackupError(f"{file} exists by now; name a file that does not") from None
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
                raise
            os.rename(part, file)  # a file system without links
        _to_disk(file.parent)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror}") from None


def _to_disk(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _something_else(file: Path, what: str) -> BackupError:
    return BackupError(
        f"{file} is not {what}; to move a store between SQLite and PostgreSQL, use: attendance-hub "
        "export all, and import all"
    )
