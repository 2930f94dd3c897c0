"""Requests to learn from: captured by the hub, or written to a file by another tool."""

import re
from collections.abc import Mapping
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import utc_now
from hub.errors import Refused, SettingError
from hub.wire.strict_json import parse

_REQUEST_LINE = re.compile(rb"[A-Z]+ \S+ HTTP/[\d.]+\r?\n")
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


def read_file(path: Path) -> CapturedRequest:
    """The request in a file: as HTTP has it (request line, headers, an empty line, body), its headers
    and body, or a JSON body alone. Raises SettingError.
    """
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise SettingError(f"from-capture: {path} cannot be read: {error.strerror}") from None
    headers: Mapping[str, str] = {}
    body = contents
    without_line = _REQUEST_LINE.sub(b"", contents, count=1)
    if _HEADER_LINE.match(without_line):
        head, *rest = _END_OF_HEADERS.split(without_line, maxsplit=1)
        message = HeaderParser().parsestr(head.decode("latin-1"))
        headers = {name.lower(): str(value).strip() for name, value in message.items()}
        body = rest[0] if rest else b""
        length = headers.get("content-length", "")
        # What an editor adds at the end is no part of what was signed.
        body = body[: int(length)] if length.isdigit() else body
    return CapturedRequest(utc_now(), headers, body)


def payload_of(request: CapturedRequest, number: int) -> dict[str, Any]:
    """The JSON object that a request posts. Raises SettingError for anything else."""
    try:
        return parse(request.body)
    except Refused as refused:
        raise SettingError(
            f"from-capture: the body of request {number} cannot be a payload: {refused.details}"
        ) from None
