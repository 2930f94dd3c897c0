"""Strict JSON (RFC 8259): one meaning for every body, and nothing that a store could not keep.

UTF-8 only, without a byte order mark; no ``NaN`` or ``Infinity``, no number too large for a double,
no duplicate names in an object, no nesting deeper than 64, no lone surrogates, no NUL characters; and not
more arrays and objects than anybody needs. Every step takes time in proportion to the body, whatever it
says.
"""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from math import isinf
from typing import Any, NoReturn

from hub.errors import InvalidPayload

MAX_DEPTH = 64
MAX_CONTAINERS = 20_000
"""Arrays and objects of a body: each costs a hundred times what its two bytes do."""

MAX_VALUES = 50_000
"""Members and items of a body."""

_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or one that has no end: then all the rest, which is not searched again at its next quote."""

_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SOUND = re.compile(
    r"[^\\]*+(?:\\(?:[^u]|u(?!0000|[dD][89a-fA-F])....|u[dD][89abAB]..\\u[dD][c-fC-F]..)[^\\]*+)*+",
    re.DOTALL,
)
"""Text whose escapes are no NUL and no lone surrogate. (JSON has its backslashes in strings alone.)"""

_LARGE_NUMBER = re.compile(
    rb"(?<![0-9.])(?:[0-9.]++[eE]\+?[0-9]{3,}|[0-9]{300,}+[0-9.]*+(?:[eE][+-]?[0-9]+)?)"
)
"""A number that may be too large for a double."""

_SHAPES = bytes(
    ord("1") if chr(byte) in "0123456789" else ord("e") if chr(byte) in "eE" else byte
    for byte in range(256)
)
_LARGE_SHAPES = (b"e111", b"e+111", b"1" * 300)
"""What such a number has in it, where every digit is 1: faster to look for."""

_MOST_LARGE_NUMBERS = 1000

_SMALL = 16_384
"""Bytes of a body in which it costs least to look at each number while it is read."""

_LARGE = 65_536
"""Bytes of a body in which a place is told by its line; a pointer takes going through all of it."""

_ERROR = "Invalid JSON payload"


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object in ``body``. Raises InvalidPayload, saying what is wrong and where."""
    payload = parse_any(body)
    if not isinstance(payload, dict):
        raise _invalid("The body must be a JSON object")
    return payload


def parse_any(body: bytes) -> Any:
    """The JSON value in ``body``, of whatever kind. Raises InvalidPayload as ``parse`` does."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"The body is not UTF-8: byte {error.start} cannot be decoded") from None
    if text.startswith("\ufeff"):
        raise _invalid("The body begins with a byte order mark; send UTF-8 without one")
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH or body.count(b",") > MAX_VALUES:
        _require_modest(body)
    is_small = len(body) <= _SMALL
    try:
        payload = (_DECODER if is_small else _FAST_DECODER).decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        what = error.msg.removesuffix(" at")
        raise _invalid(f"{what} at {where}" if text.strip() else "The body is empty") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        # int() refuses numbers of more than some thousand digits.
        raise _invalid("A number has too many digits") from None
    if not is_small:
        _require_doubles(body)
    if b"\\u" in body:
        _require_sound(text, payload)
    return payload


def require_plain(value: Any) -> None:
    """Raise InvalidPayload unless a value that was made of another form is what strict JSON can have."""
    seen = 0
    level = [value]
    depth = 0
    while level:
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                if not all(isinstance(name, str) for name in one):
                    raise _invalid("A member's name is no text")
                inner += one.values()
            elif isinstance(one, list | tuple):
                inner += one
            elif isinstance(one, float) and (isinf(one) or one != one):
                raise _invalid("A number is too large for a double")
            elif not (one is None or isinstance(one, str | int | float | bool)):
                raise _invalid("A value is none that JSON can have")
        seen += len(inner)
        if seen > MAX_VALUES:
            raise _invalid(f"It has more than {MAX_VALUES} members and items")
        depth += bool(inner)
        if depth > MAX_DEPTH:
            raise _too_deep()
        level = inner
    _check_characters(value)


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
    if isinf(number):
        raise _invalid("A number is too large for a double")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)
_FAST_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
"""For what may have many numbers: those are looked at afterwards."""


def _require_modest(body: bytes) -> None:
    """Raise InvalidPayload where brackets nest too deep, or they or the values are too many."""
    # A member has two strings at most, and each two quotes.
    quotes = body.count(b'"') - body.count(b'\\"')
    plain = b"" if quotes > 4 * MAX_VALUES else _STRING.sub(b"", body)
    if quotes > 4 * MAX_VALUES or plain.count(b",") > MAX_VALUES:
        raise _invalid(f"It has more than {MAX_VALUES} members and items")
    brackets = plain.translate(None, delete=_NO_BRACKETS)
    brackets = brackets[: 2 * MAX_CONTAINERS + 1]
    depths = accumulate(map(_STEPS.__getitem__, brackets))
    if max(depths, default=0) > MAX_DEPTH:
        raise _too_deep()
    if len(brackets) > 2 * MAX_CONTAINERS:
        raise _invalid(f"It has more than {MAX_CONTAINERS} arrays and objects")


def _require_doubles(body: bytes) -> None:
    """Raise InvalidPayload for a number with a fraction or an exponent that no double can have."""
    shapes = body.translate(_SHAPES)
    if not any(shape in shapes for shape in _LARGE_SHAPES):
        return
    found = _LARGE_NUMBER.finditer(_STRING.sub(b'""', body))
    for count, number in enumerate(found):
        is_integer = number[0].isdigit()
        if count == _MOST_LARGE_NUMBERS or (not is_integer and isinf(float(number[0]))):
            raise _invalid("A number is too large for a double")


def _require_sound(text: str, payload: Any) -> None:
    """Raise InvalidPayload for a NUL character or a lone surrogate."""
    sound = _SOUND.match(text)
    end = sound.end() if sound else 0
    if end == len(text):
        return
    if len(text) <= _LARGE:
        _check_characters(payload)
    line = text.count("\n", 0, end) + 1
    column = end - text.rfind("\n", 0, end)
    what = "A NUL character" if text.startswith("\\u0000", end) else "A lone surrogate"
    raise _invalid(f"{what} at line {line} column {column}")


def _check_characters(payload: Any) -> None:
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
