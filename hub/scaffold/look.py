"""What captured requests look like: their form, their methods, where in them texts stand, and their
payloads.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub import handshakes
from hub.domain.captures import CapturedRequest
from hub.errors import Refused, SettingError
from hub.wire.forms import (
    CLOUD_EVENTS,
    FORM,
    JSON,
    JSON_OBJECT,
    JWT,
    MULTIPART,
    QUERY,
    TEXT,
    DelimitedRows,
    Form,
    FormBody,
    Json,
    Multipart,
    gaining,
)
from hub.wire.request import FORM_TYPE, Request

_TOKEN = re.compile(rb"\s*\"?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\"?\s*")
_HANDSHAKES = {name: one for name, one in vars(handshakes).items() if one in handshakes.KNOWN}
_SECRET_NAMES = re.compile(
    r"(?:.*[_-])?(?:token|secret|key|sig|signature|password|passwd|auth|hmac|apikey)", re.IGNORECASE
)
_MOST_COLUMNS = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What the requests have in common. ``written`` is the form as Python has it; ``rows`` says that each
    payload is an array of them; ``members`` are those that stand in the query beside a body, ``unused``
    those of which nothing is made.
    """

    form: Form
    written: str
    methods: tuple[str, ...]
    rows: bool
    payloads: tuple[Any, ...]
    requests: tuple[CapturedRequest, ...]
    members: Mapping[str, str] = field(default_factory=dict)
    handshakes: tuple[str, ...] = ()
    unused: frozenset[str] = frozenset()

    @property
    def own_path(self) -> str:
        """The path of the first request, if it may be one that a device cannot change: of plain words,
        since anything else may be a secret.
        """
        path = self.requests[0].path.rstrip("/")
        is_plain = re.fullmatch(r"(?:/[a-z]{1,20}(?:\.[a-z]{2,4})?){2,}", path)
        return path if is_plain and not path.startswith("/api/") else ""


def looked_at(requests: Sequence[CapturedRequest]) -> Look:
    """The look of requests. Handshakes among them are set aside. Raises SettingError."""
    found = {name for one in requests if (name := _handshake(one)) is not None}
    others = [one for one in requests if _handshake(one) is None]
    if not others:
        raise SettingError(
            f"from-capture: there is nothing but the handshake {', '.join(sorted(found))}; capture a "
            "request that tells of a check-in"
        )
    form, written = _form(others)
    payloads, read = [], []
    for number, one in enumerate(others, start=1):
        try:
            payloads.append(form.read(request_of(one)))
            read.append(one)
        except Refused as refused:
            if number == 1:
                raise SettingError(
                    f"from-capture: the body of request {number} cannot be a payload: "
                    f"{refused.details}"
                ) from None
            # One of another form is another kind of request.
    first = payloads[0]
    rows = isinstance(first, list) and bool(first) and all(isinstance(one, dict) for one in first)
    kept = [(payload, one) for payload, one in zip(payloads, read, strict=True)
            if isinstance(payload, list) is isinstance(first, list)]  # fmt: skip
    members = {} if form is QUERY else _in_query(read)
    return Look(
        form,
        written,
        tuple(dict.fromkeys(one.method for one in read)),
        rows,
        tuple(_with(payload, members, one) for payload, one in kept),
        tuple(one for _, one in kept),
        members,
        tuple(sorted(found)),
    )


def request_of(captured: CapturedRequest, base: str = "") -> Request:
    """A captured request as a source reads it. Its URL begins with ``base``."""
    return Request(
        captured.method, captured.path, captured.query, captured.headers, captured.body, base=base
    )


def _handshake(captured: CapturedRequest) -> str | None:
    request = request_of(captured)
    answered = (name for name, one in _HANDSHAKES.items() if one.reply_to(request, ["a secret"]))
    return next(answered, None)


def _form(requests: Sequence[CapturedRequest]) -> tuple[Form, str]:
    """The form of the first request, which all should have."""
    first = requests[0]
    content_type = first.headers.get("content-type", "").partition(";")[0].strip().lower()
    request = request_of(first)
    if not first.body.strip():
        return (QUERY, "QUERY") if first.query else (JSON_OBJECT, "JSON_OBJECT")
    if "ce-specversion" in first.headers or content_type.startswith("application/cloudevents"):
        return CLOUD_EVENTS, "CLOUD_EVENTS"
    if content_type == "multipart/form-data":
        return _with_json(requests, MULTIPART, "MULTIPART", "Multipart")
    if _TOKEN.fullmatch(first.body) and first.body.lstrip(b'" ').startswith(b"eyJ"):
        return JWT, "JWT"
    json = _json(request)
    if content_type == FORM_TYPE:
        if json is not None:
            return Json(media_types=(FORM_TYPE,)), f'Json(media_types=("{FORM_TYPE}",))'
        return _with_json(requests, FORM, "FORM", "FormBody")
    is_text = content_type.startswith("text/") or content_type in ("", "application/octet-stream")
    if json is None and is_text:
        return _text(requests, content_type)
    if isinstance(json, list):
        return JSON, "JSON"
    return JSON_OBJECT, "JSON_OBJECT"


def _json(request: Request) -> Any:
    try:
        found = request.json
    except Refused:
        return None
    return found if isinstance(found, dict | list) else None


def _with_json(
    requests: Sequence[CapturedRequest], form: Form, written: str, name: str
) -> tuple[Form, str]:
    """A form, with the members whose texts are JSON in every request that has them."""
    pairs: list[tuple[str, str]] = []
    for one in requests:
        try:
            pairs += request_of(one).form_pairs
        except Refused:
            continue
    texts: dict[str, list[str]] = {}
    for member, text in pairs:
        texts.setdefault(member, []).append(text)
    inner = tuple(member for member, every in texts.items() if all(map(_is_json, every)))
    several = tuple(
        member
        for member, every in texts.items()
        if len(every) > len(requests) and member.endswith("[]")
    )
    if not inner and not several:
        return form, written
    kind = Multipart if name == "Multipart" else FormBody
    given = [
        f"{option}={_tuple(names)}"
        for option, names in (("several", several), ("json", inner))
        if names
    ]
    return kind(several=several, json=inner), f"{name}({', '.join(given)})"


def _tuple(names: Sequence[str]) -> str:
    from hub.scaffold.module import literal

    inner = ", ".join(literal(name) for name in names)
    return f"({inner},)" if len(names) == 1 else f"({inner})"


def _is_json(text: str) -> bool:
    return text.strip().startswith(("{", "[")) and _json(Request(body=text.encode())) is not None


def _text(requests: Sequence[CapturedRequest], content_type: str) -> tuple[Form, str]:
    """Rows of fields, if every line of the first request has as many; else plain text."""
    lines = [one for one in requests[0].body.decode("utf-8", "replace").split("\n") if one.strip()]
    for delimiter in ("\t", ",", ";", "|"):
        counts = {line.count(delimiter) for line in lines}
        if len(counts) == 1 and 0 < min(counts) < _MOST_COLUMNS:
            return _rows(lines, delimiter, min(counts) + 1, content_type)
    if content_type in TEXT.media_types or not content_type:
        return TEXT, "TEXT"
    return JSON_OBJECT, "JSON_OBJECT"


def _rows(
    lines: Sequence[str], delimiter: str, columns: int, content_type: str
) -> tuple[Form, str]:
    from hub.scaffold.module import literal

    first = [one.strip() for one in lines[0].split(delimiter)]
    has_names = len(lines) > 1 and all(re.fullmatch(r"[A-Za-z_][A-Za-z _-]*", one) for one in first)
    names = () if has_names else tuple(f"column_{number}" for number in range(1, columns + 1))
    usual = DelimitedRows(())
    types = () if content_type in ("", *usual.media_types) else (content_type,)
    form = DelimitedRows(names, delimiter, media_types=(*types, *usual.media_types))
    given = [_tuple(names)] if names else []
    given += [f"delimiter={literal(delimiter)}"] if delimiter != "\t" else []
    given += [f"media_types={_tuple(types)}"] if types else []
    return form, f"DelimitedRows({', '.join(given)})"


def _in_query(requests: Sequence[CapturedRequest]) -> dict[str, str]:
    """The members of the query beside a body that every request has, and that look like no secret."""
    found: dict[str, str] = {}
    for number, one in enumerate(requests):
        try:
            names = {name for name, _ in request_of(one).query_pairs}
        except Refused:
            names = set()
        own = {name for name in names if name and not looks_secret(name)}
        kept = own if number == 0 else own & set(found)
        found = {name: f"query:{name}" for name in sorted(kept)}
    return found


def _with(payload: Any, members: Mapping[str, str], captured: CapturedRequest) -> Any:
    if not members:
        return payload
    pairs = dict(request_of(captured).query_pairs)
    return gaining(payload, {name: pairs[name] for name in members})


def looks_secret(name: str) -> bool:
    """Whether a member of this name has rather a credential."""
    return _SECRET_NAMES.fullmatch(name) is not None


def rows_of(look: Look) -> Iterator[Any]:
    """What ``normalize`` is given, one by one."""
    for payload in look.payloads:
        yield from payload if look.rows else (payload,)
