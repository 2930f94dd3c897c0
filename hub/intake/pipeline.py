"""The way of one request: receive, authenticate, the first attempt of its delivery, answer."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from hub.config.settings import Settings
from hub.domain.delivery import CommittedDelivery, Delivery, Outcome, new_delivery_id
from hub.domain.timestamps import utc_now
from hub.errors import (
    FAULTS,
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
from hub.intake.attempt import Decided, Prepared, decide, prepare
from hub.intake.endpoint import UNAUTHENTICATED, UNAVAILABLE, Endpoint
from hub.intake.keys import Key, derived_key, digest, senders_key
from hub.log import log_fault
from hub.plugin.plugins import HookFailed, Plugins, place_of
from hub.store import deliveries, outbox
from hub.store.store import Store
from hub.store.transaction import Transaction
from hub.wire.body import read_body

_log = logging.getLogger(__name__)

_ATTEMPTS = 5
"""How often a delivery is tried when other writers come first, or a fault must be kept."""

DELIVERY_ID = "hub.delivery_id"
"""The name under which an environ may have the id of its delivery."""

HEADERS = "hub.headers"
"""The name under which an environ may have its headers, with names in lower case."""

_SECRET_WORDS = ("auth", "cookie", "secret", "token", "signature", "password", "api-key")
REMOVED = "[removed]"


class Pipeline:
    """The stations that every webhook request passes, in order."""

    def __init__(
        self,
        store: Store,
        plugins: Plugins,
        tell: Callable[[CommittedDelivery], None],
        settings: Settings,
    ) -> None:
        self._store = store
        self._plugins = plugins
        self._targets = [target.name for target in plugins.targets]
        self._tell = tell
        self._body_limit = settings.body_limit
        self._zone = settings.time_zone
        self._retention = timedelta(days=settings.key_retention)

    def handle(self, endpoint: Endpoint, environ: Mapping[str, Any]) -> tuple[str, Answer]:
        """The delivery id and the answer for a request, given as a WSGI environ (PEP 3333).

        Inside of a batch, StoreConflict, StoreUnavailable and faults of the store are let through,
        for the batch to be undone.
        """
        started = time.perf_counter_ns()
        delivery_id = environ.get(DELIVERY_ID) or new_delivery_id()
        received_at = utc_now()
        headers = environ.get(HEADERS) or headers_of(environ)
        try:
            body = read_body(environ, self._body_limit)
            _authenticate(endpoint, headers, body, received_at)
        except Refused as refused:
            self._turned_away(endpoint, delivery_id, received_at, refused)
            return delivery_id, answers.refusal(refused)
        except HookFailed as failed:
            log_fault(f"{failed} on delivery {delivery_id}, not kept", failed.__cause__ or failed)
            return delivery_id, answers.failure(delivery_id)
        kept_headers = _without_secrets(headers, endpoint.authentication.headers)
        delivery = Delivery(
            delivery_id, endpoint.source.name, received_at, MappingProxyType(kept_headers), body
        )
        try:
            key = senders_key(headers)
        except Refused as refused:
            key, prepared = None, Prepared(refused=refused)
        else:
            prepared = prepare(self._plugins, endpoint, delivery)
            key = key or derived_key(prepared.own_key)
        return delivery_id, self._commit(endpoint, delivery, key, prepared, started)

    def _turned_away(
        self, endpoint: Endpoint, delivery: str, received_at: datetime, refused: Refused
    ) -> None:
        """A request that is not kept: count it, and say so in one line."""
        is_credential = isinstance(refused, Unauthenticated | NotConfigured)
        outcome = UNAUTHENTICATED if is_credential else Outcome.REFUSED

        def tell() -> None:
            endpoint.counters.count(outcome, received_at, refused.status)
            name, status = endpoint.source.name, refused.status
            _log.warning("delivery %s to %s not kept: %d %s", delivery, name, status, refused.error)

        self._store.when_done(tell)

    def _commit(
        self,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
        started: int,
    ) -> Answer:
        """Apply and keep the delivery in one transaction, trying again where others came first."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._store.writing() as tx:
                    decided = self._decide(tx, endpoint, delivery, key, prepared)
                    self._keep(tx, endpoint, delivery, key, prepared, decided, started)
                    if self._targets:
                        outbox.add(tx, self._targets, decided.results, delivery.received_at)
                return decided.answer
            except StoreConflict:
                if self._store.in_batch:
                    raise
                time.sleep(0.01 * attempt)
            except StoreUnavailable as error:
                if self._store.in_batch:
                    raise
                endpoint.counters.count(UNAVAILABLE, delivery.received_at, 503)
                _log.error("delivery %s answered 503: the store says %s", delivery.id, error)
                return answers.unavailable()
            except FAULTS as error:
                if self._store.in_batch or prepared.failed:
                    raise
                what = f"plugin {endpoint.plugin}: delivery {delivery.id} to {endpoint.source.name}"
                log_fault(f"{what} failed in the store", error)
                prepared = prepared._replace(failed=True, operations=())
        endpoint.counters.count(UNAVAILABLE, delivery.received_at, 503)
        _log.error("delivery %s answered 503: other writers always came first", delivery.id)
        return answers.unavailable()

    def _decide(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
    ) -> Decided:
        try:
            repeated = self._repeated(tx, delivery, key) if key and not prepared.failed else None
        except KeyReused as reused:
            return Decided(Outcome.REFUSED, answers.refusal(reused))
        if repeated is not None:
            return Decided(Outcome.REPEATED, repeated)
        return decide(tx, endpoint, delivery, prepared, self._zone)

    def _repeated(self, tx: Transaction, delivery: Delivery, key: Key) -> Answer | None:
        """The first answer, if a delivery of this key was answered before.

        Raises KeyReused where the sender's key comes with another body.
        """
        first = deliveries.first_answer(
            tx, delivery.source, key.stored, delivery.received_at, self._retention
        )
        if first is None:
            return None
        if not key.derived and first.body_digest != digest(delivery.body):
            raise KeyReused(
                "Idempotency key was used with another body",
                "Use a new key for a new delivery, and the same body for a repeated one",
            )
        # A source that derives the key tells senders, by 200, that nothing new was recorded.
        status = 200 if key.derived and first.status == 201 else first.status
        return Answer(status, first.answer, {"X-Delivery-Replayed": "true"})

    def _keep(
        self,
        tx: Transaction,
        endpoint: Endpoint,
        delivery: Delivery,
        key: Key | None,
        prepared: Prepared,
        decided: Decided,
        started: int,
    ) -> None:
        remembered = key if _is_first_answer(key, decided) else None
        attempt = decided.attempt(prepared, (time.perf_counter_ns() - started) // 1000)
        deliveries.keep(
            tx,
            delivery,
            attempt,
            remembered.stored if remembered else None,
            digest(delivery.body) if remembered else None,
        )
        tx.when_committed(lambda: self._committed(endpoint, delivery, decided))

    def _committed(self, endpoint: Endpoint, delivery: Delivery, decided: Decided) -> None:
        status = decided.answer.status
        endpoint.counters.count(decided.outcome, delivery.received_at, status)
        if decided.outcome in (Outcome.REFUSED, Outcome.FAILED):
            # Not the sentence: it may name a person.
            _log.info(
                "delivery %s to %s %s: %d", delivery.id, delivery.source, decided.outcome, status
            )
        self._tell(CommittedDelivery(delivery, decided.outcome, status, decided.results))


def _authenticate(
    endpoint: Endpoint, headers: Mapping[str, str], body: bytes, now: datetime
) -> None:
    """Raises Refused unless the request proves where it comes from, HookFailed for a plugin's fault."""
    scheme = endpoint.authentication
    try:
        # A plugin's scheme may return False where it should raise; that must not let anyone in.
        returned: object = scheme.verify(headers, body, endpoint.secrets, now)  # type: ignore[func-returns-value]
        if returned is not None:
            where = place_of(type(scheme).verify)
            raise PluginError(
                f"{where} returned a value; raise hub.Unauthenticated, or return nothing"
            )
    except Refused:
        raise
    except FAULTS as error:
        raise HookFailed(endpoint.plugin, "authenticate") from error


def _is_first_answer(key: Key | None, decided: Decided) -> bool:
    """Whether this answer is the one that later deliveries of the key shall have.

    A derived key remembers only what was recorded: what was refused or ignored may do better when
    the sender tries again.
    """
    if key is None or decided.outcome in (Outcome.REPEATED, Outcome.FAILED):
        return False
    if key.derived:
        return decided.outcome is Outcome.APPLIED
    return decided.answer.status != KeyReused.status


def headers_of(environ: Mapping[str, Any]) -> dict[str, str]:
    """The request's headers, in lower case, as WSGI has them."""
    headers = {
        _header_name(name): value for name, value in environ.items() if name.startswith("HTTP_")
    }
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[_header_name(name)] = environ[name]
    return headers


@lru_cache(maxsize=512)
def _header_name(variable: str) -> str:
    return variable.removeprefix("HTTP_").replace("_", "-").lower()


def _without_secrets(headers: Mapping[str, str], credentials: tuple[str, ...]) -> dict[str, str]:
    return {
        name: REMOVED if name in credentials or _is_secret(name) else value
        for name, value in headers.items()
    }


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    return any(word in name for word in _SECRET_WORDS)
