"""Strict JSON (RFC 8259): one meaning for every body, and nothing that a store could not keep.

UTF-8 only, without a byte order mark; no ``NaN`` or ``Infinity``, no number too large for a double,
no duplicate names in an object, no nesting deeper than 64, no lone surrogates, no NUL characters.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from hub.errors import InvalidPayload

MAX_DEPTH = 64
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIR = re.compile(rb"\[\]|\{\}")
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ERROR = "Invalid JSON payload"


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises InvalidPayload, saying what is wrong and where."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"The body is not UTF-8: byte {error.start} cannot be decoded") from None
    if text.startswith("\ufeff"):
        raise _invalid("The body begins with a byte order mark; send UTF-8 without one")
    try:
        payload = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        what = error.msg.removesuffix(" at")
        raise _invalid(f"{what} at {where}" if text.strip() else "The body is empty") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # int() refuses numbers of more than some thousand digits.
        raise _invalid("A number has too many digits") from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deep(body):
        raise _too_deep()
    if not isinstance(payload, dict):
        raise _invalid("The body must be a JSON object")
    if b"\\u" in body:
        _check_characters(payload)
    return payload


def _invalid(details: str) -> InvalidPayload:
    return InvalidPayload(_ERROR, details)


def _too_deep() -> InvalidPayload:
    return _invalid(f"Nested deeper than {MAX_DEPTH} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _invalid(f"The name {_shown(name)} occurs twice in one object")
            seen.add(name)
    return members


def _constant(name: str) -> NoReturn:
    raise _invalid(f"{name} is not JSON")


def _float(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _invalid("A number is too large for a double")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def _is_deep(body: bytes) -> bool:
    """Whether the brackets of a body, if they are balanced, nest deeper than the limit.

    Each step takes time in proportion to the body, whatever is in it.
    """
    brackets = _STRING.sub(b"", body).translate(None, delete=_NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return False
        brackets = _PAIR.sub(b"", brackets)
    return bool(brackets)


def _check_characters(payload: dict[str, Any]) -> None:
    for pointer, text in _strings(payload):
        if "\0" in text:
            raise _invalid(f"A NUL character at {pointer or '/'}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise _invalid(f"A lone surrogate at {pointer or '/'}") from None


def _strings(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """Every string in ``value``, names included, with the JSON Pointer of where it stands."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield pointer, name
            yield from _strings(member, f"{pointer}/{_shown(name)}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")


def _shown(name: str) -> str:
    """A member's name as it may stand in an answer: short, and encodable."""
    safe = name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
    return safe if len(safe) <= 60 else safe[:57] + "..."
