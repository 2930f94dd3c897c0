"""A hub in memory with one plugin, or any: what is posted to it goes the whole way and is thrown away."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from hub.config.load import source_key
from hub.config.settings import Settings, SourceSettings
from hub.domain.delivery import Delivery, new_delivery_id
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
from hub.errors import PluginError, SettingError
from hub.http.app import Application
from hub.http.asgi import environ_of
from hub.http.batch import Request, run
from hub.hub import Hub
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import prepare
from hub.plugin.discovery import Found, discover, in_file, in_module
from hub.plugin.loading import Plugins
from hub.record import dump
from hub.store import scratch
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import MEMORY_URL
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
        """Post a body to a source, signed unless ``headers`` have a credential or ``sign`` says no."""
        endpoint = self.endpoint(source)
        sent = {"content-type": "application/json", "content-length": str(len(body))}
        sent |= {name.lower(): value for name, value in headers.items()}
        if sign and not any(name in sent for name in endpoint.authentication.headers):
            sent |= {name.lower(): one for name, one in self.credentials(endpoint, body).items()}
        with _faults() as faults:
            (response,) = run(self._application, [Request(_environ(endpoint, sent), body)])
        found = {name.lower(): value for name, value in response.headers}
        operations = self.operations(source, body, headers)
        return Posted(response.status, found, response.body, operations, tuple(faults))

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
        endpoint = self.endpoint(source)
        lower = MappingProxyType(
            endpoint.kept_headers.of({name.lower(): value for name, value in headers.items()})
        )
        delivery = Delivery(new_delivery_id(), endpoint.source.name, utc_now(), lower, body)
        with _faults():
            return prepare(self.hub.plugins.hooks, endpoint, delivery).operations

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
        if is_signed and not (own.secrets or settings.webhook_secret):
            sources[source_key(source.name)] = replace(own, secrets=(SECRET,))
    return replace(settings, sources=sources)


def _environ(endpoint: Endpoint, headers: Mapping[str, str]) -> dict[str, Any]:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return environ_of(
        {
            "method": "POST",
            "path": endpoint.path,
            "query_string": b"",
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
