"""How much space a store takes, and how much is left where it is."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from hub.store.database import Address
from hub.store.store import Store

_OF_DATABASE = "SELECT pg_database_size(current_database())"


class Space(NamedTuple):
    """Bytes: what the store takes, what is free on its disk, and how large that is. None: nobody knows,
    as of a disk of another machine.
    """

    taken: int | None = None
    free: int | None = None
    disk: int | None = None


def space(store: Store) -> Space:
    """The space of a store. Raises StoreUnavailable."""
    if store.address.in_file:
        return _of_file(store.address)
    if store.address.in_memory:
        return Space()
    with store.reading() as db:
        (taken,) = db.select(_OF_DATABASE)
    return Space(int(taken))


def _of_file(address: Address) -> Space:
    taken = 0
    for ending in ("", "-wal", "-shm"):
        try:
            taken += os.stat(address.target + ending).st_size
        except OSError:
            continue
    disk = shutil.disk_usage(Path(address.target).parent)
    return Space(taken, disk.free, disk.total)
