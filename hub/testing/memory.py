"""A hub in memory with one plugin, or any: what is posted to it goes the whole way and is thrown away."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any
from urllib.parse import unquote

from hub.api.route import pattern_of
from hub.config.load import source_key
from hub.config.settings import Settings, SourceSettings
from hub.domain.delivery import new_delivery_id
from hub.domain.identifiers import Identifier, student_identifier
from hub.domain.operations import (
    CheckIn,
    CheckOut,
    NamedEvent,
    Operation,
    SaveEvent,
    SaveStudent,
    Withdraw,
)
from hub.domain.timestamps import utc_now
from hub.errors import PluginError, Refused, SettingError
from hub.http.app import Application
from hub.http.asgi import environ_of
from hub.http.batch import Request as Sent
from hub.http.batch import run
from hub.hub import Hub
from hub.intake.batches import row_of
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import prepare
from hub.intake.webhooks import delivery_of
from hub.plugin.discovery import Found, discover, in_file, in_module
from hub.plugin.loading import Plugins
from hub.plugin.source import parts_in
from hub.record import dump
from hub.store import deliveries, fetching, scratch
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import MEMORY_URL
from hub.testing import keys
from hub.testing.fixtures import Fixture
from hub.wire.forms import Json
from hub.wire.hmacs import Ed25519, RequestAuthentication, RequestSigner
from hub.wire.jwt import Jwt
from hub.wire.request import Request
from hub.wire.signatures import Open, Signer, WhenSigned

SECRET = "whsec_YSBzZWNyZXQgdG8gdHJ5IHRoaW5ncyB3aXRo"
"""What a source that must be signed is given where none is configured."""

_STARTS_AT = datetime(2024, 1, 15, 10, tzinfo=UTC)

Plugin = str | Path | ModuleType
"""A plugin: its ``.py`` file, its module, or the name of one that is installed or built in."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What a post came to. ``operations`` are those that the source made of it, and the plugins amended;
    ``faults`` the lines of the log that tell of a failure.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    operations: tuple[Operation, ...]
    faults: tuple[str, ...]

    @property
    def json(self) -> Any:
        """The answer's body."""
        return json.loads(self.body)

    @property
    def told(self) -> Any:
        """The answer's body, as JSON where it is that, else as text."""
        is_json = self.headers.get("content-type", "").startswith("application/json")
        return self.json if is_json else self.body.decode()


class MemoryHub:
    """A hub in memory, of one plugin or of ``Plugins``; without any, of all that the settings find.

    A source that must be signed and has no secret gets ``SECRET``. Raises PluginError where the plugin
    cannot be loaded, SettingError where there is none.
    """

    def __init__(
        self, plugin: Plugin | Plugins | None = None, settings: Settings | None = None
    ) -> None:
        settings = replace(settings or Settings(), database=MEMORY_URL)
        plugins = plugin if isinstance(plugin, Plugins) else load(plugin, settings)
        self.hub = Hub(_with_secrets(settings, plugins), plugins=plugins)
        self._application = Application(self.hub.routes, self.hub.store, self.hub.settings)
        for endpoint in self.hub.endpoints:
            if isinstance(endpoint.authentication, Jwt):
                keys.know(endpoint.authentication)
        self._base = settings.public_url.rstrip("/") or "http://localhost"

    def close(self) -> None:
        """End it; what it has recorded is gone."""
        self.hub.close(0)

    def endpoint(self, source: str | None = None) -> Endpoint:
        """The endpoint of a source; without a name, of the only one. Raises SettingError."""
        named = [one for one in self.hub.endpoints if source in (None, one.source.name)]
        if len(named) == 1:
            return named[0]
        known = ", ".join(one.source.name for one in self.hub.endpoints)
        if not named:
            raise SettingError(f"source: there is {known or 'none'}")
        raise SettingError(f"source: there are several, {known}; name one")

    def post(
        self,
        source: str | None,
        body: bytes,
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        sign: bool = True,
    ) -> Posted:
        """Send a body to a source, signed unless ``headers`` have a credential or ``sign`` says no."""
        request = self.request(source, body, headers)
        return self.send(source, request, sign=sign)

    def request(
        self,
        source: str | None,
        body: bytes = b"",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Request:
        """A request with this body, as the source's sender would send it; not signed."""
        endpoint = self.endpoint(source)
        types = endpoint.source.body.media_types
        sent = {"content-type": types[0] if types else "application/json"} if body else {}
        sent |= {"content-length": str(len(body)), "host": "localhost"}
        sent |= {name.lower(): value for name, value in headers.items()}
        method, path = endpoint.source.methods[0], endpoint.path
        return Request(method, path, "", sent, body, base=self._base)

    def with_payload(
        self, source: str | None, payload: Any, like: Request | None = None
    ) -> Request:
        """A request with this payload, in the form that the source takes, otherwise ``like`` another."""
        declared = self.endpoint(source).source
        request = declared.body.write(payload, like or self.request(source))
        if isinstance(payload, Mapping):
            for name, place in declared.places.items():
                value = payload.get(name)
                if name in declared.members and isinstance(value, str) and place.kind != "json":
                    request = place.put(request, value)
        return request

    def of_fixture(
        self,
        source: str | None,
        fixture: Fixture,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Request:
        """The request of a fixture: as it is written, or its payload in the form of the source."""
        headers = {**fixture.headers, **{name.lower(): one for name, one in headers.items()}}
        if fixture.request is None:
            declared = self.endpoint(source).source
            if isinstance(declared.body, Json) and not declared.members:
                return self.request(source, fixture.body, headers)
            request = self.with_payload(source, json.loads(fixture.body))
            return replace(request, headers={**request.headers, **headers})
        return self.of_written(source, replace(fixture.request, headers=headers))

    def of_written(self, source: str | None, written: Request) -> Request:
        """A request that is written whole, to this hub. A path that is not the source's is not minded."""
        headers = written.headers
        usual = self.request(source, written.body, headers)
        path = written.path if self._is_path_of(source, written.path) else usual.path
        own = {"content-length": str(len(written.body)), "host": usual.headers["host"]}
        return replace(
            usual,
            method=written.method,
            path=path,
            query=written.query,
            headers={**headers, **own},
            parts=self._parts(source, path),
        )

    def send(self, source: str | None, request: Request, *, sign: bool = True) -> Posted:
        """Send a request to a source, signed unless it has a credential or ``sign`` says no."""
        endpoint = self.endpoint(source)
        if sign and not self._has_credential(endpoint, request):
            request = self.signed(endpoint, request)
        with _faults() as faults, _faults("hub.intake"):
            (response,) = run(self._application, [Sent(_environ(request), request.body)])
        found = {name.lower(): value for name, value in response.headers}
        operations = self.operations_of(source, request)
        return Posted(response.status, found, response.body, operations, tuple(faults))

    def signed(
        self,
        endpoint: Endpoint,
        request: Request,
        now: datetime | None = None,
        secret: str = "",
        identifier: str = "",
    ) -> Request:
        """A request that proves where it comes from; the same one, where nothing can sign."""
        scheme, now = endpoint.authentication, now or utc_now()
        if isinstance(scheme, RequestSigner):
            identifier = identifier or f"msg_{new_delivery_id()}"
            own = secret or next(iter(endpoint.secrets), "")
            with_ = keys.signing_secret(endpoint.authentication, own, bool(secret))
            try:
                signed = scheme.sign_request(request, with_, now, identifier)
            except Refused:
                return request  # what cannot be read cannot be signed
            return replace(signed, parts=self._parts(endpoint.source.name, signed.path))
        made = self.credentials(endpoint, request.body, now, secret, identifier)
        headers = {**request.headers, **{name.lower(): one for name, one in made.items()}}
        return replace(request, headers=headers)

    def _has_credential(self, endpoint: Endpoint, request: Request) -> bool:
        scheme = endpoint.authentication
        if isinstance(scheme, Jwt) and scheme.place == "body":
            return not request.body.endswith(b".")  # it is a token with a signature
        if isinstance(scheme, RequestAuthentication):
            return any(place.all_in(request) for place in scheme.places)
        return any(name in request.headers for name in scheme.headers)

    def _is_path_of(self, source: str | None, path: str) -> bool:
        return self._pattern(source, path) is not None

    def _pattern(self, source: str | None, path: str) -> re.Match[str] | None:
        declared = self.endpoint(source).source
        for one in (f"/api/webhook/{declared.path}", *declared.paths):
            found = pattern_of(parts_in(one)).fullmatch(path.rstrip("/"))
            if found is not None:
                return found
        return None

    def _parts(self, source: str | None, path: str) -> Mapping[str, str]:
        found = self._pattern(source, path)
        return {} if found is None else {k: unquote(v) for k, v in found.groupdict().items()}

    def credentials(
        self,
        endpoint: Endpoint,
        body: bytes,
        now: datetime | None = None,
        secret: str = "",
        identifier: str = "",
    ) -> Mapping[str, str]:
        """The headers that prove where a request comes from; none where nothing can sign."""
        scheme = endpoint.authentication
        if isinstance(scheme, WhenSigned):
            scheme = scheme.inner
        if isinstance(scheme, Open) or not isinstance(scheme, Signer):
            return {}
        identifier = identifier or f"msg_{new_delivery_id()}"
        return scheme.sign(body, secret or endpoint.secrets[0], now or utc_now(), identifier)

    def operations(
        self, source: str | None, body: bytes, headers: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[Operation, ...]:
        """What a source makes of a body, and the plugins amend; nothing where it is refused."""
        return self.operations_of(source, self.request(source, body, headers))

    def operations_of(
        self, source: str | None, request: Request, fetched: Any = None
    ) -> tuple[Operation, ...]:
        """What a source makes of a request, and the plugins amend; of a batch, of all its rows."""
        endpoint = self.endpoint(source)
        headers = MappingProxyType(endpoint.kept_headers.of(request.headers))
        delivery = delivery_of(endpoint, request, new_delivery_id(), utc_now(), headers, None)
        if fetched is not None:
            delivery = replace(delivery, fetched=json.dumps(fetched).encode())
        hooks = self.hub.plugins.hooks
        with _faults():
            prepared = prepare(hooks, endpoint, delivery)
            if prepared.rows is None:
                return prepared.operations
            rows = [row_of(delivery, at, row) for at, row in enumerate(prepared.rows, start=1)]
            return tuple(one for row in rows for one in prepare(hooks, endpoint, row).operations)

    def fetched(self, delivery: str, document: Any) -> None:
        """Have what a delivery waits for fetched, and the delivery attempted again."""
        with self.hub.store.writing() as tx:
            deliveries.set_fetched(tx, delivery, json.dumps(document).encode())
            fetching.done(tx, delivery)
        self.hub.replays.replay(delivery)

    def know(
        self,
        *,
        student: str | Identifier | None = None,
        event: str | Identifier | NamedEvent | None = None,
    ) -> None:
        """Have a student or an event in the record."""
        wanted: list[Operation] = []
        if student is not None:
            who = student_identifier(student)
            wanted.append(SaveStudent(identifiers=(who,), first_name="Ada", last_name="Example"))
        if isinstance(event, NamedEvent):
            event = event.name
        if event is not None:
            own = (event,) if isinstance(event, Identifier) else ()
            name = event.text if isinstance(event, Identifier) else event
            wanted.append(SaveEvent(identifiers=own, name=name, starts_at=_STARTS_AT))
        self.apply(wanted)

    def know_named(self, operations: Sequence[Operation]) -> None:
        """Have the students and events in the record that check-ins among the operations name.

        One that cannot be there, such as for an identifier that is too long, is left out.
        """
        for operation in operations:
            if isinstance(operation, CheckIn | CheckOut | Withdraw):
                with suppress(Exception):
                    self.know(student=operation.student, event=operation.event)

    def apply(self, operations: Sequence[Operation]) -> None:
        """Apply operations as if they had come before."""
        context = Context("before", utc_now(), "try", self.hub.settings.time_zone)
        with self.hub.store.writing() as tx:
            apply(tx, operations, context)

    def empty(self) -> None:
        """Take away all that it has recorded; the next ids are those of a new hub."""
        with self.hub.store.writing() as tx, self.hub.store.reading() as db:
            scratch.empty(tx, dump.names(db))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All the rows of a table, such as ``attendance``, by column, in the order of their ids."""
        with self.hub.store.reading() as db:
            if table not in dump.names(db):
                known = ", ".join(dump.names(db))
                raise SettingError(f"rows: there is no table {table}; there are {known}")
            return dump.rows(db, table)


@contextmanager
def memory_hub(
    plugin: Plugin | Plugins | None = None, settings: Settings | None = None
) -> Iterator[MemoryHub]:
    """A hub in memory that is closed at the end of the block."""
    made = MemoryHub(plugin, settings)
    try:
        yield made
    finally:
        made.close()


def beside(plugin: Plugin, here: Path) -> Plugin:
    """The plugin, where a relative ``.py`` file's path begins at ``here``."""
    return here / plugin if isinstance(plugin, str) and plugin.endswith(".py") else plugin


def load(plugin: Plugin | None, settings: Settings) -> Plugins:
    """A plugin alone, for several hubs; without one, all that the settings find.

    Raises PluginError where one cannot be loaded, SettingError where there is none.
    """
    with _faults("hub.plugin"):  # what it would log is raised
        plugins = Plugins(
            settings, discover(settings) if plugin is None else _found(plugin, settings)
        )
    for failed in plugins.failed:
        raise PluginError(f"{failed.name} ({failed.origin}) is not loaded: {failed.reason}")
    return plugins


def _found(plugin: Plugin, settings: Settings) -> list[Found]:
    if isinstance(plugin, ModuleType):
        return [in_module(plugin)]
    if str(plugin).endswith(".py"):
        if not Path(plugin).is_file():
            raise SettingError(f"plugin: there is no file {plugin}")
        return [in_file(Path(plugin))]
    return discover(replace(settings, load_plugins=(str(plugin),), without=()))


def _with_secrets(settings: Settings, plugins: Plugins) -> Settings:
    sources: dict[str, SourceSettings] = {}
    for source, _ in plugins.sources:
        own = settings.sources.get(source_key(source.name), SourceSettings())
        sources[source_key(source.name)] = own
        is_signed = not isinstance(source.authenticate, Open) or own.signature or own.required
        is_keyed = isinstance(source.authenticate, Ed25519)
        if is_signed and (is_keyed or not (own.secrets or settings.webhook_secret)):
            secret = keys.secret_for(source.authenticate, SECRET)
            sources[source_key(source.name)] = replace(own, secrets=(secret,))
    return replace(settings, sources=sources)


def _environ(request: Request) -> dict[str, Any]:
    raw = [
        (name.encode(), value.encode("latin-1", "replace"))
        for name, value in request.headers.items()
    ]
    return environ_of(
        {
            "method": request.method,
            "path": unquote(request.path),
            "query_string": request.query.encode("latin-1", "replace"),
            "http_version": "1.1",
            "headers": raw,
        }
    )


@contextmanager
def _faults(logger: str = "hub.log") -> Iterator[list[str]]:
    """The lines of a part of the hub's log, while the block runs, in place of the log."""
    lines: list[str] = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    log = logging.getLogger(logger)
    level, propagates = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    try:
        yield lines
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagates
