"""Requests to learn from: captured by the hub, or written to a file by another tool."""

from pathlib import Path

from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.wire.message import read_message


def read_file(path: Path) -> CapturedRequest:
    """The request in a file: as HTTP has it (request line, headers, an empty line, body), its headers
    and body, or a body alone. Raises SettingError.
    """
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise SettingError(f"from-capture: {path} cannot be read: {error.strerror}") from None
    found = read_message(contents)
    return CapturedRequest(
        utc_now(), found.headers, found.body, found.method, found.path, found.query
    )
