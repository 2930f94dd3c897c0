"""The contract suite: one line in a test file, and each case is a test of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.config.settings import Settings
from hub.kit.contract import Case, cases
from hub.kit.memory import Plugin


def contract_suite(
    plugin: Plugin,
    fixtures: str | Path = "fixtures",
    *,
    source: str | None = None,
    settings: Settings | None = None,
) -> Callable[[Case], None]:
    """A test function that has a case for each thing that every source must do.

    Assign it to a name that begins with ``test``::

        test_contract = contract_suite("door.py", "fixtures")

    ``plugin`` is a module, a ``.py`` file, or the name of an installed plugin; ``fixtures`` a folder of
    requests that the source accepts. Paths begin at the file that calls this. ``source`` is needed for a
    plugin of several. Raises PluginError or SettingError where there is nothing to test.
    """
    frame = inspect.stack()[1]
    here = Path(frame.filename).parent
    if isinstance(plugin, str) and plugin.endswith(".py"):
        plugin = here / plugin
    found = cases(plugin, here / fixtures, source, settings)

    @pytest.mark.parametrize("case", found, ids=[case.name for case in found])
    def test(case: Case) -> None:
        case.run()

    return test
