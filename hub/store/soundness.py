"""Whether the files of an SQLite store are whole, and still those that it was opened with.

SQLite does not notice that its write-ahead log was deleted or cut off by somebody else: it goes on
writing, and what it writes is gone with the process ("How To Corrupt An SQLite Database File", 4).
"""

import os
import sqlite3
import struct
import time
from contextlib import closing, suppress

from hub.errors import StoreDamaged, StoreUnavailable
from hub.store.database import LOCK_TIMEOUT, Address

CHECK_FOR = 5.0
"""Seconds that the check at the start may take."""

_HEADER, _FRAME_HEADER = 32, 24
_STEPS = 10_000
"""Steps of SQLite's machine between two looks at the clock."""


def is_whole(address: Address) -> bool:
    """Check an SQLite file for damaged pages; whether there was time to look at all of them.

    Raises StoreDamaged, which names the damage.
    """
    end = time.monotonic() + CHECK_FOR
    try:
        with closing(sqlite3.connect(address.target, timeout=LOCK_TIMEOUT)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname == "SQLITE_INTERRUPT":
            return False
        raise
    except sqlite3.DatabaseError as error:
        raise _damaged(address, str(error)) from error
    if found != "ok":
        raise _damaged(address, str(found).splitlines()[-1].strip())
    return True


def _damaged(address: Address, what: str) -> StoreDamaged:
    """The error for a damaged file."""
    return StoreDamaged(
        f"The store {address.shown} is damaged ({what}); restore a backup, or get out what is left with "
        "sqlite3 and its command .recover"
    )


class Log:
    """The write-ahead log of one connection, from the connection's first transaction on. (There is none
    where the file system cannot have one, and SQLite has taken another journal.)
    """

    def __init__(self, address: Address) -> None:
        self._path = f"{address.target}-wal"
        self._index = f"{address.target}-shm"
        self._inode, self._size = 0, 0
        with suppress(LogDeleted):
            found = self._stat()
            self._inode, self._size = found.st_ino, found.st_size

    def require_same(self) -> int:
        """Raise StoreUnavailable unless it is the file that it was; tell its size in bytes."""
        if not self._inode:
            return 0
        found = self._stat()
        if found.st_ino != self._inode:
            raise LogGone("its -wal file was replaced; stop the hub, and start it again")
        return found.st_size

    def require_written(self) -> None:
        """Raise StoreUnavailable unless it is the file that a commit has just been written to."""
        self._size = self.require_same()

    def require_whole(self) -> None:
        """Raise StoreUnavailable unless it also has all that was written to it. Only whoever has SQLite's
        write lock can tell: nobody empties the log meanwhile.
        """
        size = self.require_same()
        if size < self._size and size < self._expected():
            raise LogGone("its -wal file was cut off; stop the hub, and start it again")
        self._size = size

    def _stat(self) -> os.stat_result:
        try:
            return os.stat(self._path)
        except OSError:
            raise LogDeleted(
                "its -wal file was deleted; stop the hub, and start it again"
            ) from None

    def _expected(self) -> int:
        """The least size that SQLite's own index says; it may have been emptied by another process."""
        try:
            page, frames = struct.unpack_from("=HI", os.pread(_opened(self._index), 20, 0), 14)
        except (OSError, struct.error):
            return self._size
        page_size = 65_536 if page == 1 else page
        return _HEADER + frames * (_FRAME_HEADER + page_size) if frames else 0


_FILES: dict[tuple[int, int], int] = {}


def _opened(path: str) -> int:
    """The file, open for reading, and never closed: to close any file takes away all locks that the
    process has on it (POSIX, fcntl), and SQLite's own are on this one.
    """
    found = os.stat(path)
    key = found.st_dev, found.st_ino
    if key not in _FILES:
        _FILES[key] = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    return _FILES[key]


class LogGone(StoreUnavailable):
    """Somebody took the write-ahead log away, or a part of it."""

    needs_restart = True


class LogDeleted(LogGone):
    """It has no name any more; the process still has it open."""
