"""The pytest plugin: the fixture ``hub_with``. pytest finds it wherever the hub is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hub.config.settings import Settings
    from hub.testing.fixture_hub import FixtureHub
    from hub.testing.memory import Plugin


@pytest.fixture
def hub_with(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., FixtureHub]]:
    """``hub_with(plugin=None, fixtures="fixtures", settings=None)``: a hub in memory.

    ``plugin`` is a module, a ``.py`` file or the name of an installed one (None: all that is installed);
    ``fixtures`` the folder with what ``post`` takes by name. Paths begin at the test's file.
    """
    # Not at the top: pytest loads this module wherever the hub is installed.
    from hub.testing.fixture_hub import FixtureHub
    from hub.testing.memory import beside

    here = request.path.parent
    made: list[FixtureHub] = []

    def hub_with(
        plugin: Plugin | None = None,
        fixtures: str | Path = "fixtures",
        settings: Settings | None = None,
    ) -> FixtureHub:
        at = None if plugin is None else beside(plugin, here)
        made.append(FixtureHub(here / fixtures, at, settings))
        return made[-1]

    yield hub_with
    for hub in made:
        hub.close()
