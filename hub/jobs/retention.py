"""Retention: the bodies of old deliveries are emptied, a few at a time; the rest of the row stays."""

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from hub.domain.delivery import Emptied
from hub.record.deliveries import full_before
from hub.store.deliveries import empty
from hub.store.store import Store

_BATCH = 200
_REST = 0.05
"""Seconds between batches, for the check-ins that wait for their turn."""


def empty_old_bodies(
    store: Store,
    days: int,
    now: datetime,
    go_on: Callable[[], bool] = lambda: True,
    but: Collection[str] = (),
) -> int:
    """Empty the bodies of deliveries received more than ``days`` before ``now``, ``but`` those to some
    sources; how many they were.

    Stops early once ``go_on`` says no. Raises StoreUnavailable.
    """
    cutoff = now - timedelta(days=days)
    after, emptied = "", 0
    while go_on():
        with store.reading() as db:
            old = full_before(db, cutoff, after, _BATCH, but)
        due = [identifier for identifier, received_at in old if received_at < cutoff]
        if due:
            with store.writing() as tx:
                for identifier in due:
                    empty(tx, identifier, Emptied.RETENTION)
            emptied += len(due)
        if len(old) < _BATCH:
            break
        after = old[-1][0]
        time.sleep(_REST)
    return emptied
