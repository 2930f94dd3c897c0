"""Readers: a setting's value as a file, the environment or an option has it, to its type.

Each raises ValueError with what the value must be; the caller names the setting.
"""

import re
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_ORIGIN = re.compile(r"https?://[^/\s]+")


def text(value: Any) -> str:
    """Text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("it must be text, and not empty")
    return value


def whole_number(least: int, most: int) -> Callable[[Any], int]:
    """A whole number from ``least`` to ``most``."""

    def read(value: Any) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if type(number) is not int or not least <= number <= most:
            raise ValueError(f"it must be a whole number from {least} to {most}")
        return number

    return read


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


def time_zone(value: Any) -> tzinfo:
    """A time zone by its name in the IANA database."""
    name = text(value)
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("it must be an IANA time zone such as America/Denver") from None
