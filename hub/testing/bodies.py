"""Bodies that no source may take, by the form that it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hub.wire.forms import (
    DelimitedRows,
    Form,
    FormBody,
    Json,
    JwtBody,
    Multipart,
    Query,
    Text,
)
from hub.wire.request import Request, with_body
from hub.wire.strict_json import MAX_DEPTH, MAX_VALUES

Change = Callable[[Request], Request]

_DEEP = b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}"
_JSON = (
    ("empty", b"", True),
    ("no JSON", b"{", True),
    ("an array", b"[]", None),
    ("a number", b"7", None),
    ("null", b"null", None),
    ("an empty object", b"{}", False),
    ("not UTF-8", b'{"a": "\xff"}', False),
    ("with a name twice", b'{"a": 1, "a": 2}', True),
    ("with NaN", b'{"a": NaN}', True),
    ("nested too deep", _DEEP, True),
)
_FORM = (
    ("not UTF-8", b"a=%ff"),
    ("with a NUL character", b"a=%00"),
    ("with a name twice", b"a=1&a=2"),
    ("with too many members", b"a=1&" * (MAX_VALUES + 1)),
)


def malformed_bodies(form: Form) -> Iterator[tuple[str, Change, bool]]:
    """What is wrong, a change that makes a request so, and whether it must be refused; where not, a
    source's schema or scheme decides.
    """
    if isinstance(form, Json):
        for what, body, is_bad in _JSON:
            yield what, _body(body), not form.any_kind if is_bad is None else is_bad
    elif isinstance(form, Query):
        for what, text in _FORM[:3]:
            yield f"query {what}", _query(text), True
        yield "query of 60 KiB", _query(b"unforeseen=" + b"x" * 61_440), False
    elif isinstance(form, FormBody):
        for what, text in _FORM:
            yield what, _body(text), True
    elif isinstance(form, Multipart):
        yield from _multipart()
    elif isinstance(form, Text | DelimitedRows):
        yield "not UTF-8", _body(b"\xff\n"), True
        yield "with a NUL character", _body(b"a\0\n"), True
    elif isinstance(form, JwtBody):
        yield "no token", _body(b"nonsense"), False


def _multipart() -> Iterator[tuple[str, Change, bool]]:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n%s\r\n'
    nameless = b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--\r\n"
    for what, body, content_type in (
        ("without a boundary", part % b"1" + b"--b--\r\n", "multipart/form-data"),
        ("whose end never comes", part % b"1", "multipart/form-data; boundary=b"),
        ("of another boundary", part % b"1" + b"--b--\r\n", "multipart/form-data; boundary=c"),
        ("with a part without a name", nameless, "multipart/form-data; boundary=b"),
        ("with a name twice", (part % b"1") * 2 + b"--b--\r\n", "multipart/form-data; boundary=b"),
        ("not UTF-8", part % b"\xff" + b"--b--\r\n", "multipart/form-data; boundary=b"),
    ):
        yield what, _body(body, content_type), True


def _body(body: bytes, content_type: str = "") -> Change:
    def change(request: Request) -> Request:
        return with_body(request, body, content_type or request.headers.get("content-type", ""))

    return change


def _query(text: bytes) -> Change:
    return lambda request: replace(request, query=text.decode())
