"""A store that is thrown away: filled with rows of another one to be compared with it, or emptied for
the next trial. It is SQLite. One may be kept over the end of a process, to go on with.
"""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hub.errors import HubError, Refused
from hub.store.database import Address
from hub.store.store import Store
from hub.store.transaction import Transaction

KEEP = """
    INSERT INTO delivery (id, source, received_at, headers, body, outcome, status, answer, duration,
        of_delivery, of_row)
    VALUES (?, ?, ?, '{}', '', 'applied', 200, '{}', 0, ?, ?) ON CONFLICT DO NOTHING"""
_FILE = "scratch.db"
_LASTS = 86_400
"""Seconds for which what was left is gone on with."""

RENUMBER_DEEDS = "UPDATE deed SET subject = ? WHERE what = ? AND subject = ? AND delivery = ?"
_held: set[int] = set()
"""The folders that this process has locked."""


def _let_go() -> None:
    """Have a process that was forked hold no lock: it may outlast the one that it was forked from."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)

_REFERRING = {
    "student": ("student_identifier", "attendance", "disagreement"),
    "event": ("event_identifier", "attendance"),
}
_REFERENCES = {
    "student_identifier": ("student",),
    "event_identifier": ("event",),
    "own_attendance": ("attendance",),
    "attendance": ("student", "event"),
    "attendance_identifier": ("attendance",),
    "evidence": ("attendance",),
}
"""By table, the tables that it refers to, and that may have been copied in part."""


@contextmanager
def opened() -> Iterator[Store]:
    """An empty store, as long as the block takes."""
    with tempfile.TemporaryDirectory(prefix="attendance-hub-scratch-") as folder:
        store = Store.open(_url(Path(folder)), is_scratch=True)
        try:
            yield store
        finally:
            store.close()


class Kept:
    """A store that outlasts a process that is ended in the middle of its work. ``is_new``: there was none
    to go on with; ``stays``: it is still of use where the work fails.
    """

    def __init__(self, store: Store, is_new: bool = True) -> None:
        self.store = store
        self.is_new = is_new
        self.stays = True


@contextmanager
def kept(folder: Path, is_of_use: Callable[[Store], bool]) -> Iterator[Kept]:
    """A store in ``folder``, which is gone when the block has ended. What an earlier process has left
    there is gone on with where it ``is_of_use`` and not older than a day, else thrown away.

    Raises Refused where another process is at it, or the folder is somebody else's.
    """
    with _locked(folder):
        store = _left_over(folder, is_of_use)
        is_new = store is None
        if store is None:
            _empty(folder)
            store = Store.open(_url(folder), is_scratch=True)
        found = Kept(store, is_new)
        try:
            yield found
        except BaseException:
            store.close()
            if not found.stays:
                _remove(folder)
            raise
        store.close()
        _remove(folder)


def _left_over(folder: Path, is_of_use: Callable[[Store], bool]) -> Store | None:
    """What an earlier process has left, if it can be gone on with."""
    if not _is_fresh(folder):
        return None
    try:
        store = Store.open(_url(folder), is_scratch=True)
    except HubError:
        return None  # of another version of the hub, or cut short
    try:
        if is_of_use(store):
            return store
    except HubError:
        pass
    store.close()
    return None


def discard(folder: Path, only_old: bool = False) -> None:
    """Throw away what an earlier process has left in ``folder``, unless one is at it; maybe only what
    nobody goes on with any more.
    """
    if folder.exists() and not (only_old and _is_fresh(folder)):
        with suppress(Refused), _locked(folder):
            _remove(folder)


def _is_fresh(folder: Path) -> bool:
    with suppress(FileNotFoundError):
        return time.time() - (folder / _FILE).stat().st_mtime <= _LASTS
    return False


def place(address: Address) -> Path:
    """The folder for work on the store at ``address``: beside its file; of a store on a server, among the
    files that are temporary (TMPDIR).
    """
    if address.in_file:
        return Path(f"{address.target}.rebuild")
    name = hashlib.sha256(address.target.encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"attendance-hub-rebuild-{name}"


def _remove(folder: Path) -> None:
    _empty(folder)
    folder.rmdir()


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise Refused(f"The folder {folder} cannot be used", error.strerror or "") from None
    try:
        about = os.fstat(descriptor)
        if about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise Refused(
                f"The folder {folder} is not this user's alone", "Delete it, or set TMPDIR"
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(about, folder.stat()):
                raise BlockingIOError  # whoever had it has just taken it away
        except (BlockingIOError, FileNotFoundError):
            raise Refused(
                "Another process derives the attendances of this store", "Wait until it has ended"
            ) from None
        _held.add(descriptor)
        yield
    finally:
        _held.discard(descriptor)
        os.close(descriptor)


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / _FILE}"


def keep(tx: Transaction, deliveries: Iterable[Sequence[Any]]) -> None:
    """Have deliveries be there for those that name them, such as an undo, with nothing of their content:
    id, source, time of receipt, the delivery that each is a row of, and which.
    """
    tx.run_many(KEEP, deliveries)


def give_ids(tx: Transaction, delivery: str, made: Mapping[str, Sequence[int]]) -> None:
    """Give the students and events that a delivery has just made the ids that they have in another store
    (by table): others name them by these.
    """
    for table, others in made.items():
        if not others:
            continue
        rows = tx.rows(f"SELECT id FROM {table} WHERE delivery = ? ORDER BY id", delivery)
        for (own,), other in zip(rows, others, strict=False):
            if own == other or tx.rows(f"SELECT id FROM {table} WHERE id = ?", other):
                continue
            tx.run("PRAGMA defer_foreign_keys = ON")
            tx.run(f"UPDATE {table} SET id = ? WHERE id = ?", other, own)
            for referring in _REFERRING[table]:
                tx.run(f"UPDATE {referring} SET {table} = ? WHERE {table} = ?", other, own)
            tx.run(RENUMBER_DEEDS, other, table, own, delivery)


def empty(tx: Transaction, tables: Iterable[str]) -> None:
    """Delete all the rows of the tables, and have their ids begin at 1 again."""
    tx.run("PRAGMA defer_foreign_keys = ON")
    for table in tables:
        tx.run(f"DELETE FROM {table}")
    tx.run("DELETE FROM sqlite_sequence")


def insert(tx: Transaction, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows, with their ids, into a table; those are left out that refer to what is not there."""
    tx.run("PRAGMA defer_foreign_keys = ON")  # rows of a table may refer to each other
    references = _REFERENCES.get(table, ())
    present = " AND ".join(f"EXISTS (SELECT 1 FROM {name} WHERE id = ?)" for name in references)
    if not rows:
        return
    names = list(rows[0])
    sql = f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join('?' for _ in names)}"
    if present:
        sql += f" WHERE {present}"
    names += references
    tx.run_many(sql, [[row[name] for name in names] for row in rows])
