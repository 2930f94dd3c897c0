"""The command line: ``attendance-hub serve``, ``migrate``, ``config`` and ``check``."""

from hub.cli.main import main

__all__ = ["main"]
