"""Pony's databases, lent to one test after the other.

Pony translates a query once for each database, which is most of what a short test takes. The store itself
is each test's own: a database is aimed at it.
"""

import os
from contextlib import contextmanager, suppress
from unittest.mock import patch

from hub.store import migrations
from hub.store.database import parse_address
from hub.store.store import Store

LATEST = migrations.LATEST
_open = Store.open.__func__


class Databases:
    """The databases of one process of tests, whose stores are all of one dialect."""

    def __init__(self, dialect):
        self._dialect = dialect
        self._free = []
        self._lent = []

    @contextmanager
    def lent(self):
        """Have stores be opened with databases that were opened before, as far as there are any."""
        with patch.object(Store, "open", classmethod(self._opened)):
            yield

    def give_back(self):
        """The test that they were lent to has ended, and closed what it has opened."""
        self._free += self._lent
        self._lent.clear()

    def _opened(self, cls, url, create=True):
        address = parse_address(url)
        if address.in_memory:
            return _open(cls, url, create)
        store = self._aimed(cls, address) or _open(cls, url, create)
        if address.dialect == self._dialect:
            self._lent.append(store.database)
        return store

    def _aimed(self, cls, address):
        """A store with a database that is free; None where there is none, or the store is unusual."""
        if not self._free or address.dialect != self._dialect:
            return None
        if address.in_file and not os.access(address.target, os.W_OK):
            return None
        database = self._free.pop()
        _aim(database, address)
        with suppress(Exception):
            version = migrations.current_version(database)
            if version is not None and version.number == LATEST == migrations.LATEST:
                return cls(database, address)
        database.disconnect()
        self._free.append(database)
        return None


def _aim(database, address):
    """Have all threads that ask from now on be connected to another store."""
    pool = database.provider.pool
    if address.dialect == "sqlite":
        database.provider.pool = type(pool)(False, address.target, True, **pool.kwargs)
    else:
        database.provider.pool = type(pool)(pool.dbapi_module, address.target, **pool.kwargs)
