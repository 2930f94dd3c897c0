"""The store that a command works on, beside the hub that serves it."""

from collections.abc import Iterator
from contextlib import contextmanager

from hub.store.store import Store


@contextmanager
def existing_store(database: str) -> Iterator[Store]:
    """The store at an address, closed at the end of the block. Raises SettingError if there is none."""
    store = Store.open(database, create=False)
    try:
        yield store
    finally:
        store.close()
