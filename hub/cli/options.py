"""Command-line options made from the table of settings."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from hub.config.settings import Settings, default_of, settable

Command = TypeVar("Command", bound=Callable[..., Any])

PLUGIN_SETTINGS = ("plugins", "enable", "load_plugins", "without")
"""What every command that loads plugins takes: the settings that say which."""

TOKEN = "ATTENDANCE_HUB_TOKEN"
"""The variable that has the token for commands on a running hub."""


def is_given(token: str | None) -> bool:
    """Whether a token was written down for this command, and is not the environment's."""
    return token is not None and token != os.environ.get(TOKEN)


def setting_options(*names: str) -> Callable[[Command], Command]:
    """Options for the named settings (all, if none is named), and ``--config``."""

    def decorate(command: Command) -> Command:
        for entry in reversed(settable(Settings)):
            if names and entry.name not in names:
                continue
            is_list = isinstance(default_of(entry), tuple)
            unit = f" ({entry.metadata['unit']})" if entry.metadata["unit"] else ""
            command = click.option(
                f"--{entry.name.replace('_', '-')}",
                entry.name,
                multiple=is_list,
                metavar="VALUE",
                help=f"{entry.metadata['about']}{unit}. Default: {_default(entry)}.",
            )(command)
        return click.option(
            "--config",
            "config_file",
            metavar="FILE",
            help="TOML file with settings. Default: hub.toml, if there is one.",
        )(command)

    return decorate


def hub_options(command: Command) -> Command:
    """Options of what works on the store or on a running hub."""
    command = click.option("--token", metavar="VALUE", envvar=TOKEN, help="A token of that hub.")(
        command
    )
    return click.option(
        "--url", metavar="VALUE", help="Ask the hub at this address instead of the store."
    )(command)


def _default(entry: Any) -> str:
    value = default_of(entry)
    return str(value) if value not in ("", (), None) else "none"
