"""In the transaction: a delivery's operations are applied, and it is decided what becomes of it."""

from datetime import tzinfo
from typing import NamedTuple

from hub.domain import subjects
from hub.domain.delivery import Delivery, Outcome, Settlement
from hub.domain.operations import Ignore
from hub.domain.records import Change, Result
from hub.errors import AlreadyCheckedIn, NotFound, Refused
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import Prepared
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.transaction import Transaction

_OF_THE_REQUEST = frozenset({400, 413, 415, 422})
"""The statuses of what is wrong with a request itself. A plugin's own refusals may have any."""


class Decision(NamedTuple):
    """What becomes of a delivery, and how it is answered.

    is_final: its idempotency key remembers the answer: what was recorded, or can never do better.
    is_second: it is a second check-in. key_holder: the delivery whose key it used with another body.
    """

    outcome: Outcome
    answer: Answer
    results: tuple[Result, ...] = ()
    waiting: str | None = None
    is_final: bool = False
    is_second: bool = False
    key_holder: str | None = None

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
    """Apply what was prepared. Raises what the store raises, and HookFailed for a fault of the source's
    ``answer``; the transaction must then be undone.
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
        return Decision(
            Outcome.REFUSED,
            answers.refusal(refused),
            waiting=waiting,
            is_final=refused.is_final and refused.status in _OF_THE_REQUEST,
            is_second=isinstance(refused, AlreadyCheckedIn),
        )
    answer = endpoint.answer(prepared.payload, results, delivery.id)
    # Nearly always the first did something.
    if not results or (
        results[0].change is Change.IGNORED
        and all(result.change is Change.IGNORED for result in results)
    ):
        waiting = next((result.awaits for result in results if result.awaits), None)
        is_final = all(isinstance(result.operation, Ignore) for result in results)
        return Decision(Outcome.IGNORED, answer, results, waiting, is_final)
    return Decision(Outcome.APPLIED, answer, results, is_final=True)
