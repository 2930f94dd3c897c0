"""Mends: what has one cause is put right at once, as the desk. A trial shows first what would change."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.domain.delivery import Delivery, Outcome, new_delivery_id
from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope
from hub.errors import Contradicted, NotFound, Refused, StoreConflict, StoreUnavailable
from hub.intake.decide import Decision
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import prepare
from hub.intake.webhooks import Webhooks
from hub.jobs.replay import Replays
from hub.plugin.hooks import Hooks
from hub.record import deliveries
from hub.record.deliveries import Wanted
from hub.store.store import Store
from hub.wire.signatures import HubToken

MOST_TRIED = 50
"""Deliveries that a trial attempts: it has the store to itself meanwhile."""

_TRIES = 5


class _Undo(Exception):
    """Ends a trial."""


@dataclass(frozen=True, slots=True)
class Mended:
    """A delivery that was attempted again: what became of it, and why it was not applied; ``told`` is the
    answer to it.
    """

    delivery: str
    outcome: str
    error: str | None
    told: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Mend:
    """What was done: the desk's answer (None: it had nothing to do), what became of the deliveries, and
    whether there are more than a trial attempts.
    """

    answer: Mapping[str, Any] | None
    results: tuple[Mended, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class Means:
    """What the deliveries are taken to mean, as the desk names it."""

    student: str | None = None
    event: str | None = None

    def __bool__(self) -> bool:
        return self.student is not None or self.event is not None


def desk_of(endpoints: Sequence[Endpoint]) -> Endpoint | None:
    """The source that puts the record right: it has authority, and takes tokens of the desk."""
    for endpoint in endpoints:
        scheme = endpoint.authentication
        is_of_desk = isinstance(scheme, HubToken) and scheme.scope == Scope.DESK
        if endpoint.source.authority and is_of_desk:
            return endpoint
    return None


class Mends:
    """Puts causes right. Each delivery is attempted in a transaction of its own; a trial in one."""

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        endpoints: Sequence[Endpoint],
        webhooks: Webhooks,
        replays: Replays,
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._endpoint = desk_of(endpoints)
        self._webhooks = webhooks
        self._replays = replays

    def run(
        self,
        payload: Mapping[str, Any] | None,
        wanted: Wanted,
        means: Means,
        *,
        trial: bool,
        by: str | None,
    ) -> Mend:
        """Have the desk do what ``payload`` says, and attempt the wanted deliveries again, with what they
        are given to mean. Raises Refused where the desk refuses, StoreUnavailable.
        """
        if self._endpoint is None:
            raise Refused("This hub has no desk", "Load the plugin desk")
        if trial:
            return self._try(payload, wanted, means, by)
        answer = None if payload is None else self._post(payload, by)
        results = [self._attempt(one, means, by) for one in self._replays.matching(wanted)]
        return Mend(answer, tuple(results), False)

    def _try(
        self, payload: Mapping[str, Any] | None, wanted: Wanted, means: Means, by: str | None
    ) -> Mend:
        with self._store.reading() as db:
            found = deliveries.page(db, wanted, MOST_TRIED + 1, oldest_first=True)
        ids = [one.delivery.id for one in found[:MOST_TRIED]]
        for number in range(_TRIES):
            made: Mend | None = None
            try:
                with self._store.batch():
                    answer = None if payload is None else self._post(payload, by)
                    results = tuple(self._attempt(one, means, by) for one in ids)
                    made = Mend(answer, results, len(found) > MOST_TRIED)
                    raise _Undo
            except _Undo:
                assert made is not None
                return made
            except StoreConflict:
                time.sleep(0.01 * number)
        raise StoreUnavailable("other writers always came first; try again")

    def _attempt(self, identifier: str, means: Means, by: str | None) -> Mended:
        """Attempt a delivery again: as itself, or as the desk means it, which can be undone."""
        if not means:
            return self._again(identifier)
        data = {"delivery": identifier}
        if means.student is not None:
            data["student"] = means.student
        if means.event is not None:
            data["event"] = means.event
        decision = self._record({"action": "replay", "data": data}, by)
        told = json.loads(decision.answer.body)
        if decision.outcome is Outcome.APPLIED:
            return Mended(identifier, Outcome.APPLIED, None, told)
        why = told.get("details") or told.get("error")
        return Mended(identifier, Outcome.REFUSED, why, told)

    def _again(self, identifier: str) -> Mended:
        try:
            settlement = self._replays.in_batch(identifier).settlement
        except Refused as refused:
            return Mended(identifier, Outcome.REFUSED, refused.error, {})
        told = json.loads(settlement.answer)
        if settlement.outcome is Outcome.APPLIED:
            return Mended(identifier, Outcome.APPLIED, None, told)
        return Mended(
            identifier, settlement.outcome, told.get("error") or told.get("details"), told
        )

    def _post(self, payload: Mapping[str, Any], by: str | None) -> Mapping[str, Any]:
        decision = self._record(payload, by)
        told: Mapping[str, Any] = json.loads(decision.answer.body)
        if decision.outcome is Outcome.APPLIED:
            return told
        details = told.get("details")
        for one in told.get("errors") or ():
            details = f"{one['pointer']} {one['message']}"
        kind = {404: NotFound, 409: Contradicted}.get(decision.answer.status, Refused)
        raise kind(str(told.get("error", "Nothing was done")), details)

    def _record(self, payload: Mapping[str, Any], by: str | None) -> Decision:
        """Have the desk take a payload, as if it were posted."""
        assert self._endpoint is not None
        started = time.perf_counter_ns()
        body = json.dumps(payload, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        source = self._endpoint.source.name
        delivery = Delivery(new_delivery_id(), source, utc_now(), headers, body, by)
        prepared = prepare(self._hooks, self._endpoint, delivery)
        return self._webhooks.record(self._endpoint, delivery, None, prepared, started)
