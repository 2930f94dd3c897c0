"""The suites: one line in a test file, and each case is a test of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.config.settings import Settings
from hub.testing.contract import Case, cases
from hub.testing.fixtures import Fixture
from hub.testing.fixtures import fixtures as read
from hub.testing.memory import Plugin, beside
from hub.testing.trial import try_fixture


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
    here = _caller()
    found = cases(beside(plugin, here), here / fixtures, source, settings)

    @pytest.mark.parametrize("case", found, ids=[case.name for case in found])
    def test(case: Case) -> None:
        case.run()

    return test


def fixture_suite(
    plugin: Plugin,
    fixtures: str | Path = "fixtures",
    *,
    source: str | None = None,
    settings: Settings | None = None,
) -> Callable[[Fixture], None]:
    """A test function that has a case for each fixture: what becomes of it is as ``.expected.json`` says.

    The arguments are those of ``contract_suite``.
    """
    here = _caller()
    found = read(here / fixtures)
    at = beside(plugin, here)

    @pytest.mark.parametrize("fixture", found, ids=[fixture.name for fixture in found])
    def test(fixture: Fixture) -> None:
        tried = try_fixture(at, source, fixture, settings or Settings())
        assert tried.passed, "\n".join((*tried.differences, *tried.faults))

    return test


def _caller() -> Path:
    """The folder of the file that calls the function that calls this."""
    return Path(inspect.stack()[2].filename).parent
