"""Trying a plugin: each of its fixtures goes through a fresh hub, over a store that is thrown away.

A fixture is a file ``<event>__<variant>.json`` with the body of a request. Beside it may be
``<event>__<variant>.headers.json`` with the request's headers, and ``<event>__<variant>.expected.json``
with the operations, status and answer that are right.
"""

import difflib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hub.attempt import prepare
from hub.config.settings import Settings
from hub.domain.delivery import Delivery, new_delivery_id
from hub.domain.identifiers import Identifier, student_identifier
from hub.domain.operations import CheckIn, CheckOut, Operation, SaveEvent, SaveStudent, Withdraw
from hub.domain.timestamps import parse_timestamp, utc_now
from hub.endpoint import Endpoint
from hub.errors import PluginError, SettingError
from hub.http.app import Hub
from hub.http.asgi import environ_of
from hub.http.batch import Request, run
from hub.store.apply import apply
from hub.store.context import Context

_EXPECTED, _HEADERS = ".expected.json", ".headers.json"
_STARTS_AT = datetime(2024, 1, 15, 10, tzinfo=UTC)
_NOW = "<time of receipt>"


@dataclass(frozen=True, slots=True)
class Fixture:
    """A request to try: its file, body and headers, and what is expected of it, if anything is."""

    file: Path
    body: bytes
    headers: Mapping[str, str]
    expected: Any

    @property
    def expectation(self) -> Path:
        """The file in which what is expected stands, or would."""
        return self.file.with_name(self.file.stem + _EXPECTED)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a fixture. ``differences`` are lines of a diff from what is expected."""

    fixture: Fixture
    operations: tuple[Operation, ...]
    status: int
    answer: Any
    milliseconds: float

    @property
    def result(self) -> dict[str, Any]:
        """What can be expected of it, as JSON has it."""
        operations = [told(operation) for operation in self.operations]
        return {"operations": operations, "status": self.status, "answer": self.answer}

    @property
    def differences(self) -> list[str]:
        if self.fixture.expected is None:
            return []
        expected, found = (
            written(one).splitlines() for one in (self.fixture.expected, self.result)
        )
        return list(difflib.unified_diff(expected, found, "expected", "found", lineterm="", n=1))

    @property
    def passed(self) -> bool:
        """Whether it is as expected; with nothing expected, whether the hub took or refused it."""
        return not self.differences and (self.fixture.expected is not None or self.status < 500)


def fixtures(path: Path) -> list[Fixture]:
    """The fixtures in a folder, sorted, or the one in a file. Raises SettingError."""
    if path.is_dir():
        files = sorted(path.glob("*.json"))
    elif path.is_file():
        files = [path]
    else:
        raise SettingError(f"fixtures: there is no file or folder {path}")
    found = [_fixture(file) for file in files if not file.name.endswith((_EXPECTED, _HEADERS))]
    if not found:
        raise SettingError(f"fixtures: {path} has none; name them <event>__<variant>.json")
    return found


def attempt(plugin: str, source: str | None, fixture: Fixture, settings: Settings) -> Tried:
    """Post a fixture to a plugin's source in a hub that has nothing else.

    ``plugin`` is a ``.py`` file, or the name of a plugin that is installed or built in; ``source`` one
    of its sources, if it has several. The students and events that its check-ins name are made before.
    Raises PluginError where it cannot be loaded, SettingError for a wrong name.
    """
    with _hub(plugin, settings) as hub:
        endpoint = _endpoint(hub, plugin, source)
        now = utc_now()
        headers = MappingProxyType(_lower(fixture.headers))
        delivery = Delivery(new_delivery_id(), endpoint.source.name, now, headers, fixture.body)
        operations = prepare(hub.plugins, endpoint, delivery).operations
        _make_known(hub, operations, now)
        started = time.perf_counter()
        (response,) = run(hub, [_request(endpoint, fixture)])
        took = time.perf_counter() - started
    answer = _stable(json.loads(response.body), now, utc_now())
    return Tried(fixture, operations, response.status, answer, took * 1000)


def told(value: Any) -> Any:
    """An operation, or a value in one, as JSON has it; members that have their default are left out."""
    if isinstance(value, Operation):
        members = {
            entry.name: told(getattr(value, entry.name))
            for entry in fields(value)
            if not _is_default(entry, getattr(value, entry.name))
        }
        return {"operation": type(value).__name__, **members}
    if isinstance(value, Identifier):
        return {"kind": value.kind, "value": value.value}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: told(member) for name, member in value.items()}
    if isinstance(value, tuple | list):
        return [told(item) for item in value]
    return value


def written(result: Any) -> str:
    """A result as it stands in a file of expectations."""
    return json.dumps(result, indent=2, ensure_ascii=False) + "\n"


def _fixture(file: Path) -> Fixture:
    event, separator, variant = file.stem.partition("__")
    if not (event and separator and variant):
        raise SettingError(f"fixtures: {file} must be named <event>__<variant>.json")
    headers = _json(file.with_name(file.stem + _HEADERS)) or {}
    if not isinstance(headers, dict) or not all(isinstance(one, str) for one in headers.values()):
        raise SettingError(f"fixtures: {file.stem}{_HEADERS} must be an object of texts")
    expected = _json(file.with_name(file.stem + _EXPECTED))
    return Fixture(file, file.read_bytes(), headers, expected)


def _json(file: Path) -> Any:
    if not file.exists():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise SettingError(f"fixtures: {file} is not JSON: {error}") from None


@contextmanager
def _hub(plugin: str, settings: Settings) -> Iterator[Hub]:
    name, folder = plugin, ""
    if plugin.endswith(".py"):
        file = Path(plugin)
        if not file.is_file():
            raise SettingError(f"plugin: there is no file {plugin}")
        name, folder = file.stem, str(file.parent)
    with tempfile.TemporaryDirectory(prefix="attendance-hub-try-") as place:
        database = f"sqlite:///{Path(place) / 'try.db'}"
        hub = Hub(
            replace(settings, database=database, plugins=folder, load_plugins=(name,), without=())
        )
        try:
            for failed in hub.plugins.failed:
                raise PluginError(f"{failed.name} ({failed.origin}) is not loaded: {failed.reason}")
            yield hub
        finally:
            hub.close()


def _endpoint(hub: Hub, plugin: str, source: str | None) -> Endpoint:
    named = [one for one in hub.endpoints if source in (None, one.source.name)]
    if len(named) == 1:
        return named[0]
    known = ", ".join(one.source.name for one in hub.endpoints)
    if not named:
        raise SettingError(f"source: the plugin {plugin} has {known or 'no source'}")
    raise SettingError(f"source: the plugin {plugin} has several, {known}; name one with --source")


def _make_known(hub: Hub, operations: Sequence[Operation], now: datetime) -> None:
    """Make the students and events that check-ins name, as if they had been there before."""
    context = Context("before", now, "try", hub.settings.time_zone)
    with hub.store.writing() as tx:
        for operation in operations:
            if not isinstance(operation, CheckIn | CheckOut | Withdraw):
                continue
            if (named := operation.student) is not None:
                who = student_identifier(named)
                student = SaveStudent(identifiers=(who,), first_name="Ada", last_name="Example")
                apply(tx, [student], context)
            if (called := operation.event) is not None:
                own = (called,) if isinstance(called, Identifier) else ()
                name = called.text if isinstance(called, Identifier) else called
                event = SaveEvent(identifiers=own, name=name, starts_at=_STARTS_AT)
                apply(tx, [event], context)


def _request(endpoint: Endpoint, fixture: Fixture) -> Request:
    headers = {
        "content-type": "application/json",
        "content-length": str(len(fixture.body)),
        **_lower(fixture.headers),
    }
    scope = {
        "method": "POST",
        "path": endpoint.path,
        "query_string": b"",
        "http_version": "1.1",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
    }
    return Request(environ_of(scope), fixture.body)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _stable(value: Any, since: datetime, until: datetime) -> Any:
    """An answer without what is different each time: the time of receipt."""
    if isinstance(value, dict):
        return {name: _stable(member, since, until) for name, member in value.items()}
    if isinstance(value, list):
        return [_stable(item, since, until) for item in value]
    if isinstance(value, str) and value.endswith("Z") and _is_between(value, since, until):
        return _NOW
    if isinstance(value, str) and value.startswith("Quote delivery "):
        return "Quote delivery <id>"
    return value


def _is_between(text: str, since: datetime, until: datetime) -> bool:
    try:
        moment = parse_timestamp(text).replace(tzinfo=None)
    except ValueError:
        return False
    return since - timedelta(seconds=1) <= moment <= until


def _is_default(entry: Field[Any], value: Any) -> bool:
    if entry.default is not MISSING:
        return bool(value == entry.default)
    return entry.default_factory is not MISSING and value == entry.default_factory()
