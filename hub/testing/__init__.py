"""Testing a plugin with pytest: a hub in memory, and the contract that every source keeps.

Installed with the hub is a pytest plugin with the fixture ``hub_with`` (``hub.pytest_plugin``).
"""

from hub.kit.contract import ContractBroken
from hub.kit.memory import Posted
from hub.testing.memory import FixtureHub
from hub.testing.suite import contract_suite, fixture_suite

__all__ = ["ContractBroken", "FixtureHub", "Posted", "contract_suite", "fixture_suite"]
