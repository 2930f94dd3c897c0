"""The command line ``attendance-hub``; ``main`` has all its commands."""

import sys

import hub

if getattr(hub, "__file__", None) is None:
    # Python has taken a folder of that name, such as a checkout, for the package.
    sys.exit(
        f"attendance-hub: the folder {next(iter(hub.__path__))} hides the installed package hub; "
        "start in another folder"
    )

from hub.cli.main import main

__all__ = ["main"]
