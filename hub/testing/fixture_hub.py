"""A hub in memory as tests use it: fixtures by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hub.config.settings import Settings
from hub.domain.identifiers import Identifier
from hub.errors import SettingError
from hub.testing.fixtures import fixture as read
from hub.testing.memory import MemoryHub, Plugin, Posted
from hub.wire.request import Request


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
        fixture: str | Path | bytes | Mapping[str, Any] | Sequence[Any],
        headers: Mapping[str, str] = MappingProxyType({}),
        *,
        sign: bool = True,
    ) -> Posted:
        """Post a fixture to a source: by its name ``<event>__<variant>``, by its file, or a payload.

        A fixture's name is looked for in ``fixtures/<source>/`` and in ``fixtures/``. It is signed as
        the source demands, unless ``headers`` have a credential or ``sign`` is False.
        """
        if isinstance(fixture, bytes):
            return self._hub.post(source, fixture, headers, sign=sign)
        if isinstance(fixture, Mapping | list):
            request = self._hub.with_payload(source, fixture)
            own = {name.lower(): value for name, value in headers.items()}
            return self.send(
                source, replace(request, headers={**request.headers, **own}), sign=sign
            )
        assert isinstance(fixture, str | Path)
        found = read(self._file(source, fixture))
        request = self._hub.of_fixture(source, found, headers)
        posted = self.send(source, request, sign=sign)
        if found.fetched is not None:
            self.fetched(posted.headers["x-delivery-id"], found.fetched)
        return posted

    def request(self, source: str, payload: Any) -> Request:
        """A request with this payload, in the form that the source takes: to be changed, and sent."""
        return self._hub.with_payload(source, payload)

    def signed(self, source: str, request: Request) -> Request:
        """The same request, proving where it comes from."""
        return self._hub.signed(self._hub.endpoint(source), request)

    def send(self, source: str, request: Request, *, sign: bool = True) -> Posted:
        """Send a request, of any method, path and query; signed as ``post`` does."""
        return self._hub.send(source, request, sign=sign)

    def fetched(self, delivery: str, document: Any) -> None:
        """Have what a delivery waits for fetched."""
        self._hub.fetched(delivery, document)

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
        folders = (self._folder / source, self._folder)
        tried = [folder / f"{fixture}{end}" for folder in folders for end in (".json", ".http")]
        for file in tried:
            if file.is_file():
                return file
        raise SettingError(f"fixtures: there is no file {' or '.join(map(str, tried))}")
