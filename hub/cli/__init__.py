"""The command line: ``attendance-hub serve``, ``migrate``, ``config``, ``check`` and ``bench``."""

from hub.cli.main import main

__all__ = ["main"]
