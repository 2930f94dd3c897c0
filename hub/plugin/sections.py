"""What plugins add to the status page: each is asked on its own thread, and none is waited for long."""

import threading
from typing import Any

from hub.plugin.hooks import Hooks

PATIENCE = 0.5
"""Seconds that one plugin is waited for."""


class Sections:
    """The sections of the status page. One that hangs is left out, and its plugin is not asked again
    before it has come back.
    """

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks
        self._asked: dict[str, _Asked] = {}

    def shown(self) -> dict[str, Any]:
        """The sections by plugin."""
        sections = {}
        for name in self._hooks.with_status_section():
            before = self._asked.get(name)
            if before is not None and before.is_alive():
                continue
            asked = self._asked[name] = _Asked(self._hooks, name)
            asked.start()
            asked.join(PATIENCE)
            if not asked.is_alive() and asked.section is not None:
                sections[name] = asked.section
        return sections


class _Asked(threading.Thread):
    """One plugin that was asked."""

    def __init__(self, hooks: Hooks, plugin: str) -> None:
        super().__init__(name=f"status section {plugin}", daemon=True)
        self._hooks = hooks
        self._plugin = plugin
        self.section: dict[str, Any] | None = None

    def run(self) -> None:
        self.section = self._hooks.status_section(self._plugin)
