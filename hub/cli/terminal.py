"""What commands print goes through here: no text steers the terminal, and every moment names its zone."""

import json
import sys
from datetime import UTC, datetime, tzinfo
from typing import Any

import click

from hub.log import plain

__all__ = ["as_json", "lines_of", "local", "plain", "show", "write"]


def show(line: str, *, err: bool = False) -> None:
    """Print one line, on standard error with ``err``: nothing in it makes a line of its own."""
    click.echo(plain(line), err=err)


def write(piece: bytes) -> None:
    """Write a piece of a file to standard output, as it is; at a terminal, so that it steers nothing."""
    if not sys.stdout.isatty():
        click.echo(piece, nl=False)
        return
    for line in lines_of(piece.decode("utf-8", "replace")):
        show(line)


def lines_of(text: str) -> list[str]:
    """The lines of a text that is shown on several, as a terminal and an editor break it."""
    # Not str.splitlines, which also breaks at characters such as U+2028: JSON has them inside of a text.
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON for programs, in printable ASCII, so that ``plain`` leaves it as it is."""
    # The one control character that the library lets through.
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f")


def local(moment: datetime, zone: tzinfo, *, exact: bool = False) -> str:
    """A naive moment in UTC as the hub's people read it: in ``zone``, with the zone's name.

    Whole seconds; with ``exact``, as many digits as it has.
    """
    utc = moment.replace(tzinfo=UTC)
    try:
        there = utc.astimezone(zone)
    except OverflowError:  # at the very ends of the calendar
        there, zone = utc, UTC
    shown = there.replace(tzinfo=None, microsecond=there.microsecond if exact else 0)
    return f"{shown.isoformat(' ')} {zone}"
