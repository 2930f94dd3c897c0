"""The forms of bodies: how a request's bytes become the plain JSON that a source's schema sees.

Whatever the form, the limits of strict JSON hold (``hub.wire.strict_json``): UTF-8, depth, size, no name
twice where one is wanted, no NUL, no lone surrogate. What is no such form is refused with 400, a content
type that the form does not take with 415.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from hub.errors import InvalidPayload
from hub.wire.body import require_json, require_type
from hub.wire.parts import parts_of, text_of
from hub.wire.request import FORM_TYPE, Pairs, Place, Request, form_of, with_body
from hub.wire.strict_json import MAX_VALUES, parse, parse_any, require_plain


@runtime_checkable
class Form(Protocol):
    """A form of bodies.

    ``media_types`` are those that a request may name as its content type; ``headers`` are read by it, in
    lower case, and kept; ``whole_query`` says whether it reads every member of the query.
    """

    @property
    def media_types(self) -> tuple[str, ...]: ...

    @property
    def headers(self) -> tuple[str, ...]: ...

    @property
    def whole_query(self) -> bool: ...

    def read(self, request: Request) -> Any:
        """The payload. Raises InvalidPayload, UnsupportedMediaType."""

    def write(self, payload: Any, request: Request) -> Request:
        """A request with this payload, for who tries a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plain:
    media_types: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    whole_query: bool = False


@dataclass(frozen=True, slots=True)
class Json(_Plain):
    """JSON: an object, or with ``any_kind`` any value. ``media_types`` are taken beside JSON's own, for
    senders that post JSON under another one, such as ``application/x-www-form-urlencoded``.
    """

    any_kind: bool = False

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        content_type = request.headers.get("content-type", "")
        if not self.media_types or not is_type(content_type, self.media_types):
            require_json(content_type)
        return parse_any(request.body) if self.any_kind else parse(request.body)

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        body = json.dumps(payload, ensure_ascii=False).encode()
        return with_body(request, body, (*self.media_types, "application/json")[0])


@dataclass(frozen=True, slots=True)
class FormBody(_Plain):
    """``application/x-www-form-urlencoded``: an object of texts.

    several: members that may come several times; each is an array. json: members whose texts are JSON, as
    Slack's ``payload``.
    """

    several: Sequence[str] = ()
    json: Sequence[str] = ()
    media_types: tuple[str, ...] = field(default=(FORM_TYPE,), kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        require_type(request.headers.get("content-type", ""), self.media_types)
        return members_of(request.form_pairs, self.several, self.json)

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        return with_body(request, form_of(pairs_from(payload)), self.media_types[0])


@dataclass(frozen=True, slots=True)
class Query(_Plain):
    """No body: the payload is the query, an object of texts. For devices that can only GET."""

    several: Sequence[str] = ()
    whole_query: bool = field(default=True, kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        return members_of(request.query_pairs, self.several, ())

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        query = form_of(pairs_from(payload)).decode()
        return with_body(replace(request, query=query), b"", "")


@dataclass(frozen=True, slots=True)
class Multipart(_Plain):
    """``multipart/form-data`` (RFC 7578): an object of texts; a file is an object with its ``filename``,
    ``content_type`` and ``size``. ``several`` and ``json`` are those of ``FormBody``.
    """

    several: Sequence[str] = ()
    json: Sequence[str] = ()
    media_types: tuple[str, ...] = field(default=("multipart/form-data",), kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        content_type = request.headers.get("content-type", "")
        require_type(content_type, self.media_types)
        pairs = parts_of(request.body, content_type)
        members = members_of(pairs, self.several, self.json)
        require_plain(members)
        return members

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        boundary = "the-parts-end-here"
        lines = []
        files = {name: one for name, one in payload.items() if _is_file(one)}
        for name, value in pairs_from({**payload, **dict.fromkeys(files, "")}):
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
            if (file := files.get(name)) is not None:
                head += f'; filename="{_quoted(str(file["filename"]))}"'
                head += f"\r\nContent-Type: {file.get('content_type') or 'text/plain'}"
                value = "x" * min(int(file["size"]), _LARGEST_FILE)
            lines.append(f"{head}\r\n\r\n{value}\r\n")
        body = "".join((*lines, f"--{boundary}--\r\n")).encode("utf-8", "surrogatepass")
        return with_body(request, body, f"{self.media_types[0]}; boundary={boundary}")


@dataclass(frozen=True, slots=True)
class Text(_Plain):
    """Plain text, whole: ``{"text": …}``."""

    media_types: tuple[str, ...] = field(default=("text/plain",), kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        require_type(request.headers.get("content-type", ""), self.media_types)
        return {"text": text_of(request.body)}

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        return with_body(request, str(payload.get("text", "")).encode(), self.media_types[0])


_TEXTS = (
    "text/plain",
    FORM_TYPE,
    "text/csv",
    "text/tab-separated-values",
    "application/push",
    "application/octet-stream",
)
"""What devices call their text."""


@dataclass(frozen=True, slots=True)
class DelimitedRows(_Plain):
    """Text with a record a line, fields between ``delimiter``: an array of objects of texts, by
    ``columns``. A line may have fewer fields than there are columns; further ones are left out. Without
    ``columns`` the first line names them.
    """

    columns: Sequence[str] = ()
    delimiter: str = "\t"
    media_types: tuple[str, ...] = field(default=_TEXTS, kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        require_type(request.headers.get("content-type", ""), self.media_types)
        text = text_of(request.body)
        if text.count("\n") * (len(self.columns) or 1) > MAX_VALUES:
            raise InvalidPayload("Invalid text payload", f"It has more than {MAX_VALUES} fields")
        if len(self.delimiter) == 1 and self.delimiter != "\t":
            try:
                written = io.StringIO(text, newline="")
                lines = [row for row in csv.reader(written, delimiter=self.delimiter) if row]
            except csv.Error as error:
                raise InvalidPayload("Invalid text payload", f"It is no CSV: {error}") from None
        else:
            lines = [one.rstrip("\r").split(self.delimiter) for one in text.split("\n")]
            lines = [one for one in lines if any(field.strip() for field in one)]
        columns = self.columns
        if not columns and lines:
            columns, lines = [name.strip() for name in lines[0]], lines[1:]
        rows = [dict(zip(columns, line, strict=False)) for line in lines]
        require_plain(rows)
        return rows

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``."""
        rows = payload if isinstance(payload, list) else [payload]
        columns = self.columns or list(dict.fromkeys(name for row in rows for name in row))
        lines = [self.delimiter.join(_cell(row.get(name)) for name in columns) for row in rows]
        if not self.columns:
            lines.insert(0, self.delimiter.join(columns))
        body = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
        return with_body(request, body, self.media_types[0])


@dataclass(frozen=True, slots=True)
class JwtBody(_Plain):
    """The body is a JSON Web Token (RFC 7519): the payload is its claims. ``hub.Jwt`` is what proves
    them; a source with this form and without that is open.
    """

    media_types: tuple[str, ...] = field(
        default=(
            "application/jwt",
            "text/plain",
            "application/json",
            "application/octet-stream",
            FORM_TYPE,
        ),
        kw_only=True,
    )

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        from hub.wire.jwt import claims_of

        require_type(request.headers.get("content-type", ""), self.media_types)
        return parse(claims_of(request.body))

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``. It is signed by the scheme."""
        from hub.wire.jwt import unsigned

        body = unsigned(json.dumps(payload, ensure_ascii=False).encode())
        return with_body(request, body, self.media_types[0])


_ATTRIBUTES = tuple(
    f"ce-{name}" for name in ("specversion", "id", "source", "type", "subject", "time")
)


@dataclass(frozen=True, slots=True)
class CloudEvents(_Plain):
    """CloudEvents 1.0 over HTTP, in all three modes: structured, binary (attributes in ``ce-`` headers)
    and batched. An object with the attributes and ``data``; a batch is an array of them.
    """

    headers: tuple[str, ...] = field(default=_ATTRIBUTES, kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        content_type = request.headers.get("content-type", "")
        if "ce-specversion" not in request.headers:
            require_json(content_type)
            return parse_any(request.body)
        require_json(content_type)
        told = {
            name.removeprefix("ce-"): request.headers[name]
            for name in self.headers
            if name in request.headers
        }
        require_plain(told)
        return {**told, "data": parse_any(request.body) if request.body else None}

    def write(self, payload: Any, request: Request) -> Request:
        """See ``Form.write``, in the structured mode."""
        kind = "cloudevents-batch" if isinstance(payload, list) else "cloudevents"
        body = json.dumps(payload, ensure_ascii=False).encode()
        return with_body(request, body, f"application/{kind}+json")


@dataclass(frozen=True, slots=True)
class Read(_Plain):
    """A form of a source's own: ``function`` makes the payload of the ``Request``. It is pure, and raises
    ``hub.Refused`` for what is no such form.
    """

    function: Callable[[Request], Any]
    media_types: tuple[str, ...] = field(default=(), kw_only=True)
    whole_query: bool = field(default=True, kw_only=True)

    def read(self, request: Request) -> Any:
        """See ``Form.read``."""
        if self.media_types:
            require_type(request.headers.get("content-type", ""), self.media_types)
        made = self.function(request)
        require_plain(made)
        return made

    def write(self, payload: Any, request: Request) -> Request:
        """A payload cannot be turned back; the request stays as it is."""
        return request


JSON_OBJECT = Json()
JSON = Json(any_kind=True)
FORM = FormBody()
MULTIPART = Multipart()
QUERY = Query()
TEXT = Text()
CLOUD_EVENTS = CloudEvents()
JWT = JwtBody()


def is_type(content_type: str, media_types: Sequence[str]) -> bool:
    """Whether a content type is one of some media types, whatever its parameters."""
    return content_type.partition(";")[0].strip().lower() in media_types


def members_of(
    pairs: Sequence[tuple[str, Any]], several: Sequence[str], as_json: Sequence[str]
) -> Any:
    """Members of a form as an object. Raises InvalidPayload for one that comes twice and may not."""
    members = dict(pairs)
    if len(members) != len(pairs) or several:
        for name in several:
            members[name] = [value for own, value in pairs if own == name]
        seen = set()
        for name, _ in pairs:
            if name in seen and name not in several:
                raise InvalidPayload("Invalid form", f"The member {shown(name)} comes twice")
            seen.add(name)
    for name in as_json:
        if isinstance(text := members.get(name), str):
            try:
                members[name] = parse_any(text.encode())
            except InvalidPayload as invalid:
                raise InvalidPayload(
                    "Invalid form", f"The member {shown(name)}: {invalid.details}"
                ) from None
    return members


def gaining(payload: Any, members: Mapping[str, Any]) -> Any:
    """A payload that is an object with more members; each object of an array gains them."""
    if not members:
        return payload
    if isinstance(payload, list):
        return [gaining(one, members) if isinstance(one, dict) else one for one in payload]
    return {**payload, **members} if isinstance(payload, dict) else payload


def shown(name: str) -> str:
    """A member's name as it may stand in an answer."""
    return name if len(name) <= 60 else f"{name[:57]}..."


def pairs_from(payload: Any) -> Pairs:
    """The members of a form that a payload is made of: texts as they are, anything else as JSON."""
    if not isinstance(payload, Mapping):
        return [("payload", _cell(payload))]
    return [
        (name, _cell(one))
        for name, value in payload.items()
        for one in (value if isinstance(value, list) else [value])
    ]


_LARGEST_FILE = 1000
"""Bytes of a file that is made up for a trial."""


def _is_file(value: Any) -> bool:
    is_object = isinstance(value, Mapping) and set(value) == {"filename", "content_type", "size"}
    return is_object and isinstance(value["size"], int)


def _quoted(name: str) -> str:
    return name.replace("\r", "").replace("\n", "%0A").replace('"', "%22")


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def keeps_query(form: Form, places: Sequence[Place]) -> frozenset[str] | None:
    """The members of the query that are kept with a delivery; None for all."""
    if form.whole_query:
        return None
    return frozenset(place.name for place in places if place.kind == "query")
