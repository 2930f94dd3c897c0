"""Before the store: a delivery's body becomes a payload, and the payload operations.

It does not touch the store, so a delivery whose transaction had to be undone goes the same way again.
"""

import json
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hub.domain.delivery import Delivery
from hub.domain.identifiers import ROW, Identifier
from hub.domain.operations import CheckIn, CheckOut, Ignore, Operation, Withdraw
from hub.errors import FAULTS, Conflicting, PayloadTooLarge, PluginError, Refused
from hub.intake.endpoint import Endpoint
from hub.log import log_fault
from hub.plugin.checks import kind_of, operations_of, place_of
from hub.plugin.hooks import HookFailed, Hooks
from hub.plugin.sender import Fetch
from hub.wire.body import require_json
from hub.wire.request import Request
from hub.wire.strict_json import parse, parse_any, require_plain
from hub.wire.validation import validate

_LARGEST_ROWS = 4_194_304
"""Characters of the rows of a batch, with what each of them gains."""


class Prepared(NamedTuple):
    """A delivery before the store: its operations, or why there are none.

    ``own_key`` is the key that its source's ``delivery_key`` derived. ``rows`` are the payloads of a
    batch, as JSON; ``fetch`` is what must be fetched before there can be operations.
    """

    payload: Any = None
    operations: tuple[Operation, ...] = ()
    own_key: str | None = None
    refused: Refused | None = None
    failed: bool = False
    rows: tuple[str, ...] | None = None
    fetch: Fetch | None = None

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
        if endpoint.is_plain:
            require_json(delivery.headers.get("content-type", ""))
            payload = parse(delivery.body)
            if source.places:
                payload = source.whole(payload, request_of(delivery))
        elif delivery.of is not None:
            payload = parse_any(delivery.body)
        else:
            payload = source.payload_of(request_of(delivery))
        if source.rows is not None and delivery.of is None:
            return _batch(endpoint, delivery, payload)
        with endpoint.watch.calling(endpoint.plugin, "kind", delivery.id) as call:
            kind = source.kind(payload) if source.kind is not None else ""
            validate(endpoint.validators[kind], payload)
            if source.fetch is not None:
                call.what = "fetch"
                fetch = _required(endpoint, delivery, payload)
                if fetch is not None:
                    return Prepared(
                        payload, own_key=_own_key(endpoint, delivery, payload), fetch=fetch
                    )
            call.what = "normalize"
            if source.fetch is None:
                made = source.normalize(payload)
            else:
                made = source.normalize(payload, _fetched(delivery))
            operations = operations_of(made, source.normalize)
        operations = endpoint.meant(operations, payload)
        sentence = hooks.veto(delivery, payload)
        if sentence is not None:
            raise Conflicting(sentence)
        operations = hooks.amend(delivery, operations)
        own_key = _own_key(endpoint, delivery, payload)
    except Refused as refused:
        return Prepared(operations=operations, refused=refused)
    except HookFailed as failed:
        log_fault(f"{failed} on delivery {delivery.id}", failed.__cause__ or failed)
        return Prepared(operations=operations, failed=True)
    except FAULTS as error:
        what = f"plugin {endpoint.plugin}: source {source.name} failed on delivery {delivery.id}"
        log_fault(what, error)
        return Prepared(operations=operations, failed=True)
    return Prepared(payload, operations, own_key)


def request_of(delivery: Delivery) -> Request:
    """A delivery as the request that its source reads."""
    return Request(
        delivery.method,
        delivery.path,
        delivery.query,
        delivery.headers,
        delivery.body,
        delivery.parts,
    )


def _own_key(endpoint: Endpoint, delivery: Delivery, payload: Any) -> str | None:
    if endpoint.source.delivery_key is None:
        return None
    with endpoint.watch.calling(endpoint.plugin, "delivery_key", delivery.id):
        return endpoint.source.delivery_key(payload) or None


def _batch(endpoint: Endpoint, delivery: Delivery, payload: Any) -> Prepared:
    """A delivery of many rows: it does nothing itself."""
    with endpoint.watch.calling(endpoint.plugin, "rows", delivery.id):
        found = list(endpoint.source.rows_of(payload))
        require_plain(found)
        rows = tuple(json.dumps(row, ensure_ascii=False) for row in found)
        if sum(map(len, rows)) + len(", ") * len(rows) > _LARGEST_ROWS:
            # What each row gains from the query is kept with each.
            details = f"Its rows have more than {_LARGEST_ROWS} characters together"
            raise PayloadTooLarge("Payload too large", details)
    note = Ignore(reason="A batch; each of its rows is a delivery of its own")
    return Prepared(payload, (note,), rows=rows)


def _required(endpoint: Endpoint, delivery: Delivery, payload: Any) -> Fetch | None:
    """What must still be fetched for a delivery. Raises PluginError."""
    source = endpoint.source
    assert source.fetch is not None
    wanted = source.fetch(payload)
    if wanted is None or delivery.fetched is not None:
        return None
    if not isinstance(wanted, Fetch):
        raise PluginError(
            f"{place_of(source.fetch)} gave {kind_of(wanted)}; give hub.Fetch(…), or None"
        )
    if not _may_be_fetched(endpoint, wanted.url):
        # It may be the sender's: what a payload names is not to be trusted.
        raise Refused(
            "What the payload names cannot be fetched",
            f"It must be an https address at {' or '.join(source.fetch_hosts)}",
        )
    return wanted


def _may_be_fetched(endpoint: Endpoint, url: str) -> bool:
    """Whether an address is one of the source's hosts, and nothing else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.hostname not in endpoint.source.fetch_hosts or "@" in parts.netloc:
        return False
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    if endpoint.fetches_privately:
        return parts.scheme in ("https", "http")
    return parts.scheme == "https" and port in (None, 443)


def _fetched(delivery: Delivery) -> Any:
    return None if delivery.fetched is None else parse_any(delivery.fetched)
