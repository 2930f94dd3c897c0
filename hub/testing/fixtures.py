"""Fixtures: requests to try, one a file. ``<event>__<variant>.json`` has the payload, which is posted
in the form that the source takes; ``<event>__<variant>.http`` a whole request, as HTTP has it in text.

Beside it may be ``<event>__<variant>.headers.json`` with the request's headers,
``<event>__<variant>.fetched.json`` with what is fetched for it, and
``<event>__<variant>.expected.json`` with the operations, status and answer that are right.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.errors import SettingError
from hub.wire.message import read_message
from hub.wire.request import Request

_EXPECTED, _HEADERS, _FETCHED = ".expected.json", ".headers.json", ".fetched.json"
_HTTP = ".http"


@dataclass(frozen=True, slots=True)
class Fixture:
    """A request to try: its file, body and headers, and what is expected of it, if anything is.

    ``request`` is the whole request, of one that is written whole. ``fetched`` is what is fetched for it.
    """

    file: Path
    body: bytes
    headers: Mapping[str, str]
    expected: Any
    request: Request | None = None
    fetched: Any = None

    @property
    def name(self) -> str:
        """``<event>__<variant>``."""
        return self.file.stem

    @property
    def expectation(self) -> Path:
        """The file in which what is expected stands, or would."""
        return self.file.with_name(self.name + _EXPECTED)


def fixtures(path: Path) -> list[Fixture]:
    """The fixtures in a folder, sorted, or the one in a file. Raises SettingError."""
    if path.is_dir():
        files = sorted([*path.glob("*.json"), *path.glob(f"*{_HTTP}")])
    elif path.is_file():
        files = [path]
    else:
        raise SettingError(f"fixtures: there is no file or folder {path}")
    beside = (_EXPECTED, _HEADERS, _FETCHED)
    found = [fixture(file) for file in files if not file.name.endswith(beside)]
    if not found:
        raise SettingError(f"fixtures: {path} has none; name them <event>__<variant>.json")
    return found


def fixture(file: Path) -> Fixture:
    """The fixture in a file. Raises SettingError."""
    event, separator, variant = file.stem.partition("__")
    if not (event and separator and variant):
        raise SettingError(f"fixtures: {file} must be named <event>__<variant>.json")
    headers = _json(file.with_name(file.stem + _HEADERS)) or {}
    if not isinstance(headers, dict) or not all(isinstance(one, str) for one in headers.values()):
        raise SettingError(f"fixtures: {file.stem}{_HEADERS} must be an object of texts")
    expected = _json(file.with_name(file.stem + _EXPECTED))
    fetched = _json(file.with_name(file.stem + _FETCHED))
    body = file.read_bytes()
    if file.suffix != _HTTP:
        return Fixture(file, body, headers, expected, None, fetched)
    request = read_message(body)
    headers = {**request.headers, **{name.lower(): one for name, one in headers.items()}}
    return Fixture(file, request.body, headers, expected, request, fetched)


def _json(file: Path) -> Any:
    if not file.exists():
        return None
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise SettingError(f"fixtures: {file} is not JSON: {error}") from None
