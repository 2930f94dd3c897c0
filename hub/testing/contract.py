"""The contract that every source keeps, as cases made from its schema and its fixtures.

Each case posts to a hub in memory that has nothing recorded, and says what must come of it. A source
that keeps the contract never answers 5xx, records nothing of what it refuses, records what comes twice
once, and lets nobody in whom its scheme does not know.
"""

from __future__ import annotations

import atexit
import copy
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import Refused, SettingError
from hub.intake.endpoint import Endpoint
from hub.plugin.loading import Plugins
from hub.plugin.source import Source
from hub.testing.bodies import malformed_bodies
from hub.testing.credentials import malformed
from hub.testing.fixtures import Fixture, fixtures
from hub.testing.memory import MemoryHub, Plugin, Posted, load
from hub.wire.forms import Json, Read
from hub.wire.hmacs import RequestSigner
from hub.wire.request import Request, steps_of, with_body
from hub.wire.signatures import Signer
from hub.wire.validation import validate

RECORD = ("student", "student_identifier", "event", "event_identifier", "attendance")
"""The tables of what a source can record."""

_KEY = "the-same"
_LONG = "x" * 100_000
_OF_TYPE: Mapping[str, Any] = {
    "string": "text",
    "integer": 7,
    "number": 7.5,
    "boolean": True,
    "object": {"unforeseen": 1},
    "array": ["unforeseen"],
    "null": None,
}


Place = tuple[str | int, ...]
"""Where in a payload: names of members, and indices of items."""


_SAME = object()


class ContractBroken(AssertionError):
    """A source did not do what every source must."""


@dataclass(frozen=True, slots=True)
class Case:
    """One request and what must come of it. ``name`` tells both."""

    name: str
    run: Callable[[], None] = field(repr=False)


class Hubs:
    """Hubs in memory with a plugin: each is used by one case at a time, and has nothing recorded then.

    To empty one takes a tenth of the time that it takes to make one.
    """

    def __init__(self, plugins: Plugins, settings: Settings) -> None:
        self._plugins = plugins
        self._settings = settings
        self._idle: list[MemoryHub] = []
        # Not when this is collected: that may be in the middle of another hub's session.
        atexit.register(_close, self._idle)

    @contextmanager
    def hub(self) -> Iterator[MemoryHub]:
        """One of them, for a with block. After an error it is not used again."""
        hub = self._idle.pop() if self._idle else MemoryHub(self._plugins, self._settings)
        try:
            yield hub
            hub.empty()
        except BaseException:
            hub.close()
            raise
        self._idle.append(hub)


def _close(hubs: list[MemoryHub]) -> None:
    for hub in hubs:
        hub.close()


@dataclass(frozen=True, slots=True)
class Subject:
    """What is tried: one of a plugin's sources, a fixture of it, and hubs that have the plugin."""

    hubs: Hubs
    source: str | None
    fixture: Fixture

    def request(self, hub: MemoryHub, payload: Any = _SAME) -> Request:
        """The fixture's request, without a credential; with another payload, if one is given."""
        own = hub.of_fixture(self.source, self.fixture)
        if payload is not _SAME:
            own = hub.with_payload(self.source, payload, own)
        scheme = hub.endpoint(self.source).authentication
        if not isinstance(scheme, Signer | RequestSigner):
            return own  # nobody else could make its credential
        headers = {name: one for name, one in own.headers.items() if name not in scheme.headers}
        return replace(own, headers=headers)

    def send_as_it_is(self, hub: MemoryHub) -> Posted:
        """Send the fixture once more."""
        return hub.send(self.source, self.request(hub))


def cases(
    plugin: Plugin, folder: Path, source: str | None = None, settings: Settings | None = None
) -> list[Case]:
    """The cases of a source, from the fixtures in a folder that it accepts.

    Raises PluginError where the plugin cannot be loaded, SettingError where no fixture is accepted.
    """
    settings = settings or Settings()
    made: list[Case] = []
    accepted: list[Subject] = []
    hubs = Hubs(load(plugin, settings), settings)
    with hubs.hub() as hub:
        for one in fixtures(folder):
            subject = Subject(hubs, source, one)
            # Several fixtures may need what came before; whom they name is known, as for `try`.
            if _sent(hub, subject).status < 300 and not _not_taken(hub):
                accepted.append(subject)
            hub.empty()
        if not accepted:
            raise SettingError(
                f"fixtures: the source accepts none of those in {folder}; one must be"
            )
        for subject in accepted:
            made += [_case(subject, name, check) for name, check in _accepted(hub, subject)]
        first = accepted[0]
        others = (*_general(hub, first), *_credentials(hub, first))
        made += [_case(first, name, check) for name, check in others]
    return made


Check = Callable[[MemoryHub, Subject], None]


def _case(subject: Subject, name: str, check: Check) -> Case:
    def run() -> None:
        with subject.hubs.hub() as hub:
            check(hub, subject)

    return Case(f"{subject.fixture.name}: {name}", run)


def _accepted(hub: MemoryHub, subject: Subject) -> Iterator[tuple[str, Check]]:
    """What must hold for a fixture that the source accepts, and for what can be made of it."""
    yield "accepted, with nothing failing", _is_accepted
    yield "twice, recorded once", _twice
    yield "twice with one Idempotency-Key, answered the same", _repeated
    endpoint = hub.endpoint(subject.source)
    request = subject.request(hub)
    payload = endpoint.source.payload_of(endpoint.kept_headers.whole(request))
    way = _way_to_row(endpoint.source)
    if way is None or isinstance(endpoint.source.body, Read):
        return  # nothing says how another payload would be written
    row = _at(payload, way)
    schema = _schema(endpoint, row)
    for place, member in _required(schema, row):
        shown = "/".join(map(str, (*way, *place)))
        for what, value in _changed(member):
            changed = _with(payload, (*way, *place), value)
            yield f"{shown} {what}", _posting(hub, subject, changed)
    for place in _optional(schema, row):
        changed = _with(payload, (*way, *place), None)
        shown = "/".join(map(str, (*way, *place)))
        yield f"{shown}, which is optional, null", _posting(hub, subject, changed)
    for place in _objects(row):
        if _may_grow(schema, row, place) and (isinstance(endpoint.source.body, Json) or not place):
            changed = _with(payload, (*way, *place, "unforeseen"), {"some": ["thing"]})
            where = "/".join(map(str, (*way, *place))) or "the body"
            yield f"{where} with an unknown member, answered the same", _unknown_member(changed)


def _general(hub: MemoryHub, subject: Subject) -> Iterator[tuple[str, Check]]:
    """What must hold whatever the schema is."""
    endpoint = hub.endpoint(subject.source)
    declared = endpoint.source
    # What cannot be read may have no credential either.
    refused = _is_refused if endpoint.is_plain or endpoint.is_open else _is_refused_or_turned_away
    for what, change, is_bad in malformed_bodies(declared.body):
        check = refused if is_bad else _FREE.get(what, _never_fails)
        yield f"body {what}", _sending(change, check)
    if declared.methods[0] != "GET" and not isinstance(declared.body, Read):
        yield "content type of nobody, 415", _other_type
        yield "body over the limit, 413", _too_large
    if isinstance(declared.body, Json):
        yield "an Idempotency-Key used with another body, 409", _key_reused


def _credentials(hub: MemoryHub, subject: Subject) -> Iterator[tuple[str, Check]]:
    endpoint = hub.endpoint(subject.source)
    for bad in malformed(hub, endpoint, subject.request(hub), utc_now()):

        def check(hub: MemoryHub, subject: Subject, wrong: str = bad.wrong) -> None:
            endpoint = hub.endpoint(subject.source)
            wrong_ones = malformed(hub, endpoint, subject.request(hub), utc_now())
            found = {one.wrong: one.request for one in wrong_ones}
            _know(hub, subject)
            before = _record(hub)
            posted = hub.send(subject.source, found[wrong], sign=False)
            _require(posted.status == 401, f"answered {posted.status}, not 401", posted)
            _require(_record(hub) == before, "something was recorded", posted)
            _require(not hub.rows("delivery"), "the delivery was kept", posted)

        yield f"{bad.wrong}, 401", check


def _is_accepted(hub: MemoryHub, subject: Subject) -> None:
    posted = _sent(hub, subject)
    _require(200 <= posted.status < 300, f"answered {posted.status}, not 2xx", posted)
    if hub.endpoint(subject.source).source.reply is None:
        _require(isinstance(posted.told, dict), "the answer is no JSON object", posted)
    whole = [row for row in hub.rows("delivery") if row["of_delivery"] is None]
    _require(len(whole) == 1, "the delivery is not kept once", posted)
    _require(not _not_taken(hub), "it was refused, or failed", posted)


def _not_taken(hub: MemoryHub) -> list[dict[str, Any]]:
    return [row for row in hub.rows("delivery") if row["outcome"] in ("refused", "failed")]


def _twice(hub: MemoryHub, subject: Subject) -> None:
    _sent(hub, subject)
    before = _record(hub)
    posted = subject.send_as_it_is(hub)
    _never_fails(hub, posted)
    _require(_record(hub) == before, "the second one was recorded too", posted)


def _repeated(hub: MemoryHub, subject: Subject) -> None:
    # Signed once: a token in the body says when it was made, so that a second one is another body.
    request = _with_key(hub, subject, subject.request(hub))
    first = _sent(hub, subject, request)
    before = _record(hub)
    again = hub.send(subject.source, request)
    if _is_remembered(hub) and subject.fixture.fetched is None:
        same = (again.status, again.body) == (first.status, first.body)
        _require(same, f"answered {first.status} first and {again.status} then", again)
        _require("x-delivery-replayed" in again.headers, "not marked as replayed", again)
    _require(_record(hub) == before, "the second one was recorded too", again)


def _key_reused(hub: MemoryHub, subject: Subject) -> None:
    request = subject.request(hub)
    _sent(hub, subject, _with_key(hub, subject, request))
    if not _is_remembered(hub):
        return
    before = _record(hub)
    payload = json.loads(request.body)
    body = json.dumps(
        {**payload, "unforeseen": 1} if isinstance(payload, dict) else payload, indent=3
    )
    other = _with_key(hub, subject, with_body(request, body.encode()))
    posted = hub.send(subject.source, other)
    kept = hub.rows("delivery")[-1]
    _require(kept["status"] == 409, f"answered {kept['status']}, not 409", posted)
    _require(_record(hub) == before, "something was recorded", posted)


def _with_key(hub: MemoryHub, subject: Subject, request: Request) -> Request:
    """A request that names itself, always by the same key, as its scheme has it do so."""
    named = replace(request, headers={**request.headers, "idempotency-key": _KEY})
    return hub.signed(hub.endpoint(subject.source), named, identifier=_KEY)


def _is_remembered(hub: MemoryHub) -> bool:
    """Whether a key remembers the first answer: what was ignored may do better, so it is not."""
    return any(row["idempotency_key"] for row in hub.rows("delivery") if row["of_delivery"] is None)


def _other_type(hub: MemoryHub, subject: Subject) -> None:
    request = subject.request(hub)
    request = replace(request, headers={**request.headers, "content-type": "application/x-nobody"})
    before = _record(hub)
    posted = hub.send(subject.source, request)
    (kept,) = hub.rows("delivery")
    _require(kept["status"] == 415, f"answered {kept['status']}, not 415", posted)
    _require(_record(hub) == before, "something was recorded", posted)


def _too_large(hub: MemoryHub, subject: Subject) -> None:
    request = subject.request(hub)
    body = request.body + b" " * hub.hub.settings.body_limit
    posted = hub.send(subject.source, with_body(request, body), sign=False)
    _require(posted.status == 413, f"answered {posted.status}, not 413", posted)


def _unknown_member(payload: Any) -> Check:
    def check(hub: MemoryHub, subject: Subject) -> None:
        with subject.hubs.hub() as other:
            plain = _sent(other, subject)
            told = _shape(plain.told)
        posted = _sent(hub, subject, subject.request(hub, payload))
        _require(posted.status == plain.status, f"{plain.status} became {posted.status}", posted)
        _require(_shape(posted.told) == told, "the answer is another one", posted)

    return check


def _posting(hub: MemoryHub, subject: Subject, payload: Any) -> Check:
    """Sends another payload, and looks whether it is refused, if the schema forbids it."""
    request = subject.request(hub, payload)
    then = _is_refused if _breaks(hub, subject, request) else _never_fails

    def check(hub: MemoryHub, subject: Subject) -> None:
        then(hub, _sent(hub, subject, request, knows=then is not _is_refused))

    return check


def _sending(
    change: Callable[[Request], Request], then: Callable[[MemoryHub, Posted], None]
) -> Check:
    def check(hub: MemoryHub, subject: Subject) -> None:
        then(hub, hub.send(subject.source, change(subject.request(hub))))

    return check


def _never_fails(hub: MemoryHub, posted: Posted) -> None:
    _require(posted.status < 500, f"answered {posted.status}", posted)
    _require(all(row["outcome"] != "failed" for row in hub.rows("delivery")), "it failed", posted)
    if posted.status >= 400 and isinstance(posted.told, dict):
        _require("error" in posted.told, "the refusal has no error", posted)


def _is_turned_away(hub: MemoryHub, posted: Posted) -> None:
    _never_fails(hub, posted)
    _require(not hub.rows("attendance"), "something was recorded", posted)


_FREE = {"not UTF-8": _is_turned_away}
"""The bodies for which a source's schema or scheme decides, and of which nothing is recorded."""


def _is_refused(hub: MemoryHub, posted: Posted) -> None:
    """Whether the delivery, or the first row of a batch, is refused; the sender may be told otherwise."""
    every = hub.rows("delivery")
    _require(bool(every), "it is not kept", posted)
    rows = [row for row in every if row["of_delivery"] is not None] or every
    kept = rows[0]
    _require(kept["outcome"] == "refused", f"the delivery is kept as {kept['outcome']}", posted)
    _require(kept["status"] == 400, f"answered {kept['status']}, not 400", posted)
    _require(bool(json.loads(kept["answer"]).get("error")), "the refusal has no error", posted)
    if len(rows) == 1:
        _require(not hub.rows("attendance"), "something was recorded", posted)


def _is_refused_or_turned_away(hub: MemoryHub, posted: Posted) -> None:
    if posted.status == 401:
        _require(not hub.rows("delivery"), "the delivery was kept", posted)
    else:
        _is_refused(hub, posted)


def _sent(
    hub: MemoryHub, subject: Subject, request: Request | None = None, knows: bool = True
) -> Posted:
    """Send a request (the fixture's), with whom and what the check-ins name made known before."""
    request = request or subject.request(hub)
    if knows:
        hub.know_named(hub.operations_of(subject.source, request, subject.fixture.fetched))
    posted = hub.send(subject.source, request)
    if subject.fixture.fetched is not None and posted.status < 300:
        waiting = [row["id"] for row in hub.rows("delivery") if row["waiting"]]
        for identifier in waiting:
            hub.fetched(identifier, subject.fixture.fetched)
    return posted


def _know(hub: MemoryHub, subject: Subject) -> None:
    """Have whom and what the fixture's check-ins name in the record."""
    request = subject.request(hub)
    hub.know_named(hub.operations_of(subject.source, request, subject.fixture.fetched))


_NO_RECORD = ("updated_at", "sightings")


def _record(hub: MemoryHub) -> list[list[dict[str, Any]]]:
    """What is recorded; without when it was last touched, which an update that changes nothing moves, and
    how often a check-in was seen.
    """
    return [
        [
            {name: one for name, one in row.items() if name not in _NO_RECORD}
            for row in hub.rows(table)
        ]
        for table in RECORD
    ]


def _require(holds: bool, otherwise: str, posted: Posted) -> None:
    if not holds:
        faults = "".join(f"\n{line}" for line in posted.faults)
        answer = posted.body.decode("utf-8", "replace")[:500]
        raise ContractBroken(f"{otherwise}: {answer}{faults}")


def _way_to_row(source: Source) -> Place | None:
    """The place of the first row in a payload; of a source without rows, of the payload itself. None
    where a function finds the rows.
    """
    if source.rows is None:
        return ()
    return None if callable(source.rows) else (*steps_of(source.rows), 0)


def _at(payload: Any, place: Place) -> Any:
    for step in place:
        payload = payload[step]
    return payload


def _schema(endpoint: Endpoint, payload: Any) -> Any:
    """The schema of the payload's kind, with its references followed."""
    kind = endpoint.source.kind(payload) if endpoint.source.kind else ""
    return endpoint.validators[kind].schema


def _breaks(hub: MemoryHub, subject: Subject, request: Request) -> bool:
    """Whether the form, the schema, or the naming of one, forbids a request; where none does, the source
    decides.
    """
    endpoint = hub.endpoint(subject.source)
    try:
        payload = endpoint.source.payload_of(request)
        if endpoint.source.rows is not None:
            payload = endpoint.source.rows_of(payload)[0]
        kind = endpoint.source.kind(payload) if endpoint.source.kind else ""
    except Refused:
        return True
    except Exception:
        return False  # that it fails is what the case shows
    if kind not in endpoint.validators:
        return False
    try:
        validate(endpoint.validators[kind], copy.deepcopy(payload))
    except Refused:
        return True
    return False


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and those that it is made of by ``allOf``."""
    if isinstance(schema, Mapping):
        yield schema
        for part in schema.get("allOf", ()):
            yield from _parts(part)


def _required(schema: Any, payload: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Place and schema of each member that the schema requires and the payload has, at any depth; in an
    array, those of the first item.
    """
    if isinstance(payload, list) and payload:
        for part in _parts(schema):
            yield from _required(part.get("items", {}), payload[0], (*place, 0))
    if not isinstance(payload, dict):
        return
    for part in _parts(schema):
        for name in part.get("required", ()):
            if name in payload:
                member = _member(schema, name)
                yield (*place, name), member
                yield from _required(member, payload[name], (*place, name))


def _optional(schema: Any, payload: Any) -> Iterator[Place]:
    """The places of the members that the schema knows and does not require, and the payload has."""
    if not isinstance(payload, dict):
        return
    required = {name for part in _parts(schema) for name in part.get("required", ())}
    for part in _parts(schema):
        for name in part.get("properties", {}):
            if name in payload and name not in required and payload[name] is not None:
                yield (name,)


def _member(schema: Any, name: str) -> Any:
    for part in _parts(schema):
        if name in part.get("properties", {}):
            return part["properties"][name]
    return {}


_MISSING = object()


def _changed(member: Any) -> Iterator[tuple[str, Any]]:
    """What a required member may be instead, and what to call it."""
    allowed = {*_types(member), "null"}
    yield "missing", _MISSING
    yield "null", None
    yield "empty", ""
    yield "blank", " \t"
    for name, value in _OF_TYPE.items():
        if name not in allowed and not (name == "integer" and "number" in allowed):
            yield f"of the type {name}", value
    if "string" in allowed or allowed == {"null"}:
        yield "over-long", _LONG
        yield "of strange characters", "\u202e\u0301\U0001f3f3\ufe0f<b>'\"; --\\"


def _types(member: Any) -> Sequence[str]:
    for part in _parts(member):
        if "type" in part:
            types: Sequence[str] = [part["type"]] if isinstance(part["type"], str) else part["type"]
            return types
    return ()


def _with(payload: Any, place: Sequence[str | int], value: Any) -> Any:
    """The payload with another value in one place."""
    changed = copy.deepcopy(payload)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    if value is _MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return changed


def _objects(payload: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all objects in a payload, arrays left out."""
    if isinstance(payload, dict):
        yield place
        for name, member in payload.items():
            yield from _objects(member, (*place, name))


def _may_grow(schema: Any, payload: Any, place: Sequence[str]) -> bool:
    """Whether the schema lets an object have members that it does not name."""
    body = _with(payload, (*place, "unforeseen"), {})
    return bool(Draft202012Validator(_shallow(schema)).is_valid(body))


def _shallow(schema: Any) -> Any:
    """A schema with nothing left but what says which members there may be."""
    if not isinstance(schema, Mapping):
        return schema
    kept = {
        name: schema[name]
        for name in (
            "additionalProperties",
            "unevaluatedProperties",
            "patternProperties",
            "propertyNames",
            "maxProperties",
        )
        if name in schema
    }
    if "properties" in schema:
        kept["properties"] = {name: _shallow(one) for name, one in schema["properties"].items()}
    if "allOf" in schema:
        kept["allOf"] = [_shallow(one) for one in schema["allOf"]]
    return kept


def _shape(value: Any) -> Any:
    """An answer without its texts, which may tell the time."""
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    return type(value).__name__
