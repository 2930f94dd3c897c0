"""Readers: a setting's value as a file, the environment or an option has it, to its type.

Each raises ValueError with what the value must be; the caller names the setting.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hub.wire.forwarded import Network, read_network

_MOST_HOURS = 876_000
_ADDRESS = re.compile(
    r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[^\s?#]*)?"
)
_MAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?"
)
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_WHOLE = re.compile(r"[+-]?[0-9]{1,20}")
_ORIGIN = re.compile(r"https?://[^/\s]+")


def text(value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be text, and not empty")
    return value


def whole_number(least: int, most: int) -> Callable[[Any], int]:
    """A whole number from ``least`` to ``most``."""

    def read(value: Any) -> int:
        number = value
        if isinstance(value, str):
            # int() reads the digits of every script, and underscores.
            number = int(value) if _WHOLE.fullmatch(value.strip()) else None
        if type(number) is not int or not least <= number <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}")
        return number

    return read


def number(value: Any) -> float:
    """A number."""
    try:
        is_plain = not isinstance(value, str) or (value.isascii() and "_" not in value)
        found = float(value) if isinstance(value, str | int | float) and is_plain else None
    except ValueError:
        found = None
    if found is None or isinstance(value, bool) or not math.isfinite(found):
        raise ValueError("it must be a number")
    return found


def hours(value: Any) -> float:
    """A number of hours, from 0 to a hundred years."""
    found = number(value)
    if not 0 <= found <= _MOST_HOURS:
        raise ValueError(f"it must be a number of hours from 0 to {_MOST_HOURS}")
    return found


def seconds(most: float) -> Callable[[Any], float]:
    """A number of seconds, from 0 to ``most``."""

    def read(value: Any) -> float:
        found = number(value)
        if not 0 <= found <= most:
            raise ValueError(f"it must be a number of seconds from 0 to {most:g}")
        return found

    return read


def mail_address(value: Any) -> str:
    """An address of mail, such as ``office@example.edu``."""
    found = text(value).strip()
    if not _MAIL.fullmatch(found):
        raise ValueError("it must be a mail address such as office@example.edu")
    return found


def mail_addresses(value: Any) -> tuple[str, ...]:
    """A list of addresses of mail."""
    return tuple(mail_address(one) for one in words(value))


def web_address(value: Any) -> str:
    """The address of a web site, such as ``https://hub.example.edu``, as its users have it."""
    found = text(value).rstrip("/")
    if not found.isascii() or not _ADDRESS.fullmatch(found):
        raise ValueError("it must be an address such as https://hub.example.edu")
    return found


def texts_by_name(value: Any) -> Mapping[str, str]:
    """A table of texts; in the environment ``name=text, name=text``."""
    if isinstance(value, str):
        pairs = [item.partition("=") for item in value.split(",") if item.strip()]
        if not all(separator for _, separator, _ in pairs):
            raise ValueError("it must be a list of name=text, separated by commas")
        value = {name.strip(): text.strip() for name, _, text in pairs}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ValueError("it must be a table of texts")
    return MappingProxyType(value)


def boolean(value: Any) -> bool:
    """True or false, as TOML has them, or as a word."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise ValueError("it must be true or false")


def choice(*words: str) -> Callable[[Any], str]:
    """One of ``words``."""

    def read(value: Any) -> str:
        if value not in words:
            raise ValueError(f"it must be one of {', '.join(words)}")
        return str(value)

    return read


def words(value: Any) -> tuple[str, ...]:
    """A list of texts; in the environment, separated by commas."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError("it must be a list of texts")
    return tuple(item.strip() for item in items if item.strip())


def origins(value: Any) -> tuple[str, ...]:
    """A list of browser origins (RFC 6454), such as ``https://club.example``."""
    found = words(value)
    for origin in found:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("it must list origins such as https://club.example, without a path")
    return found


def networks(value: Any) -> tuple[Network, ...]:
    """A list of addresses and networks."""
    try:
        return tuple(read_network(one) for one in words(value))
    except ValueError:
        raise ValueError(
            "it must list addresses and networks, such as 127.0.0.1, 10.0.0.0/8"
        ) from None


def time_zone(value: Any) -> tzinfo:
    """A time zone by its name in the IANA database."""
    name = text(value)
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it must be an IANA time zone such as America/Denver") from None
