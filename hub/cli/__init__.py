"""The command line ``attendance-hub``; ``main`` has all its commands."""

import sys
from types import ModuleType

import hub


def require_package(package: ModuleType) -> None:
    """End where Python has taken a folder of the package's name, such as a checkout, for the package."""
    if getattr(package, "__file__", None) is None:
        sys.exit(
            f"attendance-hub: the folder {next(iter(package.__path__))} hides the installed package "
            "hub; start in another folder"
        )


require_package(hub)

from hub.cli.main import main  # noqa: E402

__all__ = ["main"]
