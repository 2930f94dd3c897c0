"""The commands of ``attendance-hub`` itself, without those that plugins add."""

import click

from hub.cli import main


def _commands(group, *before):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *before, name)
        else:
            yield " ".join([*before, name]), command


COMMANDS = dict(_commands(main))
"""Each command, by the words that call it."""
