"""Testing a plugin: a hub in memory, what is tried with it, and the contract that every source keeps.

Installed with the hub is a pytest plugin with the fixture ``hub_with`` (``hub.testing.pytest_plugin``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.testing.contract import ContractBroken
    from hub.testing.fixture_hub import FixtureHub
    from hub.testing.memory import Posted
    from hub.testing.suite import contract_suite, fixture_suite

__all__ = ["ContractBroken", "FixtureHub", "Posted", "contract_suite", "fixture_suite"]

_MODULES = {
    "ContractBroken": "contract",
    "FixtureHub": "fixture_hub",
    "Posted": "memory",
    "contract_suite": "suite",
    "fixture_suite": "suite",
}


def __getattr__(name: str) -> Any:
    # Not at the top: pytest loads this package wherever the hub is installed, for its plugin.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
