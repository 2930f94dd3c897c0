"""Batches: a delivery of many rows, each of which is a delivery of its own, recorded by itself.

A row that is refused does not take the others down, is kept, and waits by itself. Rows are written in
short transactions, so that check-ins need not wait for them.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from hub.domain.delivery import CommittedDelivery, Delivery, Outcome, Settlement, new_delivery_id
from hub.errors import FAULTS, Refused, StoreConflict, StoreUnavailable
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.budget import Kind
from hub.intake.decide import Decision
from hub.intake.endpoint import Endpoint
from hub.intake.keys import Key, derived_key, digest
from hub.intake.prepare import Prepared, prepare
from hub.plugin.hooks import Hooks
from hub.plugin.sender import Happened
from hub.store import deliveries
from hub.store.store import Store
from hub.wire.signatures import is_trusted

if TYPE_CHECKING:
    from hub.intake.webhooks import Webhooks

_LONGEST = 0.004
"""Seconds that a transaction of rows takes: check-ins wait for it."""

_AT_ONCE = 200
_MOST_TOLD = 20
"""Rows that were not taken which the answer names."""


class Ready(NamedTuple):
    """A row that is ready to be written."""

    delivery: Delivery
    key: Key | None
    prepared: Prepared


class RowWriter:
    """Writes rows, each as the first attempt of a delivery of its own."""

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self._store = store
        self._webhooks = webhooks

    def write(self, endpoint: Endpoint, ready: Sequence[Ready]) -> Iterator[tuple[Ready, Decision]]:
        """Write the rows in order, and tell what became of each. Raises StoreUnavailable."""
        at = 0
        while at < len(ready):
            started = time.perf_counter()
            made = self._some(endpoint, ready[at:])
            yield from zip(ready[at:], made, strict=False)
            at += len(made)
            if not self._store.in_batch:
                # As long as that took, the others have the store to themselves.
                time.sleep(time.perf_counter() - started)

    def _some(self, endpoint: Endpoint, ready: Sequence[Ready]) -> list[Decision]:
        """Write the first rows, as many as a short transaction takes."""
        if self._store.in_batch:
            return [self._one(endpoint, ready[0])]
        made: list[Decision] = []
        started = time.perf_counter()
        try:
            with self._store.batch():
                for one in ready:
                    made.append(self._one(endpoint, one))
                    if time.perf_counter() - started > _LONGEST:
                        break
            return made
        except (Refused, StoreUnavailable):
            raise
        except FAULTS:
            pass  # another writer came first, or something is wrong with a row
        # Alone it is tried again, and a fault is kept as its failure.
        return [self._one(endpoint, ready[0])]

    def _one(self, endpoint: Endpoint, ready: Ready) -> Decision:
        return self._webhooks.record(endpoint, *ready, time.perf_counter_ns())


def row_of(batch: Delivery, number: int, row: str) -> Delivery:
    """A row, as JSON, as a delivery of its own."""
    return Delivery(
        new_delivery_id(),
        batch.source,
        batch.received_at,
        {"content-type": "application/json"},
        row.encode(),
        batch.sent_by,
        batch.id,
        number,
    )


class Batches:
    """Takes the batches of sources that have them."""

    def __init__(self, store: Store, hooks: Hooks, webhooks: Webhooks) -> None:
        self._store = store
        self._hooks = hooks
        self._webhooks = webhooks
        self._writer = RowWriter(store, webhooks)

    def take(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        rows: Sequence[str],
        started: int,
    ) -> Answer:
        """Keep a batch, record its rows, and answer it. ``started`` is in nanoseconds of the performance
        counter. Raises StoreUnavailable, StoreConflict.
        """
        if key is not None:
            decision = self._webhooks.repeated(endpoint, delivery, key, started)
            if decision is not None:
                return decision.sent
        with self._store.writing() as tx:
            kept = answers.answer(200, {"rows": len(rows)})
            settlement = Settlement(Outcome.APPLIED, 200, kept.body, 0)
            deliveries.keep(tx, self._within_budget(endpoint, delivery), settlement, None, None)
        found: Counter[str] = Counter()
        not_taken: list[dict[str, Any]] = []
        for (row, *_), decision in self._recorded(endpoint, delivery, rows):
            found[decision.outcome] += 1
            if decision.outcome in (Outcome.REFUSED, Outcome.FAILED):
                error = json.loads(decision.answer.body)["error"]
                about = {"delivery": row.id} if is_trusted(endpoint.authentication, {}) else {}
                not_taken.append({"row": row.row, **about, "error": error})
        return self._end(endpoint, delivery, key, found, not_taken, started)

    def _within_budget(self, endpoint: Endpoint, batch: Delivery) -> Delivery:
        """A batch as it is kept: of a source that strangers may post to, without its body where too much
        was kept already. Its rows are kept, or not, by themselves.
        """
        if is_trusted(endpoint.authentication, {}):
            return batch
        size, at = len(batch.body), batch.received_at
        if endpoint.budget.has_room(Kind.IN_VAIN, size, at):
            endpoint.budget.use(Kind.IN_VAIN, size, at)
            return batch
        return replace(batch, body=b"")

    def _recorded(
        self, endpoint: Endpoint, batch: Delivery, rows: Sequence[str]
    ) -> Iterator[tuple[Ready, Decision]]:
        numbered = iter(enumerate(rows, start=1))
        while some := list(islice(numbered, _AT_ONCE)):
            ready = [self._ready(endpoint, batch, number, row) for number, row in some]
            yield from self._writer.write(endpoint, ready)

    def _ready(self, endpoint: Endpoint, batch: Delivery, number: int, row: str) -> Ready:
        delivery = row_of(batch, number, row)
        prepared = prepare(self._hooks, endpoint, delivery)
        return Ready(delivery, derived_key(prepared.own_key), prepared)

    def _end(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        found: Counter[str],
        not_taken: Sequence[dict[str, Any]],
        started: int,
    ) -> Answer:
        """The answer, which the batch keeps; a key remembers it where every row was taken."""
        counts = {outcome.value: found[outcome] for outcome in Outcome if found[outcome]}
        rows = found.total()
        body: dict[str, Any] = {
            "success": True,
            "message": f"{rows} {'row' if rows == 1 else 'rows'} received",
            "delivery": delivery.id,
            "rows": counts,
        }
        if not_taken:
            body["errors"] = list(not_taken[:_MOST_TOLD])
        answer = answers.answer(200, body)
        happened = Happened(Outcome.APPLIED, 200, body, rows=counts)
        decision = Decision(Outcome.APPLIED, answer, told=endpoint.reply(happened, delivery.id))
        duration = (time.perf_counter_ns() - started) // 1000
        remembered = key if not not_taken else None
        # Where the same batch was taken beside this one, that one has the key.
        with suppress(StoreConflict), self._store.writing() as tx:
            deliveries.finish(
                tx,
                delivery.id,
                answer.body,
                duration,
                remembered.stored if remembered else None,
                digest(delivery.body) if remembered else None,
            )
            if decision.told is not None:
                deliveries.set_told(tx, delivery.id, decision.told)
        endpoint.counters.count(Outcome.APPLIED, delivery.received_at, 200)
        endpoint.counters.seconds.add((time.perf_counter_ns() - started) / 1e9)
        self._webhooks.tell(CommittedDelivery(delivery, Outcome.APPLIED, 200, ()))
        return decision.sent
