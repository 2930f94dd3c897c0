"""Before the store: a delivery's body becomes a payload, and the payload operations.

It does not touch the store, so a delivery whose transaction had to be undone goes the same way again.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from hub.domain.delivery import Delivery
from hub.domain.identifiers import ROW, Identifier
from hub.domain.operations import CheckIn, CheckOut, Operation, Withdraw
from hub.errors import FAULTS, Conflicting, Refused
from hub.intake.endpoint import Endpoint
from hub.log import log_fault
from hub.plugin.checks import operations_of
from hub.plugin.hooks import HookFailed, Hooks
from hub.wire.body import require_json
from hub.wire.strict_json import parse
from hub.wire.validation import validate


class Prepared(NamedTuple):
    """A delivery before the store: its operations, or why there are none.

    ``own_key`` is the key that its source's ``delivery_key`` derived.
    """

    payload: Any = None
    operations: tuple[Operation, ...] = ()
    own_key: str | None = None
    refused: Refused | None = None
    failed: bool = False

    def as_failed(self) -> "Prepared":
        """The same delivery after a fault: nothing of it is applied."""
        return self._replace(failed=True, operations=())


def meaning(prepared: Prepared, student: int | None, event: int | None) -> Prepared:
    """The same delivery, whose check-ins, check-outs and withdrawals mean this student and event."""
    means: dict[str, Any] = {}
    if student is not None:
        means["student"] = Identifier(ROW, str(student))
    if event is not None:
        means["event"] = Identifier(ROW, str(event))
    if not means:
        return prepared
    operations = tuple(
        replace(one, **means) if isinstance(one, CheckIn | CheckOut | Withdraw) else one
        for one in prepared.operations
    )
    return prepared._replace(operations=operations)


def prepare(hooks: Hooks, endpoint: Endpoint, delivery: Delivery) -> Prepared:
    """Parse, validate and normalize a delivery, and let the plugins veto and amend it. Never raises."""
    source = endpoint.source
    operations: tuple[Operation, ...] = ()
    try:
        require_json(delivery.headers.get("content-type", ""))
        payload = source.whole(parse(delivery.body), delivery.headers)
        with endpoint.watch.calling(endpoint.plugin, "kind", delivery.id) as call:
            kind = source.kind(payload) if source.kind is not None else ""
            validate(endpoint.validators[kind], payload)
            call.what = "normalize"
            operations = operations_of(source.normalize(payload), source.normalize)
        sentence = hooks.veto(delivery, payload)
        if sentence is not None:
            raise Conflicting(sentence)
        operations = hooks.amend(delivery, operations)
        own_key = None
        if source.delivery_key is not None:
            with endpoint.watch.calling(endpoint.plugin, "delivery_key", delivery.id):
                own_key = source.delivery_key(payload)
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
