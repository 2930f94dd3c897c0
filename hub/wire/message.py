"""A request as HTTP/1.1 has it in text: a request line, headers, an empty line, the body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.parser import HeaderParser
from urllib.parse import urlsplit

from hub.wire.request import Request

_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/[\d.]+\r?\n")
_HEADER_LINE = re.compile(rb"[A-Za-z][A-Za-z0-9-]*:[ \t]?")
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


def read_message(contents: bytes) -> Request:
    """The request in a text: whole, its headers and body, or a body alone (a path of '' then)."""
    method, path, query = "POST", "", ""
    line = _REQUEST_LINE.match(contents)
    rest = contents
    if line is not None:
        parts = urlsplit(line[2].decode("latin-1"))
        method, path, query = line[1].decode(), parts.path, parts.query
        rest = contents[line.end() :]
    headers: Mapping[str, str] = {}
    body = rest
    if _HEADER_LINE.match(rest) or line is not None:
        head, *others = _END_OF_HEADERS.split(rest, maxsplit=1)
        message = HeaderParser().parsestr(head.decode("latin-1"))
        headers = {name.lower(): " ".join(str(value).split()) for name, value in message.items()}
        body = others[0] if others else b""
        length = headers.get("content-length", "")
        # What an editor adds at the end is no part of what was signed.
        body = body[: int(length)] if length.isascii() and length.isdigit() else body
    return Request(method, path, query, headers, body)
