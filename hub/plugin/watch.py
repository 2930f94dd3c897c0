"""Watching plugins on the way of a request: whoever is slow there is named in the log."""

import logging

_log = logging.getLogger(__name__)

SLOW = 0.1
"""Seconds from which a plugin's part in a request is worth a line in the log."""


def tell_if_slow(plugin: str, what: str, seconds: float, on: str = "") -> None:
    """Log that a plugin was too slow while a request waited. ``on`` names the delivery."""
    if seconds > SLOW:
        said = f"{what} took {seconds:.2f} s{on}; while it does so for one request, all others wait"
        _log.warning("plugin %s: %s", plugin, said)
