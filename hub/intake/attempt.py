"""One attempt of a delivery: from its body to operations, and from those to what becomes of it.

The first attempt answers the sender (``hub.intake.pipeline``), every later one is a replay
(``hub.jobs.replay``); both go this way. What comes before the store is pure, so an attempt whose
transaction had to be rolled back goes the same way again.
"""

import time
from datetime import tzinfo
from typing import Any, NamedTuple

from hub.domain import subjects
from hub.domain.delivery import Attempt, Delivery, Outcome
from hub.domain.operations import Operation
from hub.domain.records import Change, Result
from hub.errors import FAULTS, NotFound, Refused
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.log import log_fault
from hub.plugin.plugins import SLOW, HookFailed, Plugins, operations_of, tell_if_slow
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.transaction import Transaction
from hub.wire.body import require_json
from hub.wire.strict_json import parse
from hub.wire.validation import validate


class Prepared(NamedTuple):
    """A delivery before the store: its operations, or why there are none.

    ``own_key`` is what its source, by the payload, calls it.
    """

    payload: Any = None
    operations: tuple[Operation, ...] = ()
    own_key: str | None = None
    refused: Refused | None = None
    failed: bool = False


class Decided(NamedTuple):
    """What becomes of a delivery, and how it is answered."""

    outcome: Outcome
    answer: Answer
    results: tuple[Result, ...] = ()
    waiting: str | None = None

    def attempt(self, prepared: Prepared, duration: int) -> Attempt:
        """The attempt as it is kept. ``duration`` is in microseconds."""
        return Attempt(
            self.outcome,
            self.answer.status,
            self.answer.body,
            duration,
            subjects.students(prepared.operations, self.results),
            subjects.events(prepared.operations, self.results),
            self.waiting,
        )


def prepare(plugins: Plugins, endpoint: Endpoint, delivery: Delivery) -> Prepared:
    """Parse, validate and normalise a delivery, and let the plugins veto and amend it. Never raises."""
    source = endpoint.source
    operations: tuple[Operation, ...] = ()
    try:
        require_json(delivery.headers.get("content-type", ""))
        payload = source.whole(parse(delivery.body), delivery.headers)
        kind = source.kind(payload) if source.kind else ""
        validate(endpoint.validators[kind], payload)
        started = time.perf_counter()
        operations = operations_of(source.normalize(payload), source.normalize)
        if (took := time.perf_counter() - started) > SLOW:
            tell_if_slow(endpoint.plugin, "normalize", took, f" on delivery {delivery.id}")
        sentence = plugins.veto(delivery, payload)
        if sentence is not None:
            raise Refused(sentence)
        operations = plugins.amend(delivery, operations)
        own_key = source.delivery_key(payload) if source.delivery_key else None
    except Refused as refused:
        return Prepared(operations=operations, refused=refused)
    except HookFailed as failed:
        log_fault(f"{failed} on delivery {delivery.id}", failed.__cause__ or failed)
        return Prepared(operations=operations, failed=True)
    except FAULTS as error:
        what = f"plugin {endpoint.plugin}: source {source.name} failed on delivery {delivery.id}"
        log_fault(what, error)
        return Prepared(operations=operations, failed=True)
    return Prepared(payload, operations, own_key or None)


def decide(
    tx: Transaction, endpoint: Endpoint, delivery: Delivery, prepared: Prepared, zone: tzinfo
) -> Decided:
    """Apply what was prepared. Raises what the store raises, and any fault of the source's ``answer``;
    the transaction must then be undone.
    """
    if prepared.failed:
        return Decided(Outcome.FAILED, answers.failure(delivery.id))
    try:
        if prepared.refused is not None:
            raise prepared.refused
        context = Context(delivery.id, delivery.received_at, endpoint.source.label, zone)
        results = apply(tx, prepared.operations, context)
    except Refused as refused:
        waiting = refused.awaits if isinstance(refused, NotFound) else None
        return Decided(Outcome.REFUSED, answers.refusal(refused), waiting=waiting)
    made = None
    if endpoint.source.answer is not None and results:
        made = endpoint.source.answer(prepared.payload, results)
    status, body = made or answers.success(results)
    if not 200 <= status < 300 or status == 204:
        raise ValueError(f"the source's answer has the status {status}")
    answer = answers.answer(status, body)
    if all(result.change is Change.IGNORED for result in results):
        waiting = next((result.awaits for result in results if result.awaits), None)
        return Decided(Outcome.IGNORED, answer, results, waiting)
    return Decided(Outcome.APPLIED, answer, results)
