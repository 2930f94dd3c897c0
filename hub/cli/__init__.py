"""The command line ``attendance-hub``; ``main`` has all its commands."""

from hub.cli.main import main

__all__ = ["main"]
