"""Replays: new attempts of deliveries that were refused, failed, or had nothing to record."""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from hub.domain import subjects
from hub.domain.delivery import (
    CommittedDelivery,
    Delivery,
    Emptied,
    KeptDelivery,
    Outcome,
    Settlement,
    is_delivery_id,
)
from hub.domain.identifiers import Identifier
from hub.domain.operations import Operation
from hub.domain.records import Result
from hub.domain.timestamps import utc_now
from hub.errors import (
    Contradicted,
    NotFound,
    NotReplayable,
    Refused,
)
from hub.intake import answers
from hub.intake.commit import commit
from hub.intake.decide import Decision, decide, keep_witness
from hub.intake.endpoint import Endpoint
from hub.intake.keys import Key, derived_key, digest, senders_key
from hub.intake.prepare import Prepared, meaning, prepare
from hub.plugin.hooks import Hooks
from hub.record import deliveries as kept_deliveries
from hub.record import events, students
from hub.record.deliveries import ALL, Wanted
from hub.record.search import REPLAYABLE
from hub.store import deliveries, fetching, outbox
from hub.store.store import Entities, Store
from hub.store.transaction import Transaction

_log = logging.getLogger(__name__)
_PAGE = 200

_HAS_NO_BODY = {
    Emptied.RETENTION: "Bodies are kept for as many days as keep_bodies says",
    Emptied.FORGOTTEN: "It told of a student who was forgotten",
}


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay: the delivery as it was before, the attempt's number, and what became of it.

    ``number`` is None for a trial: nothing of it is kept.
    """

    before: KeptDelivery
    number: int | None
    settlement: Settlement


def find(db: Entities, identifier: str) -> KeptDelivery:
    """The delivery with this id. Raises NotFound."""
    kept = kept_deliveries.find(db, identifier) if is_delivery_id(identifier) else None
    if kept is None:
        raise unknown(identifier)
    return kept


def unknown(identifier: str) -> NotFound:
    """The refusal of an id that no delivery has."""
    return NotFound(
        f"Delivery {identifier[:64]} not found",
        "Ids are in the X-Delivery-Id header of answers, in the log, and in the list of deliveries",
    )


class Replays:
    """Attempts kept deliveries again, each in a transaction of its own."""

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        endpoints: Sequence[Endpoint],
        targets: Sequence[str],
        tell: Callable[[CommittedDelivery], None],
        zone: tzinfo,
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._targets = targets
        self._endpoints = {endpoint.source.name: endpoint for endpoint in endpoints}
        self._tell = tell
        self._zone = zone

    def replay(self, identifier: str, *, trial: bool = False) -> Replayed:
        """Attempt a delivery again; a ``trial`` changes nothing.

        Raises NotFound for an unknown id, NotReplayable for a delivery that cannot be or need not be
        attempted again, StoreUnavailable.
        """
        if self._store.in_batch:
            raise RuntimeError("a replay has a transaction of its own")
        return self.in_batch(identifier, trial=trial)

    def in_batch(self, identifier: str, *, trial: bool = False) -> Replayed:
        """The same, also inside of a batch (``Store.batch``), which is then undone with it."""
        with self._store.reading() as db:
            kept = find(db, identifier)
        endpoint = self._require_replayable(kept)
        started = time.perf_counter_ns()
        prepared = prepare(self._hooks, endpoint, kept.delivery)
        prepared = meaning(prepared, kept.meant_student, kept.meant_event)

        def attempt(tx: Transaction, prepared: Prepared) -> Replayed:
            return self._attempt(tx, endpoint, identifier, prepared, started, trial)

        return commit(self._store, endpoint, kept.delivery, prepared, attempt, trial=trial)

    def refuse(self, identifier: str, refused: Refused) -> None:
        """Keep that a delivery can do no better for now: an attempt of it that was refused."""
        with self._store.writing() as tx:
            with self._store.reading() as db:
                kept = find(db, identifier)
            answer = answers.refusal(refused)
            settlement = Settlement(Outcome.REFUSED, answer.status, answer.body, 0)
            number = deliveries.add_attempt(tx, kept, utc_now(), settlement)
            decision = Decision(Outcome.REFUSED, answer)
            tx.when_committed(lambda: self._committed(kept, number, decision))

    def inside(self, tx: Transaction, identifier: str) -> tuple[Result, ...]:
        """Attempt a delivery again inside of another one's transaction; what it did.

        Raises as ``replay`` does, and Contradicted where it is not applied: it is undone with the other.
        """
        with self._store.reading() as db:
            kept = find(db, identifier)
        endpoint = self._require_replayable(kept)
        if endpoint.source.authority:
            raise NotReplayable(f"Delivery {identifier} is itself one of the desk")
        started = time.perf_counter_ns()
        prepared = prepare(self._hooks, endpoint, kept.delivery)
        prepared = meaning(prepared, kept.meant_student, kept.meant_event)
        key = key_of(kept.delivery, endpoint, prepared)
        if key is not None:
            _require_unanswered(tx, kept, key)
        decision = decide(tx, endpoint, kept.delivery, prepared, key, self._zone)
        if decision.outcome is not Outcome.APPLIED:
            told = json.loads(decision.answer.body)
            why = told.get("error") or told.get("details")
            raise Contradicted(f"Delivery {identifier} is {decision.outcome} again", why)
        duration = (time.perf_counter_ns() - started) // 1000
        self._keep(tx, kept, prepared, key, decision, decision.settlement(prepared, duration))
        return decision.results

    def operations(self, kept: KeptDelivery) -> tuple[Operation, ...]:
        """What the plugins of now make of a delivery; nothing, where they refuse it, or it is empty."""
        endpoint = self._endpoints.get(kept.delivery.source)
        if endpoint is None or kept.emptied is not None:
            return ()
        return prepare(self._hooks, endpoint, kept.delivery).operations

    def matching(self, wanted: Wanted) -> Iterator[str]:
        """The ids of the deliveries to replay, the oldest first."""
        for page in kept_deliveries.every(self._store.reading, wanted):
            yield from (kept.delivery.id for kept in page)

    def ready(self, wanted: Wanted = ALL) -> Iterator[str]:
        """The ids of the wanted deliveries whose student or event has appeared, the oldest first.

        Each student and event is looked for once: one that appears meanwhile must not let a delivery go
        before an older one that waits for it too.
        """
        after = ""
        has_appeared: dict[str, bool] = {}
        while True:
            with self._store.reading() as db:
                found = kept_deliveries.waiting(db, after, _PAGE, wanted)
                for awaited in dict.fromkeys(awaited for _, awaited in found):
                    if awaited not in has_appeared:
                        has_appeared[awaited] = _has_appeared(db, awaited)
            yield from (one for one, awaited in found if has_appeared[awaited])
            if len(found) < _PAGE:
                return
            after = found[-1][0]

    def _require_replayable(self, kept: KeptDelivery) -> Endpoint:
        delivery = kept.delivery
        if kept.outcome not in REPLAYABLE:
            said = "repeats another one" if kept.outcome is Outcome.REPEATED else "was applied"
            raise NotReplayable(f"Delivery {delivery.id} {said}; there is nothing to replay")
        if kept.emptied is not None:
            sentence = f"Delivery {delivery.id} has no body any more"
            raise NotReplayable(sentence, _HAS_NO_BODY[kept.emptied])
        endpoint = self._endpoints.get(delivery.source)
        if endpoint is None:
            raise NotReplayable(
                f"Delivery {delivery.id} came to the source {delivery.source}, which no plugin declares",
                "Load the plugin that declares it, and replay again",
            )
        return endpoint

    def _attempt(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        identifier: str,
        prepared: Prepared,
        started: int,
        trial: bool,
    ) -> Replayed:
        # As it is now, in the transaction: another replay may have come first.
        with self._store.reading() as db:
            kept = find(db, identifier)
        self._require_replayable(kept)
        key = key_of(kept.delivery, endpoint, prepared)
        if key is not None:
            _require_unanswered(tx, kept, key)
        decision = decide(tx, endpoint, kept.delivery, prepared, key, self._zone)
        is_seen = decision.witness is not None and keep_witness(
            tx, endpoint, kept.delivery, decision.witness, key, self._zone
        )
        duration = (time.perf_counter_ns() - started) // 1000
        settlement = decision.settlement(prepared, duration, is_seen)
        if trial:
            return Replayed(kept, None, settlement)
        number = self._keep(tx, kept, prepared, key, decision, settlement)
        return Replayed(kept, number, settlement)

    def _keep(
        self,
        tx: Transaction,
        kept: KeptDelivery,
        prepared: Prepared,
        key: Key | None,
        decision: Decision,
        settlement: Settlement,
    ) -> int:
        """Keep an attempt; its number."""
        if self._targets:
            outbox.add(tx, self._targets, decision.results, utc_now())
        number = deliveries.add_attempt(tx, kept, utc_now(), settlement)
        if prepared.fetch is not None:
            wanted = prepared.fetch
            fetching.add(tx, kept.delivery, wanted.url, wanted.headers, utc_now())
        if key is not None and decision.is_final:
            body_digest = digest(kept.delivery.body)
            deliveries.claim_key(tx, kept.delivery.id, key.stored, body_digest, number)
        tx.when_committed(lambda: self._committed(kept, number, decision))
        return number

    def _committed(self, kept: KeptDelivery, number: int, decision: Decision) -> None:
        answer = decision.answer
        _log.info(
            "delivery %s replayed, attempt %d: %s, %d",
            kept.delivery.id,
            number,
            decision.outcome,
            answer.status,
        )
        self._tell(
            CommittedDelivery(kept.delivery, decision.outcome, answer.status, decision.results)
        )


def key_of(delivery: Delivery, endpoint: Endpoint, prepared: Prepared) -> Key | None:
    """What a kept delivery calls itself."""
    try:
        own = senders_key(delivery.headers, endpoint.authentication)
        return own or derived_key(prepared.own_key)
    except Refused:
        return None  # too long to be one


def _require_unanswered(tx: Transaction, kept: KeptDelivery, key: Key) -> None:
    """The same delivery may have come again and been taken; or its key is another one's."""
    delivery = kept.delivery
    holder = deliveries.holder(tx, delivery.source, key.stored, delivery.id)
    if holder is not None:
        raise NotReplayable(
            f"Delivery {delivery.id} has the idempotency key of delivery {holder}",
            "That one was answered under the key; what it left to record, send under another key",
        )


def _has_appeared(db: Entities, awaited: str) -> bool:
    """Whether the student or the event that a delivery waits for is known now."""
    what, _, name = awaited.partition(" ")
    if awaited.startswith(subjects.FETCH):
        return False  # it is for those who fetch
    if (near := subjects.is_near(awaited)) is not None:
        return events.is_near(db, *near)
    kind, _, value = name.partition(":")
    if what == "student":
        return students.is_known(db, Identifier(kind, value))
    return events.is_known(db, value if kind == "name" else Identifier(kind, value))
