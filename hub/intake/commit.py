"""The commit loop: one attempt of a delivery, in a transaction, until it is on the disk.

First attempts (``hub.intake.webhooks``) and replays (``hub.jobs.replay``) are tried again in the same
way, and differ in what they do inside and in what ends them.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from hub.domain.delivery import Delivery
from hub.errors import FAULTS, Refused, StoreConflict, StoreUnavailable
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import Prepared
from hub.log import log_fault
from hub.plugin.hooks import HookFailed
from hub.store.store import Store
from hub.store.transaction import Transaction

_TRIES = 5
_PAUSE = 0.01
"""Seconds, and more with each try, to let the other writer end."""

Made = TypeVar("Made")
Work = Callable[[Transaction, Prepared], Made]
"""What is done in the transaction; called anew with each try."""


class _Undo(Exception):
    """Ends a transaction that was only a trial."""


def commit(
    store: Store,
    endpoint: Endpoint,
    delivery: Delivery,
    prepared: Prepared,
    work: Work[Made],
    *,
    trial: bool = False,
) -> Made:
    """What ``work`` returns, once it is on the disk. Nothing of a ``trial`` is kept.

    It is tried again if another writer came first. After a fault it is tried again as a delivery that
    failed, so that the fault is kept. Raises StoreUnavailable, what ``work`` refuses, and a second fault,
    where even that could not be kept. Inside a batch, whatever is raised is let through at once, for the
    batch to be undone.
    """
    for number in range(_TRIES):
        try:
            with store.writing() as tx:
                made = work(tx, prepared)
                if trial:
                    raise _Undo
            return made
        except _Undo:
            return made
        except (Refused, StoreUnavailable):
            raise
        except StoreConflict:
            if store.in_batch:
                raise
            time.sleep(_PAUSE * number)
        except FAULTS as error:
            if store.in_batch or prepared.failed:
                raise
            if isinstance(error, HookFailed):
                log_fault(f"{error} on delivery {delivery.id}", error.__cause__ or error)
            else:
                what = f"delivery {delivery.id} to {endpoint.source.name}"
                log_fault(f"{what} failed in the transaction", error)
            prepared = prepared.as_failed()
    raise StoreUnavailable("other writers always came first; try again")
