"""Logging: one line an event on standard error, with ids and without people."""

import json
import logging
import os
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from hub.errors import InvalidOperation, PluginError

_log = logging.getLogger(__name__)

_HUB = str(Path(__file__).parent) + os.sep
_FRAMES = 4
"""Places that a fault's line names, the innermost first."""


def plain(text: str) -> str:
    """Text on one line that cannot steer a terminal, whoever wrote what is in it: what is not printable
    is escaped.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def configure(level: str, form: str = "text") -> None:
    """Send the hub's log, and its server's warnings, to standard error, each a line: ``text`` for people,
    or ``json``, an object with ``at`` (UTC), ``level``, ``logger`` and ``message``.
    """
    handler = logging.StreamHandler()
    lines = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    handler.setFormatter(_Json() if form == "json" else _Formatter(lines))
    logging.basicConfig(handlers=[handler], level="WARNING")
    logging.getLogger("hub").setLevel(level.upper())


def keep_plain() -> None:
    """Let what is logged without ``configure`` be plain as well: by any command but ``serve``."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(_Plain())


def look_up_less() -> None:
    """Look up nothing for a line that the hub's lines do not show (the logging HOWTO, "Optimization").

    For a process that is the hub's own: another server's lines may show it.
    """
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None


class _Plain(logging.Formatter):
    """Formats an event as one line of plain text; the lines of a traceback follow it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        return plain(super().formatMessage(record))


class _Json(logging.Formatter):
    """Formats an event as one line of JSON (RFC 8259), which needs no other escaping."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "at": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told)


class _Formatter(_Plain):
    """Formats a second once, however many lines it has."""

    def __init__(self, form: str) -> None:
        super().__init__(form)
        self._second = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        second = int(record.created)
        if second != self._second[0]:
            self._second = second, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
        return f"{self._second[1]},{int(record.msecs):03d}"


def log_fault(what: str, error: BaseException) -> None:
    """Log a fault and where it happened; its text, which may name a person, only at level debug.

    A PluginError of the hub's own tells what is wrong with the plugin, and where; so it is told as it is.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    is_own = not frames or frames[-1].filename.startswith(_HUB)
    if is_own and isinstance(error, PluginError) and not isinstance(error, InvalidOperation):
        _log.error("%s: %s", what, error)
        return
    places = " < ".join(
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    kind = str(error) if isinstance(error, InvalidOperation) else type(error).__name__
    _log.error("%s: %s at %s", what, kind, places or "an unknown place")
    _log.debug("its text: %s", error)
