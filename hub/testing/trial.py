"""Trying a plugin: each of its fixtures goes through a hub in memory that has nothing else."""

import difflib
import json
import time
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from hub.config.settings import Settings
from hub.domain.delivery import is_delivery_id
from hub.domain.identifiers import Identifier
from hub.domain.operations import Operation
from hub.domain.timestamps import parse_timestamp, utc_now
from hub.testing.fixtures import Fixture
from hub.testing.memory import Plugin, memory_hub

_NOW = "<time of receipt>"


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a fixture. ``differences`` are lines of a diff from what is expected, ``faults``
    lines that tell why the plugin failed.
    """

    fixture: Fixture
    operations: tuple[Operation, ...]
    status: int
    answer: Any
    milliseconds: float
    faults: tuple[str, ...] = ()

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


def try_fixture(plugin: Plugin, source: str | None, fixture: Fixture, settings: Settings) -> Tried:
    """Post a fixture to a plugin's source in a hub that has nothing else.

    ``plugin`` is a ``.py`` file, or the name of a plugin that is installed or built in; ``source`` one
    of its sources, if it has several. The students and events that its check-ins name are made before.
    Raises PluginError where it cannot be loaded, SettingError for a wrong name.
    """
    with memory_hub(plugin, settings) as hub:
        request = hub.of_fixture(source, fixture)
        operations = hub.operations_of(source, request, fixture.fetched)
        hub.know_named(operations)
        now = utc_now()
        started = time.perf_counter()
        posted = hub.send(source, request)
        took = time.perf_counter() - started
    answer = _stable(posted.told, now, utc_now())
    return Tried(fixture, operations, posted.status, answer, took * 1000, posted.faults)


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


def _stable(value: Any, since: datetime, until: datetime) -> Any:
    """An answer without what is different each time: the time of receipt."""
    if isinstance(value, dict):
        return {name: _stable(member, since, until) for name, member in value.items()}
    if isinstance(value, list):
        return [_stable(item, since, until) for item in value]
    if isinstance(value, str) and value.endswith("Z") and _is_between(value, since, until):
        return _NOW
    if isinstance(value, str) and is_delivery_id(value):
        return "<id>"
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
