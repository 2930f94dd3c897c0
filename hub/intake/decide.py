"""In the transaction: a delivery's operations are applied, and it is decided what becomes of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any, NamedTuple

from hub.domain import subjects
from hub.domain.delivery import Delivery, Outcome, Settlement, Told
from hub.domain.operations import Ignore
from hub.domain.records import Change, Result
from hub.errors import AlreadyCheckedIn, NotFound, Refused, Witness
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint
from hub.intake.keys import Key
from hub.intake.prepare import Prepared
from hub.plugin.sender import Fetch, Happened
from hub.store import attendances
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.transaction import Transaction

_OF_THE_REQUEST = frozenset({400, 413, 415, 422})
"""The statuses of what is wrong with a request itself. A plugin's own refusals may have any."""


class Inside(NamedTuple):
    """What a delivery may ask for inside of its transaction: that another one is attempted (``again``),
    and what it made of the record, as the API shows it (``shown``).
    """

    again: Callable[[Transaction, str], tuple[Result, ...]]
    shown: Callable[[Sequence[Result], Delivery], Mapping[str, Any]]


class Decision(NamedTuple):
    """What becomes of a delivery, and how it is answered.

    is_final: its idempotency key remembers the answer: what was recorded, or can never do better.
    is_second: it is a second check-in, and ``witness`` what it tells of the attendance that there is.
    key_holder: the delivery whose key it used with another body.
    """

    outcome: Outcome
    answer: Answer
    results: tuple[Result, ...] = ()
    waiting: str | None = None
    is_final: bool = False
    is_second: bool = False
    witness: Witness | None = None
    key_holder: str | None = None
    told: Told | None = None
    """What the sender is told in its source's own words."""

    @property
    def sent(self) -> Answer:
        """The answer that is sent."""
        if self.told is None:
            return self.answer
        own = answers.of_reply(*self.told)
        return own._replace(headers={**self.answer.headers, **own.headers})

    def in_words_of(self, endpoint: Endpoint, delivery: Delivery, payload: Any) -> "Decision":
        """The same, told as the source tells it."""
        if endpoint.source.reply is None or self.outcome is Outcome.REPEATED:
            return self
        if delivery.of is not None:
            return self  # nobody is told of a row alone
        answer = self.answer
        body = json.loads(answer.body)
        happened = Happened(self.outcome, answer.status, body, payload, self.results)
        return self._replace(told=endpoint.reply(happened, delivery.id))

    def settlement(self, prepared: Prepared, duration: int, is_seen: bool = False) -> Settlement:
        """The decision as it is kept. ``duration`` is in microseconds; ``is_seen``: a second check-in is
        kept as evidence.
        """
        is_found = is_seen and len(prepared.operations) == 1
        return Settlement(
            self.outcome,
            self.answer.status,
            self.answer.body,
            duration,
            subjects.students(prepared.operations, self.results),
            subjects.events(prepared.operations, self.results),
            self.waiting,
            () if is_found else subjects.mentions(prepared.operations, self.results),
        )


def decide(
    tx: Transaction,
    endpoint: Endpoint,
    delivery: Delivery,
    prepared: Prepared,
    key: Key | None,
    zone: tzinfo,
    inside: Inside | None = None,
) -> Decision:
    """Apply what was prepared. What a second check-in tells is for the caller to keep (``keep_witness``),
    if the delivery is kept. Raises what the store raises, and HookFailed for a fault of the source's
    ``answer``; the transaction must then be undone.
    """
    if prepared.failed:
        return Decision(Outcome.FAILED, answers.failure(delivery.id))
    try:
        if prepared.refused is not None:
            raise prepared.refused
        if prepared.fetch is not None:
            return _fetching(prepared.fetch, delivery)
        context = context_of(endpoint, delivery, key, zone)
        if inside is not None and endpoint.source.authority:
            context = context._replace(again=partial(inside.again, tx))
        results = apply(tx, prepared.operations, context)
    except Refused as refused:
        waiting = refused.awaits if isinstance(refused, NotFound) else None
        return Decision(
            Outcome.REFUSED,
            answers.refusal(refused),
            waiting=waiting,
            is_final=refused.is_final and refused.status in _OF_THE_REQUEST,
            is_second=isinstance(refused, AlreadyCheckedIn),
            witness=refused.witness if isinstance(refused, AlreadyCheckedIn) else None,
        )
    answer = endpoint.answer(prepared.payload, results, delivery.id)
    if inside is not None and endpoint.source.shows_objects:
        answer = answers.with_objects(answer, delivery.id, inside.shown(results, delivery))
    # Nearly always the first did something.
    if not results or (
        results[0].change is Change.IGNORED
        and all(result.change is Change.IGNORED for result in results)
    ):
        waiting = next((result.awaits for result in results if result.awaits), None)
        is_final = all(isinstance(result.operation, Ignore) for result in results)
        return Decision(Outcome.IGNORED, answer, results, waiting, is_final)
    return Decision(Outcome.APPLIED, answer, results, is_final=True)


def _fetching(fetch: Fetch, delivery: Delivery) -> Decision:
    """What is decided of a delivery that something must be fetched for."""
    told = {
        "success": True,
        "message": "Received; it is recorded once what it names has been fetched",
        "delivery": delivery.id,
    }
    waiting = subjects.awaited_fetch(fetch.url)
    return Decision(Outcome.IGNORED, answers.answer(202, told), waiting=waiting)


def keep_witness(
    tx: Transaction,
    endpoint: Endpoint,
    delivery: Delivery,
    witness: Witness,
    key: Key | None,
    zone: tzinfo,
) -> bool:
    """Keep what a second check-in that was refused tells of the attendance that there is; whether it told
    something new.
    """
    return attendances.witness(tx, witness, context_of(endpoint, delivery, key, zone))


def context_of(endpoint: Endpoint, delivery: Delivery, key: Key | None, zone: tzinfo) -> Context:
    """What an operation needs to know of its delivery."""
    source = endpoint.source
    return Context(
        delivery.id,
        delivery.received_at,
        source.label,
        zone,
        endpoint.nearness,
        source.name,
        source.authority,
        source.authority or source.undoable,
        None,
        None if key is None else key.stored,
    )
