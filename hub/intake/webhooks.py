"""The way of one webhook request: receive, authenticate, the first attempt of its delivery, answer."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from hub.config.settings import Settings
from hub.domain.delivery import CommittedDelivery, Delivery, Outcome, new_delivery_id
from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope
from hub.errors import (
    FAULTS,
    Forbidden,
    KeyReused,
    NotConfigured,
    PluginError,
    Refused,
    StoreConflict,
    StoreUnavailable,
    Unauthenticated,
)
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.batches import Batches
from hub.intake.browsers import Browsers
from hub.intake.budget import Kind
from hub.intake.commit import commit
from hub.intake.decide import Decision, Inside, decide, keep_witness
from hub.intake.endpoint import HANDSHAKE, UNAUTHENTICATED, UNAVAILABLE, Endpoint
from hub.intake.keys import Key, derived_key, digest, senders_key
from hub.intake.prepare import Prepared, prepare
from hub.intake.request import DELIVERY_ID, UNREADABLE, headers_of, request_of
from hub.intake.tokens import Tokens
from hub.log import log_fault
from hub.plugin.checks import place_of
from hub.plugin.hooks import HookFailed, Hooks
from hub.plugin.sender import Reply
from hub.store import deliveries, fetching, outbox
from hub.store.store import Store
from hub.store.transaction import Transaction
from hub.wire.body import read_body
from hub.wire.hmacs import RequestAuthentication
from hub.wire.request import Request
from hub.wire.signatures import HubToken, Open, is_trusted

_log = logging.getLogger(__name__)

_OTHER_COLUMNS = 1000
"""Bytes that a kept delivery takes beside its body and its answer, about."""


class Webhooks:
    """The stations that every webhook request passes, in order.

    ``targets`` are the names of those to which check-ins are sent on; ``tell`` is given each delivery
    that is on the disk; ``tokens`` are the hub's; ``inside`` is what a delivery may ask for.
    """

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        targets: Sequence[str],
        tell: Callable[[CommittedDelivery], None],
        tokens: Tokens,
        settings: Settings,
        inside: Inside,
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._targets = targets
        self._tell = tell
        self._tokens = tokens
        self._inside = inside
        self._body_limit = settings.body_limit
        self._zone = settings.time_zone
        self._retention = timedelta(days=settings.key_retention)
        self._public_url = settings.public_url
        self._batches = Batches(store, hooks, self)
        self._browsers = Browsers(settings.public_url, settings.allowed_origins)

    def handle(self, endpoint: Endpoint, environ: Mapping[str, Any], **parts: str) -> Answer:
        """The answer to a request, given as a WSGI environ (PEP 3333), with its delivery id. ``parts``
        are those of its path that the source has named.

        Inside of a batch, StoreConflict, StoreUnavailable and faults of the store are let through,
        for the batch to be undone.
        """
        started = time.perf_counter_ns()
        delivery_id = environ.get(DELIVERY_ID) or new_delivery_id()
        received_at = utc_now()
        headers = headers_of(environ)
        request: Request | None = None
        try:
            takes_json = endpoint.is_plain or endpoint.source.takes_json_alone
            self._browsers.require_own(environ["REQUEST_METHOD"], headers, takes_json=takes_json)
            body = read_body(environ, self._body_limit)
            if not endpoint.is_plain:
                request = request_of(environ, headers, body, parts, self._public_url)
                if (reply := endpoint.handshake(request, False, delivery_id)) is not None:
                    return self._shaken(endpoint, delivery_id, received_at, reply)
            sent_by = None
            if not isinstance(endpoint.authentication, Open):
                sent_by = self._authenticate(
                    endpoint, environ, headers, body, request, received_at, delivery_id
                )
            if request is not None:
                if (reply := endpoint.handshake(request, True, delivery_id)) is not None:
                    return self._shaken(endpoint, delivery_id, received_at, reply)
                if request.method not in endpoint.source.methods:
                    return _not_allowed(endpoint, request.method).of_delivery(delivery_id)
        except Refused as refused:
            address = environ.get("REMOTE_ADDR", "")
            self._turned_away(endpoint, delivery_id, received_at, refused, address)
            return answers.refusal(refused).of_delivery(delivery_id)
        except StoreUnavailable:  # its tokens cannot be read
            if self._store.in_batch:
                raise
            endpoint.counters.count(UNAVAILABLE, received_at, 503)
            return answers.unavailable().of_delivery(delivery_id)
        except HookFailed as failed:
            log_fault(f"{failed} on delivery {delivery_id}, not kept", failed.__cause__ or failed)
            self._store.when_done(lambda: endpoint.counters.count(Outcome.FAILED, received_at, 500))
            return answers.failure(delivery_id).of_delivery(delivery_id)
        kept_headers = MappingProxyType(endpoint.kept_headers.of(headers))
        name = endpoint.source.name
        if request is None:
            delivery = Delivery(delivery_id, name, received_at, kept_headers, body, sent_by)
        else:
            delivery = delivery_of(
                endpoint, request, delivery_id, received_at, kept_headers, sent_by
            )
        try:
            key = senders_key(headers, endpoint.authentication)
        except Refused as refused:
            key, prepared = None, Prepared(refused=refused)
        else:
            prepared = prepare(self._hooks, endpoint, delivery)
            key = key or derived_key(prepared.own_key)
            if prepared.rows is not None:
                answer = self._take_rows(endpoint, delivery, key, prepared.rows, started)
                return answer.of_delivery(delivery_id)
        if request is not None and not endpoint.kept_headers.is_readable(request):
            delivery = replace(delivery, body=UNREADABLE)
        return self._commit(endpoint, delivery, key, prepared, started).of_delivery(delivery_id)

    def look_at(self, endpoint: Endpoint, environ: Mapping[str, Any], **parts: str) -> Answer:
        """The answer to a GET, which may record; HEAD looks alone, and records nothing."""
        if environ["REQUEST_METHOD"] == "HEAD":
            return answers.of_reply(200, "text/plain; charset=utf-8", "")
        return self.handle(endpoint, environ, **parts)

    def _authenticate(
        self,
        endpoint: Endpoint,
        environ: Mapping[str, Any],
        headers: Mapping[str, str],
        body: bytes,
        request: Request | None,
        now: datetime,
        delivery: str,
    ) -> str | None:
        """The name of the hub's token that the request has, if its source wants one.

        Raises Refused unless it proves where it comes from, HookFailed for a plugin's fault.
        """
        scheme = endpoint.authentication
        if isinstance(scheme, HubToken):
            scope, source = Scope(scheme.scope), endpoint.source.name
            return self._tokens.require_of(environ, scope, source).name
        _verify(endpoint, headers, body, request, now, delivery)
        return None

    def _shaken(
        self, endpoint: Endpoint, delivery: str, received_at: datetime, reply: Reply
    ) -> Answer:
        """The answer to a handshake, which is counted, and not kept."""

        def tell() -> None:
            endpoint.counters.count(HANDSHAKE, received_at, reply.status)
            name, status = endpoint.source.name, reply.status
            _log.info("delivery %s to %s is a handshake: %d", delivery, name, status)

        self._store.when_done(tell)
        return answers.of_reply(reply.status, reply.content_type, reply.body).of_delivery(delivery)

    def _take_rows(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        rows: Sequence[str],
        started: int,
    ) -> Answer:
        """The answer to a batch, whose rows are recorded one by one."""
        try:
            return self._batches.take(endpoint, delivery, key, rows, started)
        except (StoreConflict, StoreUnavailable) as error:
            return self._not_taken(endpoint, delivery, error, may_be_recorded=True)

    def _turned_away(
        self,
        endpoint: Endpoint,
        delivery: str,
        received_at: datetime,
        refused: Refused,
        address: str,
    ) -> None:
        """A request that is not kept: count it, and say so in one line; of a wrong credential, also where
        it came from.
        """
        is_credential = isinstance(refused, Unauthenticated | NotConfigured | Forbidden)
        outcome = UNAUTHENTICATED if is_credential else Outcome.REFUSED

        def tell() -> None:
            endpoint.counters.count(outcome, received_at, refused.status)
            name, status = endpoint.source.name, refused.status
            where = f" (from {address})" if is_credential and address else ""
            _log.warning(
                "delivery %s to %s not kept: %d %s%s", delivery, name, status, refused.error, where
            )

        self._store.when_done(tell)

    def _commit(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
        started: int,
    ) -> Answer:
        """Apply and keep the delivery; the answer to it."""
        try:
            return self.record(endpoint, delivery, key, prepared, started).sent
        except (StoreConflict, StoreUnavailable) as error:
            may_be_recorded = getattr(error, "may_be_recorded", False)
            return self._not_taken(endpoint, delivery, error, may_be_recorded)

    def _not_taken(
        self, endpoint: Endpoint, delivery: Delivery, error: Exception, may_be_recorded: bool
    ) -> Answer:
        """The answer where the store cannot take a delivery now. Inside of a batch the error goes on."""
        if self._store.in_batch:
            raise error
        endpoint.counters.count(UNAVAILABLE, delivery.received_at, 503)
        _log.error("delivery %s answered 503: the store says %s", delivery.id, error)
        return answers.unavailable(may_be_recorded)

    def record(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
        started: int,
    ) -> Decision:
        """Apply and keep a delivery in one transaction: what became of it. ``started`` is in nanoseconds
        of the performance counter. Raises as ``commit`` does.
        """

        def attempt(tx: Transaction, prepared: Prepared) -> Decision:
            decision = self._decide(tx, endpoint, delivery, key, prepared)
            decision = decision.in_words_of(endpoint, delivery, prepared.payload)
            if not self._keep(tx, endpoint, delivery, key, prepared, decision, started):
                decision = decision._replace(told=None)
            if self._targets:
                outbox.add(tx, self._targets, decision.results, delivery.received_at)
            return decision

        return commit(self._store, endpoint, delivery, prepared, attempt)

    def repeated(
        self, endpoint: Endpoint, delivery: Delivery, key: Key, started: int
    ) -> Decision | None:
        """What becomes of a delivery whose key was used before, which is then kept; None for a new key.
        Raises as ``commit`` does.
        """

        def attempt(tx: Transaction, prepared: Prepared) -> Decision | None:
            decision = self._repeated(tx, delivery, key)
            if decision is not None:
                self._keep(tx, endpoint, delivery, key, prepared, decision, started)
            return decision

        return commit(self._store, endpoint, delivery, Prepared(), attempt)

    def tell(self, delivery: CommittedDelivery) -> None:
        """Tell those who wait for what is on the disk."""
        self._tell(delivery)

    def _decide(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
    ) -> Decision:
        repeated = self._repeated(tx, delivery, key) if key and not prepared.failed else None
        if repeated is not None:
            return repeated
        return decide(tx, endpoint, delivery, prepared, key, self._zone, self._inside)

    def _repeated(self, tx: Transaction, delivery: Delivery, key: Key) -> Decision | None:
        """The first answer again, if a delivery of this key was answered before; a refusal where the
        sender's key comes with another body.
        """
        first = deliveries.first_answer(
            tx, delivery.source, key.stored, delivery.received_at, self._retention
        )
        if first is None:
            return None
        if not key.derived and first.body_digest != digest(delivery.body):
            reused = KeyReused(first.delivery)
            return Decision(Outcome.REFUSED, answers.refusal(reused), key_holder=reused.holder)
        # A source that derives the key tells senders, by 200, that nothing new was recorded.
        status = 200 if key.derived and first.status == 201 else first.status
        answer = Answer(status, first.answer, {"X-Delivery-Replayed": "true"})
        return Decision(Outcome.REPEATED, answer, told=first.told)

    def _keep(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
        decision: Decision,
        started: int,
    ) -> bool:
        """Keep a delivery, if there is room for it; whether there was."""
        kind = _kind_in_vain(endpoint, delivery, decision)
        if kind is not None:
            size = len(delivery.body) + len(decision.answer.body) + _OTHER_COLUMNS
            if not endpoint.budget.has_room(kind, size, delivery.received_at):
                tx.when_committed(lambda: _not_kept(endpoint, delivery, decision, kind))
                return False
            tx.when_committed(lambda: endpoint.budget.use(kind, size, delivery.received_at))
        is_seen = decision.witness is not None and keep_witness(
            tx, endpoint, delivery, decision.witness, key, self._zone
        )
        remembered = key if decision.is_final else None
        deliveries.keep(
            tx,
            delivery,
            decision.settlement(prepared, (time.perf_counter_ns() - started) // 1000, is_seen),
            remembered.stored if remembered else None,
            digest(delivery.body) if remembered else None,
        )
        if decision.told is not None:
            deliveries.set_told(tx, delivery.id, decision.told)
        if prepared.fetch is not None and decision.outcome is Outcome.IGNORED:
            fetching.add(
                tx, delivery, prepared.fetch.url, prepared.fetch.headers, delivery.received_at
            )
        if decision.key_holder is not None:
            deliveries.set_key_holder(tx, delivery.id, decision.key_holder)
        tx.when_committed(lambda: self._committed(endpoint, delivery, decision, started))
        return True

    def _committed(
        self, endpoint: Endpoint, delivery: Delivery, decision: Decision, started: int
    ) -> None:
        status = decision.answer.status
        endpoint.counters.count(decision.outcome, delivery.received_at, status)
        endpoint.counters.seconds.add((time.perf_counter_ns() - started) / 1e9)
        if decision.outcome in (Outcome.REFUSED, Outcome.FAILED):
            # Not the sentence: it may name a person.
            _log.info(
                "delivery %s to %s %s: %d", delivery.id, delivery.source, decision.outcome, status
            )
        self._tell(CommittedDelivery(delivery, decision.outcome, status, decision.results))


def delivery_of(
    endpoint: Endpoint,
    request: Request,
    identifier: str,
    received_at: datetime,
    headers: Mapping[str, str],
    sent_by: str | None,
) -> Delivery:
    """A request as it is kept, and as its source sees it: without its credentials."""
    shown = endpoint.kept_headers.whole(request)
    own = {endpoint.path, endpoint.path.rstrip("/")}
    return Delivery(
        identifier,
        endpoint.source.name,
        received_at,
        headers,
        shown.body,
        sent_by,
        method=shown.method,
        path="" if shown.path in own else shown.path,
        query=endpoint.kept_headers.query(shown),
        parts=MappingProxyType(dict(shown.parts)),
    )


def _not_allowed(endpoint: Endpoint, method: str) -> Answer:
    """The answer to a method that only a handshake of the source comes with."""
    allowed = ", ".join((*endpoint.source.methods, "OPTIONS"))
    told = {"error": "Method not allowed", "details": f"{method} is for its handshakes alone"}
    return answers.answer(405, told, Allow=allowed)


def _verify(
    endpoint: Endpoint,
    headers: Mapping[str, str],
    body: bytes,
    request: Request | None,
    now: datetime,
    delivery: str,
) -> None:
    """Raises Refused unless the request proves where it comes from, HookFailed for a plugin's fault."""
    scheme = endpoint.authentication
    over_all = request is not None and isinstance(scheme, RequestAuthentication)
    try:
        # A plugin's scheme may return False where it should raise; that must not let anyone in.
        verify: Callable[..., object]
        with endpoint.watch.calling(endpoint.plugin, "authenticate", delivery):
            if over_all:
                verify = scheme.verify_request  # type: ignore[attr-defined]
                returned = verify(request, endpoint.secrets, now)
            else:
                verify = scheme.verify
                returned = verify(headers, body, endpoint.secrets, now)
        if returned is not None:
            where = place_of(verify)
            raise PluginError(
                f"{where} returned a value; raise hub.Unauthenticated, or return nothing"
            )
    except Refused:
        raise
    except FAULTS as error:
        raise HookFailed(endpoint.plugin, "authenticate") from error


def _kind_in_vain(endpoint: Endpoint, delivery: Delivery, decision: Decision) -> Kind | None:
    """The budget that a delivery is kept from; None for one that is always kept: it did something, or it
    has proved where it comes from.
    """
    if decision.outcome is Outcome.APPLIED:
        return None
    if is_trusted(endpoint.authentication, delivery.headers):
        return None
    if decision.outcome is Outcome.FAILED:
        return Kind.FAILED
    may_count = decision.is_second or decision.waiting is not None
    return Kind.MAY_COUNT if may_count else Kind.IN_VAIN


def _not_kept(endpoint: Endpoint, delivery: Delivery, decision: Decision, kind: Kind) -> None:
    """A delivery over the budget: count it, and say so."""
    name, at, status = endpoint.source.name, delivery.received_at, decision.answer.status
    endpoint.counters.count(decision.outcome, at, status)
    if endpoint.budget.leave_out(kind, at):
        _log.warning(
            "source %s: not all of what is %s is kept today (keep_refused)", name, kind.value
        )
    _log.info("delivery %s to %s %s, not kept: %d", delivery.id, name, decision.outcome, status)
