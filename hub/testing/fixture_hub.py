"""A hub in memory as tests use it: fixtures by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hub.config.settings import Settings
from hub.domain.identifiers import Identifier
from hub.errors import SettingError
from hub.testing.fixtures import fixture as read
from hub.testing.memory import MemoryHub, Plugin, Posted


class FixtureHub:
    """A hub in memory, and the folder with the fixtures that are posted to it."""

    def __init__(self, folder: Path, plugin: Plugin | None, settings: Settings | None) -> None:
        self._folder = folder
        self._hub = MemoryHub(plugin, settings)

    def close(self) -> None:
        """End it; what it has recorded is gone."""
        self._hub.close()

    def post(
        self,
        source: str,
        fixture: str | Path | bytes | Mapping[str, Any],
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        sign: bool = True,
    ) -> Posted:
        """Post a fixture to a source: by its name ``<event>__<variant>``, by its file, or a payload.

        A fixture's name is looked for in ``fixtures/<source>/`` and in ``fixtures/``. It is signed as
        the source demands, unless ``headers`` have a credential or ``sign`` is False.
        """
        if isinstance(fixture, bytes):
            body = fixture
        elif isinstance(fixture, Mapping):
            body = json.dumps(fixture).encode()
        else:
            found = read(self._file(source, fixture))
            body, headers = found.body, {**found.headers, **headers}
        return self._hub.post(source, body, headers, sign=sign)

    def know(
        self, *, student: str | Identifier | None = None, event: str | Identifier | None = None
    ) -> None:
        """Have a student (A-number, e-mail or Identifier) or an event (name or Identifier) there."""
        self._hub.know(student=student, event=event)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All the rows of a table, such as ``attendance`` or ``delivery``, by column."""
        return self._hub.rows(table)

    def _file(self, source: str, fixture: str | Path) -> Path:
        if isinstance(fixture, Path):
            return fixture
        tried = [self._folder / source / f"{fixture}.json", self._folder / f"{fixture}.json"]
        for file in tried:
            if file.is_file():
                return file
        raise SettingError(f"fixtures: there is no file {' or '.join(map(str, tried))}")
