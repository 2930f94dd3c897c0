"""A source: one system that posts webhooks, described by data and pure functions."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hub.domain.operations import Operation
from hub.domain.records import Result
from hub.wire.signatures import Authentication

Schema = str | Path | Mapping[str, Any]
"""A JSON Schema (draft 2020-12): itself, the path of its file, or the ``$id`` of one the hub ships."""

StatusAndBody = tuple[int, Mapping[str, Any]]
"""The HTTP status and the JSON body of an answer."""

_PATH = re.compile(r"[a-z0-9_-]+(?:/[a-z0-9_-]+)*")
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One webhook endpoint, ``POST /api/webhook/<path>/``.

    name: what configuration, logs and the status page call it.
    path: below ``/api/webhook/``: lower-case letters, digits, ``-``, ``_`` and ``/``.
    authenticate: how a request proves where it comes from; ``OPEN`` if it need not. No default: an
        open endpoint is a choice that somebody wrote down.
    schema: what a payload must look like; several by kind, where ``kind`` tells a payload's.
    normalize: turns a valid payload into operations. It is pure: no store, no request, no clock.
    headers: members that a payload gains from headers, for a sender that tells there what happened:
        ``{"event": "X-Event"}``. They are there before ``kind``, ``schema`` and ``normalize``.
    keep_headers: further headers, which are no credentials, that are kept with each delivery. Others are
        not kept, and no hook sees them.
    kind: names the schema that a payload must satisfy; raises ``Refused`` for a payload of none.
    label: the ``source`` of answers and records where a payload has none (default: the name).
    delivery_key: the id of a delivery, for a sender that sends none: equal for a repeated delivery,
        different for any other, None where it cannot be told.
    authority: what it says stands above what other sources have seen, until it says otherwise.
    undoable: what it does is kept so that the desk can take it back; with authority it is anyhow.
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
    normalize: Callable[[Any], Iterable[Operation]]
    headers: Mapping[str, str] = field(default_factory=dict)
    keep_headers: Sequence[str] = ()
    kind: Callable[[Any], str] | None = None
    label: str = ""
    delivery_key: Callable[[Any], str | None] | None = None
    answer: Callable[[Any, Sequence[Result]], StatusAndBody | None] | None = None
    authority: bool = False
    undoable: bool = False
    shows_objects: bool = False
    example: Mapping[str, Any] | None = None
    schemas: Mapping[str, Schema] = field(init=False, repr=False)

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
        declared = {header.lower() for header in (*self.headers.values(), *self.keep_headers)}
        if declared & set(self.authenticate.headers):
            raise ValueError(
                f"source {self.name}: headers: a credential is no part of a payload, and never kept"
            )
        schemas = self.schema if self.kind is not None else {"": self.schema}
        if not isinstance(schemas, Mapping):
            raise TypeError(
                f"source {self.name}: with kind, schema is a mapping of kinds to schemas"
            )
        object.__setattr__(self, "schemas", schemas)
        if not self.label:
            object.__setattr__(self, "label", self.name)

    def whole(self, payload: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        """The payload with the members that it gains from headers, whose names are in lower case."""
        if not self.headers:
            return payload
        gained = {name: headers.get(header.lower()) for name, header in self.headers.items()}
        return {**payload, **{name: value for name, value in gained.items() if value is not None}}


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
