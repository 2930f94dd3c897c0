"""In the transaction: a delivery's operations are applied, and it is decided what becomes of it."""

from datetime import tzinfo
from typing import NamedTuple

from hub.domain import subjects
from hub.domain.delivery import Delivery, Outcome, Settlement
from hub.domain.records import Change, Result
from hub.errors import NotFound, Refused
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import Prepared
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.transaction import Transaction


class Decision(NamedTuple):
    """What becomes of a delivery, and how it is answered."""

    outcome: Outcome
    answer: Answer
    results: tuple[Result, ...] = ()
    waiting: str | None = None

    def settlement(self, prepared: Prepared, duration: int) -> Settlement:
        """The decision as it is kept. ``duration`` is in microseconds."""
        return Settlement(
            self.outcome,
            self.answer.status,
            self.answer.body,
            duration,
            subjects.students(prepared.operations, self.results),
            subjects.events(prepared.operations, self.results),
            self.waiting,
        )


def decide(
    tx: Transaction, endpoint: Endpoint, delivery: Delivery, prepared: Prepared, zone: tzinfo
) -> Decision:
    """Apply what was prepared. Raises what the store raises, and any fault of the source's ``answer``;
    the transaction must then be undone.
    """
    if prepared.failed:
        return Decision(Outcome.FAILED, answers.failure(delivery.id))
    try:
        if prepared.refused is not None:
            raise prepared.refused
        context = Context(
            delivery.id, delivery.received_at, endpoint.source.label, zone, endpoint.nearness
        )
        results = apply(tx, prepared.operations, context)
    except Refused as refused:
        waiting = refused.awaits if isinstance(refused, NotFound) else None
        return Decision(Outcome.REFUSED, answers.refusal(refused), waiting=waiting)
    answer = answers.answer(*endpoint.answer(prepared.payload, results))
    if all(result.change is Change.IGNORED for result in results):
        waiting = next((result.awaits for result in results if result.awaits), None)
        return Decision(Outcome.IGNORED, answer, results, waiting)
    return Decision(Outcome.APPLIED, answer, results)
