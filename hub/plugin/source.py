"""A source: one system that posts webhooks, described by data and pure functions."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.domain.operations import Operation
from hub.domain.records import Result
from hub.errors import InvalidPayload
from hub.plugin.sender import Fetch, Handshake, Happened, Reply
from hub.wire.forms import JSON_OBJECT, Form, Json, gaining, keeps_query
from hub.wire.hmacs import hidden_places
from hub.wire.request import Place, Request, steps_of
from hub.wire.signatures import Authentication, Open

Schema = str | Path | Mapping[str, Any]
"""A JSON Schema (draft 2020-12): itself, the path of its file, or the ``$id`` of one the hub ships."""

StatusAndBody = tuple[int, Mapping[str, Any]]
"""The HTTP status and the JSON body of an answer."""

_PATH = re.compile(r"[a-z0-9_-]+(?:/(?:[a-z0-9_-]+|\{[a-z]+\}))*")
_OWN_PATH = re.compile(r"(?:/(?:(?!\.+(?:/|$))[A-Za-z0-9._-]+|\{[a-z]+\}))+")
_PART = re.compile(r"\{([a-z]+)\}")
_OF_THE_HUB = frozenset({"api", "console", "metrics", "health", "healthz", "livez", "readyz"})
"""First parts of paths that are the hub's, now or one day."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One webhook endpoint, ``/api/webhook/<path>/``.

    What its sender's requests look like:

    name: what configuration, logs and the status page call it.
    path: below ``/api/webhook/``: lower-case letters, digits, ``-``, ``_`` and ``/``. A part of it may be
        ``{name}``, which stands for any text.
    paths: further paths, outside of ``/api/``, for devices whose path is fixed: ``/iclock/cdata``.
    methods: those that it takes.
    body: the form of the body; ``hub.JSON_OBJECT`` by itself.
    members: members that a payload gains from elsewhere in the request, for a sender that tells there
        what happened: ``{"event": "header:X-Event", "reader": "query:reader", "room": "path:room"}``.
        They are there before ``kind``, ``schema`` and ``normalize``.
    authenticate: how a request proves where it comes from; ``OPEN`` if it need not. No default: an
        open endpoint is a choice that somebody wrote down.
    headers: the same as ``members``, of headers alone: ``{"event": "X-Event"}``.
    remove: places of texts that must not be kept, though they are no credentials of a delivery: a token
        for answers, an address with a secret in it.
    keep_headers: further headers, which are no credentials, that are kept with each delivery. Others are
        not kept, and no hook sees them.
    handshakes: how it makes sure that somebody is there.
    reply: the answer as it needs it, for what became of a delivery; None for the hub's own. The delivery
        keeps both. It is not asked about what is not kept: a wrong credential, a store that is away.
    rows: where a delivery is a batch: the JSON Pointer of the array ('': the payload itself), or a
        function of the payload. Each row is a payload, and a delivery of its own.
    fetch: what must be fetched for a payload, if anything. ``normalize`` is given it as a second argument
        (None: nothing). fetch_hosts: where it may be fetched.

    What they mean:

    schema: what a payload must look like; several by kind, where ``kind`` tells a payload's.
    normalize: turns a valid payload into operations. It is pure: no store, no request, no clock.
    kind: names the schema that a payload must satisfy; raises ``Refused`` for a payload of none.
    told_by: the members by which ``kind`` knows each kind, for the description of the hub
        (``/api/openapi.json``): ``{"student-create": {"type": "student", "action": "create"}}``. It
        checks nothing.
    label: the ``source`` of answers and records where a payload has none (default: the name).
    delivery_key: the id of a delivery, for a sender that sends none: equal for a repeated delivery,
        different for any other, None where it cannot be told.
    authority: what it says stands above what other sources have seen, until it says otherwise.
    undoable: what it does is kept so that the desk can take it back; with authority it is anyhow.
    called: what else the configuration (``events``) may call the event of a payload, beside what its
        operations call it: a room's id, where they have its name.
    shows_objects: the usual answer has the delivery's id, and the student, event or attendance as the API
        shows it.
    example: a payload that it takes, for those who try it.
    answer: the status and body of success, for a payload and what the store did of it, if it did
        anything; None, or no function, for the usual answer (``hub_plugins.success``).
    """

    name: str
    path: str
    authenticate: Authentication
    schema: Schema | Mapping[str, Schema]
    normalize: Callable[..., Iterable[Operation]]
    paths: Sequence[str] = ()
    methods: Sequence[str] = ("POST",)
    body: Form = JSON_OBJECT
    members: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    remove: Sequence[str] = ()
    keep_headers: Sequence[str] = ()
    handshakes: Sequence[Handshake] = ()
    reply: Callable[[Happened], Reply | None] | None = None
    rows: str | Callable[[Any], Iterable[Any]] | None = None
    fetch: Callable[[Any], Fetch | None] | None = None
    fetch_hosts: Sequence[str] = ()
    kind: Callable[[Any], str] | None = None
    told_by: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    called: Callable[[Any], Iterable[str]] | None = None
    label: str = ""
    delivery_key: Callable[[Any], str | None] | None = None
    answer: Callable[[Any, Sequence[Result]], StatusAndBody | None] | None = None
    authority: bool = False
    undoable: bool = False
    shows_objects: bool = False
    example: Mapping[str, Any] | None = None
    schemas: Mapping[str, Schema] = field(init=False, repr=False)
    places: Mapping[str, Place] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"source name {self.name!r}: use lower-case letters, digits, '-' and '_', "
                "beginning with a letter"
            )
        if not _PATH.fullmatch(self.path) or self.path.split("/")[-1] == "status":
            raise ValueError(
                f"source path {self.path!r}: use lower-case letters, digits, '-', '_' and '/', "
                "not ending in 'status'"
            )
        self._require_paths()
        if isinstance(self.authenticate, type) or not isinstance(self.authenticate, Authentication):
            raise TypeError(f"source {self.name}: authenticate {_lacking(self.authenticate)}")
        if not callable(self.normalize):
            raise TypeError(f"source {self.name}: normalize is no function")
        if not all(isinstance(header, str) for header in self.headers.values()):
            raise TypeError(
                f"source {self.name}: headers: give the name of a header for each member"
            )
        if isinstance(self.keep_headers, str):
            raise TypeError(f"source {self.name}: keep_headers: give a tuple of names of headers")
        self._require_sender()
        from_headers = {name: f"header:{header}" for name, header in self.headers.items()}
        places = {name: Place.of(text) for name, text in {**from_headers, **self.members}.items()}
        object.__setattr__(self, "places", places)
        declared = {place.name for place in places.values() if place.kind == "header"}
        declared |= {header.lower() for header in self.keep_headers}
        credentials = set(places.values()) & set(self.credential_places)
        if declared & set(self.authenticate.headers) or credentials:
            raise ValueError(
                f"source {self.name}: headers: a credential is no part of a payload, and never kept"
            )
        schemas = self.schema if self.kind is not None else {"": self.schema}
        if not isinstance(schemas, Mapping):
            raise TypeError(
                f"source {self.name}: with kind, schema is a mapping of kinds to schemas"
            )
        if unknown := set(self.told_by) - set(schemas):
            raise ValueError(f"source {self.name}: told_by: there is no schema {min(unknown)}")
        object.__setattr__(self, "schemas", schemas)
        if not self.label:
            object.__setattr__(self, "label", self.name)

    @property
    def credential_places(self) -> tuple[Place, ...]:
        """Where in a request credentials stand, headers left out."""
        removed = (Place.of(text) for text in self.remove)
        others = tuple(place for place in removed if place.kind != "header")
        return (*hidden_places(self.authenticate), *others)

    @property
    def all_methods(self) -> tuple[str, ...]:
        """The methods of its deliveries and of its handshakes."""
        others = [method for one in self.handshakes for method in one.methods]
        return tuple(dict.fromkeys((*self.methods, *others)))

    @property
    def takes_json_alone(self) -> bool:
        """Whether a browser asks before it sends what this takes to another site."""
        return (
            isinstance(self.body, Json) and not self.body.media_types and "GET" not in self.methods
        )

    @property
    def kept_query(self) -> frozenset[str] | None:
        """The members of the query that are kept with each delivery; None for all."""
        return keeps_query(self.body, tuple(self.places.values()))

    def payload_of(self, request: Request) -> Any:
        """The payload of a request: its body, and the members that it gains. Raises Refused."""
        return self.whole(self.body.read(request), request)

    def whole(self, payload: Any, request: Request) -> Any:
        """The payload with the members that it gains from elsewhere; each row of an array gains them."""
        gained = {
            name: value
            for name, place in self.places.items()
            if (value := place.in_(request)) is not None
        }
        return gaining(payload, gained)

    def rows_of(self, payload: Any) -> list[Any]:
        """The rows of a batch. Raises InvalidPayload where there is no array."""
        if callable(self.rows):
            return list(self.rows(payload))
        found = payload
        for step in steps_of(self.rows or ""):
            found = found.get(step) if isinstance(found, dict) else None
        if not isinstance(found, list):
            where = self.rows or "The body"
            raise InvalidPayload("Invalid payload", f"{where} must be an array")
        return found

    def _require_paths(self) -> None:
        for path in self.paths:
            if not _OWN_PATH.fullmatch(path) or path.split("/")[1].lower() in _OF_THE_HUB:
                raise ValueError(
                    f"source path {path!r}: begin it with /, and not with a part that is the hub's: "
                    f"{', '.join(sorted(_OF_THE_HUB))}"
                )
            if path.split("/")[1].startswith("{"):
                raise ValueError(f"source path {path!r}: its first part must be a text of its own")
        if unknown := set(self.methods) - set(METHODS):
            raise ValueError(
                f"source {self.name}: methods: {min(unknown)} cannot be used; use {', '.join(METHODS)}"
            )
        if isinstance(self.methods, str) or not self.methods:
            raise TypeError(f"source {self.name}: methods: give a tuple of methods")

    def _require_sender(self) -> None:
        if isinstance(self.body, type) or not isinstance(self.body, Form):
            raise TypeError(f"source {self.name}: body: use hub.FORM, hub.Json(…) or another form")
        if (self.fetch is None) != (not self.fetch_hosts):
            raise ValueError(f"source {self.name}: fetch and fetch_hosts belong together")
        if self.fetch is not None and isinstance(self.authenticate, Open):
            raise ValueError(
                f"source {self.name}: fetch: an open source would have the hub fetch what strangers name"
            )
        if self.fetch is not None and self.rows is not None:
            raise ValueError(f"source {self.name}: rows: those of a batch cannot be fetched")
        if not all(isinstance(one, Handshake) for one in self.handshakes):
            raise TypeError(f"source {self.name}: handshakes: give a tuple of hub.Handshake values")


def parts_in(path: str) -> str:
    """A source's path as a ``Route`` has it."""
    return _PART.sub(r"<\1>", path)


def _lacking(authenticate: object) -> str:
    """Why something is no way to authenticate, and what would be one."""
    if isinstance(authenticate, type):
        return f"is the class {authenticate.__name__} itself; make one of it: {authenticate.__name__}(…)"
    members = ("scheme", "headers", "check_secret", "verify")
    lacking = ", ".join(name for name in members if not hasattr(authenticate, name))
    return (
        f"is a {type(authenticate).__name__} without {lacking}; use hub.OPEN, one of the hub's signature "
        "schemes, or an object with the members of hub.Authentication"
    )
