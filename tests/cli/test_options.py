"""Which settings each command takes as options."""

import ast
import re
from pathlib import Path

import pytest
from commands import COMMANDS

from hub.cli.options import PLUGIN_SETTINGS

ROOT = Path(__file__).parents[2]
LOADING = {"hub.hub.Hub", "hub.plugin.loading.Plugins", "hub.cli.rebuild.derived"}


def tree(module):
    return ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8"))


def imported(nodes):
    """What these statements import: its name there, and what it is."""
    for one in nodes:
        if isinstance(one, ast.ImportFrom):
            for name in one.names:
                yield name.asname or name.name, f"{one.module}.{name.name}"


def used(command):
    """What a command's own function uses of other modules, and what those of ``hub.cli`` import."""
    module = tree(command.callback.__module__)
    (function,) = (
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef) and node.name == command.callback.__name__
    )
    names = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    found = {what for _, what in imported(ast.walk(function))}
    found |= {what for name, what in imported(module.body) if name in names}
    for what in sorted(found):
        if what.startswith("hub.cli."):
            other = ".".join(what.split(".")[:3])
            found |= {one for _, one in imported(ast.walk(tree(other)))}
    return found


LOADS_PLUGINS = [name for name, command in COMMANDS.items() if used(command) & LOADING]


@pytest.mark.parametrize("name", COMMANDS)
def test_whoever_loads_plugins_can_be_told_which(name):
    taken = {parameter.name for parameter in COMMANDS[name].params} & set(PLUGIN_SETTINGS)
    assert taken == (set(PLUGIN_SETTINGS) if name in LOADS_PLUGINS else set())


def test_those_that_load_plugins_are_documented():
    operating = (ROOT / "docs" / "operating.md").read_text("utf-8")
    listed = re.search(r"The commands that load plugins \((.*?)\)", operating, re.DOTALL)[1]
    loading = {"desk" if name.startswith("desk ") else name for name in LOADS_PLUGINS}
    assert sorted(re.findall(r"`([^`]+)`", listed)) == sorted(loading)
