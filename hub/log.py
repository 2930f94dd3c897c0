"""Logging: one line an event on standard error, with ids and without people."""

import logging
import traceback

_log = logging.getLogger(__name__)


def configure(level: str) -> None:
    """Send the hub's log, and its server's warnings, to standard error."""
    # What no line shows is not looked up for each (the logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level="WARNING")
    logging.getLogger("hub").setLevel(level.upper())


def log_fault(what: str, error: BaseException) -> None:
    """Log a fault with where it happened; its text, which may name a person, only at level debug."""
    frames = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    _log.error("%s: %s\n%s", what, type(error).__name__, frames)
    _log.debug("its text: %s", error)
