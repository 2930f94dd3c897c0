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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import Refused, SettingError
from hub.plugin.loading import Plugins
from hub.testing.credentials import malformed
from hub.testing.fixtures import Fixture, fixtures
from hub.testing.memory import MemoryHub, Plugin, Posted, load
from hub.wire.strict_json import MAX_DEPTH

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

    @property
    def headers(self) -> Mapping[str, str]:
        """The fixture's headers, with names in lower case."""
        return {name.lower(): value for name, value in self.fixture.headers.items()}


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
            if _sent(hub, subject, one.body).status < 300:
                accepted.append(subject)
        if not accepted:
            raise SettingError(
                f"fixtures: the source accepts none of those in {folder}; one must be"
            )
        for subject in accepted:
            made += [_case(subject, name, check) for name, check in _accepted(hub, subject)]
        first = accepted[0]
        made += [
            _case(first, name, check) for name, check in (*_general(), *_credentials(hub, first))
        ]
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
    payload = json.loads(subject.fixture.body)
    schema = _schema(hub, subject, payload)
    for place, member in _required(schema, payload):
        shown = "/".join(map(str, place))
        for what, changed in _changed(member):
            body = _with(payload, place, changed)
            refused = _is_refused if _breaks(hub, subject, body) else _never_fails
            yield f"{shown} {what}", _posting(body, refused)
    for place in _optional(schema, payload):
        body = _with(payload, place, None)
        refused = _is_refused if _breaks(hub, subject, body) else _never_fails
        yield f"{'/'.join(map(str, place))}, which is optional, null", _posting(body, refused)
    for place in _objects(payload):
        if _may_grow(schema, payload, place):
            body = _with(payload, (*place, "unforeseen"), {"some": ["thing"]})
            where = "/".join(place) or "the body"
            yield f"{where} with an unknown member, answered the same", _unknown_member(body)


def _general() -> Iterator[tuple[str, Check]]:
    """What must hold whatever the schema is."""
    for what, body in (
        ("empty", b""),
        ("no JSON", b"{"),
        ("an array", b"[]"),
        ("a number", b"7"),
        ("null", b"null"),
        ("an empty object", b"{}"),
        ("not UTF-8", b'{"a": "\xff"}'),
        ("with a name twice", b'{"a": 1, "a": 2}'),
        ("with NaN", b'{"a": NaN}'),
        ("nested too deep", b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"),
    ):
        check = _FREE.get(what, _is_refused)
        yield f"body {what}", _posting_raw(body, check)
    yield "content type text/plain, 415", _text_plain
    yield "body over the limit, 413", _too_large
    yield "an Idempotency-Key used with another body, 409", _key_reused


def _credentials(hub: MemoryHub, subject: Subject) -> Iterator[tuple[str, Check]]:
    endpoint = hub.endpoint(subject.source)
    for bad in malformed(hub, endpoint, subject.fixture.body, utc_now()):

        def check(hub: MemoryHub, subject: Subject, wrong: str = bad.wrong) -> None:
            endpoint = hub.endpoint(subject.source)
            found = {
                one.wrong: one.headers
                for one in malformed(hub, endpoint, subject.fixture.body, utc_now())
            }
            _know(hub, subject)
            before = _record(hub)
            own = {*found[wrong], *endpoint.authentication.headers}
            own = {name.lower() for name in own}
            others = {name: one for name, one in subject.headers.items() if name not in own}
            sent = {**others, **found[wrong]}
            posted = hub.post(subject.source, subject.fixture.body, sent, sign=False)
            _require(posted.status == 401, f"answered {posted.status}, not 401", posted)
            _require(_record(hub) == before, "something was recorded", posted)
            _require(not hub.rows("delivery"), "the delivery was kept", posted)

        yield f"{bad.wrong}, 401", check


def _is_accepted(hub: MemoryHub, subject: Subject) -> None:
    posted = _sent(hub, subject, subject.fixture.body)
    _require(200 <= posted.status < 300, f"answered {posted.status}, not 2xx", posted)
    _require(isinstance(posted.json, dict), "the answer is no JSON object", posted)
    _require(len(hub.rows("delivery")) == 1, "the delivery is not kept once", posted)


def _twice(hub: MemoryHub, subject: Subject) -> None:
    _sent(hub, subject, subject.fixture.body)
    before = _record(hub)
    posted = hub.post(subject.source, subject.fixture.body, subject.fixture.headers)
    _never_fails(hub, posted)
    _require(_record(hub) == before, "the second one was recorded too", posted)


def _repeated(hub: MemoryHub, subject: Subject) -> None:
    headers = _with_key(hub, subject, subject.fixture.body)
    first = _sent(hub, subject, subject.fixture.body, headers)
    before = _record(hub)
    again = hub.post(subject.source, subject.fixture.body, headers)
    if _is_remembered(hub):
        same = (again.status, again.body) == (first.status, first.body)
        _require(same, f"answered {first.status} first and {again.status} then", again)
        _require("x-delivery-replayed" in again.headers, "not marked as replayed", again)
    _require(_record(hub) == before, "the second one was recorded too", again)


def _key_reused(hub: MemoryHub, subject: Subject) -> None:
    _sent(hub, subject, subject.fixture.body, _with_key(hub, subject, subject.fixture.body))
    if not _is_remembered(hub):
        return
    before = _record(hub)
    body = subject.fixture.body + b" "
    posted = hub.post(subject.source, body, _with_key(hub, subject, body))
    _require(posted.status == 409, f"answered {posted.status}, not 409", posted)
    _require(_record(hub) == before, "something was recorded", posted)


def _with_key(hub: MemoryHub, subject: Subject, body: bytes) -> dict[str, str]:
    """The headers of a request that names itself, always by the same key, as its scheme has it do so."""
    endpoint = hub.endpoint(subject.source)
    credentials = hub.credentials(endpoint, body, identifier=_KEY)
    return {"Idempotency-Key": _KEY, **subject.fixture.headers, **credentials}


def _is_remembered(hub: MemoryHub) -> bool:
    """Whether a key remembers the first answer: what was ignored may do better, so it is not."""
    return any(row["idempotency_key"] for row in hub.rows("delivery"))


def _text_plain(hub: MemoryHub, subject: Subject) -> None:
    headers = {**subject.fixture.headers, "content-type": "text/plain"}
    before = _record(hub)
    posted = hub.post(subject.source, subject.fixture.body, headers)
    _require(posted.status == 415, f"answered {posted.status}, not 415", posted)
    _require(_record(hub) == before, "something was recorded", posted)


def _too_large(hub: MemoryHub, subject: Subject) -> None:
    body = subject.fixture.body + b" " * hub.hub.settings.body_limit
    posted = hub.post(subject.source, body, subject.fixture.headers)
    _require(posted.status == 413, f"answered {posted.status}, not 413", posted)


def _unknown_member(body: bytes) -> Check:
    def check(hub: MemoryHub, subject: Subject) -> None:
        with subject.hubs.hub() as other:
            plain = _sent(other, subject, subject.fixture.body)
            told = _shape(plain.json)
        posted = _sent(hub, subject, body)
        _require(posted.status == plain.status, f"{plain.status} became {posted.status}", posted)
        _require(_shape(posted.json) == told, "the answer is another one", posted)

    return check


def _posting(body: bytes, then: Callable[[MemoryHub, Posted], None]) -> Check:
    def check(hub: MemoryHub, subject: Subject) -> None:
        posted = _sent(hub, subject, body, then=then)
        then(hub, posted)

    return check


def _posting_raw(body: bytes, then: Callable[[MemoryHub, Posted], None]) -> Check:
    def check(hub: MemoryHub, subject: Subject) -> None:
        then(hub, hub.post(subject.source, body, subject.fixture.headers))

    return check


def _never_fails(hub: MemoryHub, posted: Posted) -> None:
    _require(posted.status < 500, f"answered {posted.status}", posted)
    if posted.status >= 400:
        _require("error" in posted.json, "the refusal has no error", posted)


def _is_turned_away(hub: MemoryHub, posted: Posted) -> None:
    _require(posted.status in (400, 401), f"answered {posted.status}, not 400 or 401", posted)
    _require(not hub.rows("attendance"), "something was recorded", posted)


_FREE = {"an empty object": _never_fails, "not UTF-8": _is_turned_away}
"""The bodies for which a source's schema or scheme decides."""


def _is_refused(hub: MemoryHub, posted: Posted) -> None:
    _require(posted.status == 400, f"answered {posted.status}, not 400", posted)
    _require(bool(posted.json.get("error")), "the refusal has no error", posted)
    _require(not hub.rows("attendance"), "something was recorded", posted)
    (kept,) = hub.rows("delivery")
    _require(kept["outcome"] == "refused", f"the delivery is kept as {kept['outcome']}", posted)


def _sent(
    hub: MemoryHub,
    subject: Subject,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    then: Callable[..., None] | None = None,
) -> Posted:
    """Post, with whom and what the check-ins name made known before."""
    headers = subject.fixture.headers if headers is None else headers
    if then is not _is_refused:
        hub.know_named(hub.operations(subject.source, body, headers))
    return hub.post(subject.source, body, headers)


def _know(hub: MemoryHub, subject: Subject) -> None:
    """Have whom and what the fixture's check-ins name in the record."""
    hub.know_named(hub.operations(subject.source, subject.fixture.body, subject.fixture.headers))


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


def _schema(hub: MemoryHub, subject: Subject, payload: Any) -> Any:
    """The schema of the payload's kind, with its references followed."""
    endpoint = hub.endpoint(subject.source)
    payload = endpoint.source.whole(payload, subject.headers)
    kind = endpoint.source.kind(payload) if endpoint.source.kind else ""
    return endpoint.validators[kind].schema


def _breaks(hub: MemoryHub, subject: Subject, body: bytes) -> bool:
    """Whether the schema, or the naming of one, forbids a body; where it does not, the source decides."""
    endpoint = hub.endpoint(subject.source)
    payload = endpoint.source.whole(json.loads(body), subject.headers)
    try:
        kind = endpoint.source.kind(payload) if endpoint.source.kind else ""
    except Refused:
        return True
    except Exception:
        return False  # that it fails is what the case shows
    return kind in endpoint.validators and not endpoint.validators[kind].is_valid(payload)


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


def _with(payload: Any, place: Sequence[str | int], value: Any) -> bytes:
    """The payload with another value in one place, as a body."""
    changed = copy.deepcopy(payload)
    inner = changed
    for name in place[:-1]:
        inner = inner[name]
    if value is _MISSING:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return json.dumps(changed).encode()


def _objects(payload: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The places of all objects in a payload, arrays left out."""
    if isinstance(payload, dict):
        yield place
        for name, member in payload.items():
            yield from _objects(member, (*place, name))


def _may_grow(schema: Any, payload: Any, place: Sequence[str]) -> bool:
    """Whether the schema lets an object have members that it does not name."""
    body = json.loads(_with(payload, (*place, "unforeseen"), {}))
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
