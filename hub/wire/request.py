"""A webhook request as its sender wrote it, and the places in it where a text may stand.

What a source says of its sender (a credential, a part of what is signed, a member that the payload gains)
is said of a place, as one text: ``X-Door`` or ``header:X-Door``, ``query:door``, ``form:door``,
``path:door``, ``json:/data/door`` (RFC 6901).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus, urlencode

from hub.errors import InvalidPayload, Refused
from hub.wire.strict_json import MAX_VALUES, parse_any

REMOVED = "[removed]"
"""What stands where a credential stood."""

FORM_TYPE = "application/x-www-form-urlencoded"
KINDS = ("header", "query", "form", "path", "json")

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """A request whose body has arrived.

    path: as the sender has it, without the query. query: what follows the ``?``, as it came. headers have
    names in lower case. parts: the parts of the path that the source has named. base: scheme and host as
    the sender has them, and the path before the hub's own (the setting ``public_url``).
    """

    method: str = "POST"
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    body: bytes = b""
    parts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    base: str = ""

    @property
    def url(self) -> str:
        """The whole URL, as the sender has it."""
        return f"{self.base}{self.path}" + (f"?{self.query}" if self.query else "")

    @cached_property
    def query_pairs(self) -> Pairs:
        """Name and value of each member of the query. Raises InvalidPayload."""
        return pairs_of(self.query.encode("latin-1", "replace"), "query")

    @cached_property
    def form_pairs(self) -> Pairs:
        """Name and value of each member of the form that is the body, files left out. Raises
        InvalidPayload.
        """
        if self.is_multipart:
            from hub.wire.parts import parts_of

            content_type = self.headers.get("content-type", "")
            return [pair for pair in parts_of(self.body, content_type) if isinstance(pair[1], str)]
        return pairs_of(self.body, "form")

    @property
    def is_multipart(self) -> bool:
        """Whether the body is a form in parts (RFC 7578)."""
        return self.headers.get("content-type", "").lower().startswith("multipart/form-data")

    @cached_property
    def json(self) -> Any:
        """The body as JSON of any kind. Raises InvalidPayload."""
        return parse_any(self.body)


def pairs_of(text: bytes, what: str) -> Pairs:
    """Name and value of each member of a form or of a query (URL Standard, 5.1), strictly: UTF-8, no NUL,
    and not more members than anybody needs. Raises InvalidPayload.
    """
    if text.count(b"&") >= MAX_VALUES:
        raise _invalid(what, f"It has more than {MAX_VALUES} members")
    try:
        plain = text.decode("utf-8")
        pairs = [
            (_decoded(name), _decoded(value))
            for name, _, value in (one.partition("=") for one in plain.split("&") if one)
        ]
    except UnicodeDecodeError:
        raise _invalid(what, "It is not UTF-8") from None
    if b"%00" in text or b"\0" in text:
        raise _invalid(what, "It has a NUL character")
    return pairs


def _decoded(text: str) -> str:
    if "%" not in text:
        return text.replace("+", " ") if "+" in text else text
    return unquote_plus(text, errors="strict")


def _invalid(what: str, details: str) -> InvalidPayload:
    return InvalidPayload(f"Invalid {what}", details)


def as_written(header: str) -> str:
    """The name of a header, in lower case, as it is usually written."""
    return "-".join(part.capitalize() for part in header.split("-"))


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a request a text stands: ``kind`` is one of ``KINDS``; names of headers are lower case."""

    kind: str
    name: str

    @classmethod
    @lru_cache(maxsize=512)
    def of(cls, text: str) -> Place:
        """The place that a text of a declaration means. Raises ValueError."""
        kind, colon, name = text.partition(":")
        if not colon:
            kind, name = "header", text
        if kind not in KINDS or not name.strip():
            raise ValueError(
                f"{text!r} is no place in a request; write header:X-Name, query:name, form:name, "
                "path:name or json:/member/name"
            )
        if kind == "json" and not name.startswith("/"):
            raise ValueError(f"{text!r}: a JSON Pointer begins with /")
        return cls(kind, name.lower() if kind == "header" else name)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def told(self) -> str:
        """The place, as a sentence of a refusal names it."""
        if self.kind == "header":
            return f"{as_written(self.name)} header"
        return f"{self.name} in the {self.kind}"

    def all_in(self, request: Request) -> list[str]:
        """Every text that stands there. What cannot be read has none."""
        if self.kind == "header":
            value = request.headers.get(self.name)
            return [] if value is None else [value]
        if self.kind == "path":
            return [request.parts[self.name]] if self.name in request.parts else []
        try:
            if self.kind == "query":
                return [value for name, value in request.query_pairs if name == self.name]
            if self.kind == "form":
                return [value for name, value in request.form_pairs if name == self.name]
            found = _pointed(request.json, self.name)
        except Refused:
            return []
        return [found] if isinstance(found, str) else []

    def in_(self, request: Request) -> str | None:
        """The text that stands there; None where there is none, or where there are several."""
        found = self.all_in(request)
        return found[0] if len(found) == 1 else None

    def encoded(self, value: str) -> bytes:
        """A text that stands there, in the bytes that the sender wrote: WSGI hands headers over as
        latin-1 (PEP 3333).
        """
        return value.encode("latin-1" if self.kind == "header" else "utf-8", "replace")

    def put(self, request: Request, value: str) -> Request:
        """The same request with another text there."""
        if self.kind == "header":
            return replace(request, headers={**request.headers, self.name: value})
        if self.kind == "path":
            old = request.parts.get(self.name, f"{{{self.name}}}")
            new = quote(value, safe="")
            steps = [new if unquote(one) == old else one for one in request.path.split("/")]
            parts = {**request.parts, self.name: value}
            return replace(request, path="/".join(steps), parts=parts)
        if self.kind == "query":
            return replace(request, query=_with_pair(request.query, self.name, value))
        if self.kind == "form" and request.is_multipart:
            from hub.wire.parts import with_part

            return with_body(request, with_part(request, self.name, value))
        if self.kind == "form":
            text = request.body.decode("utf-8", "surrogateescape")
            body = _with_pair(text, self.name, value).encode("utf-8", "surrogateescape")
            return with_body(request, body)
        try:
            document = parse_any(request.body)
        except Refused:
            return request
        _set(document, self.name, value)
        return with_body(request, json.dumps(document, ensure_ascii=False).encode())

    def is_hidden_in(self, request: Request) -> bool:
        """Whether what may stand there cannot be found, because the body cannot be read as it should."""
        if self.kind not in ("form", "json") or not request.body:
            return False
        try:
            if self.kind == "json":
                return request.json is None
            content_type = request.headers.get("content-type", "")
            is_form = not content_type or content_type.lower().startswith(FORM_TYPE)
            return not (request.form_pairs is not None and (is_form or request.is_multipart))
        except Refused:
            return True

    def removed_from(self, request: Request) -> Request:
        """The same request without what stands there, which may be a credential, whatever it is. Headers
        stay: which of them are kept is said elsewhere.
        """
        if self.kind == "json":
            return self.put(request, REMOVED) if _has(request, self.name) else request
        if self.kind == "form" and request.is_multipart:
            return with_body(request, without_parts(request, self.name))
        if self.kind == "header" or not self.all_in(request):
            return request
        return self.put(request, REMOVED)


def _has(request: Request, pointer: str) -> bool:
    """Whether a JSON Pointer names something in a body."""
    *around, last = steps_of(pointer)
    try:
        inner = _pointed(request.json, "".join(f"/{_escaped(step)}" for step in around))
    except Refused:
        return False
    if isinstance(inner, list):
        return last.isdigit() and int(last) < len(inner)
    return isinstance(inner, dict) and last in inner


def without_parts(request: Request, name: str) -> bytes:
    """The body of a form in parts, with something else in each part of a name. It is cut where the parts
    are; nothing else is touched, and what cannot be read is none of them.
    """
    from hub.wire.parts import boundary_of

    boundary = boundary_of(request.headers.get("content-type", ""))
    if not boundary:
        return request.body
    line = b"--" + boundary
    pieces = re.split(rb"(?:\A|\r?\n)" + re.escape(line), request.body)
    own = re.compile(rb"(?i)[; ]name\s*=\s*\"?" + re.escape(name.encode()) + rb"(?:\"|[;\r\n]|\Z)")
    made = []
    for piece in pieces:
        head, blank, _ = piece.partition(b"\r\n\r\n")
        is_own = bool(blank) and own.search(head) is not None
        made.append(head + blank + REMOVED.encode() if is_own else piece)
    # The pieces but the first begin after a boundary.
    begins = request.body.startswith(line)
    joined = (b"\r\n" + line).join(made)
    return joined[2:] if begins else joined


def with_body(request: Request, body: bytes, content_type: str | None = None) -> Request:
    """The same request with another body, of this content type ('': of none; None: of the same). Its
    length is told where it was, or where the type is another.
    """
    headers = dict(request.headers)
    if content_type is not None:
        headers.pop("content-type", None)
        headers |= {"content-type": content_type} if content_type else {}
    if content_type is not None or "content-length" in headers:
        headers["content-length"] = str(len(body))
    return replace(request, body=body, headers=headers)


def _with_pair(text: str, name: str, value: str) -> str:
    """A form or a query whose members of this name all have another value; it is added where there is
    none. What stands beside them stays as it was written.
    """
    made = urlencode({name: value})
    pieces = [piece for piece in text.split("&") if piece]
    is_own = [_name_of(piece) == name for piece in pieces]
    if not any(is_own):
        return "&".join((*pieces, made))
    changed = [made if own else piece for own, piece in zip(is_own, pieces, strict=True)]
    return "&".join(changed)


def _name_of(piece: str) -> str:
    return unquote_plus(piece.partition("=")[0])


def _pointed(document: Any, pointer: str) -> Any:
    """What a JSON Pointer names (RFC 6901); None for nothing."""
    found = document
    for step in steps_of(pointer):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _set(document: Any, pointer: str, value: str) -> None:
    *around, last = steps_of(pointer)
    inner = _pointed(document, "".join(f"/{_escaped(step)}" for step in around))
    if isinstance(inner, dict):
        inner[last] = value
    elif isinstance(inner, list) and last.isdigit() and int(last) < len(inner):
        inner[int(last)] = value


def steps_of(pointer: str) -> list[str]:
    """The names and indices that a JSON Pointer goes through."""
    return [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")


def without_others(query: str, kept: frozenset[str] | None) -> str:
    """A query with the members alone that are ``kept`` (None: all)."""
    if kept is None or not query:
        return query
    return "&".join(piece for piece in query.split("&") if _name_of(piece) in kept)


def form_of(pairs: Pairs) -> bytes:
    """Members as a form."""
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()
