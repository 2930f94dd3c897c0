"""Calling the plugins' hooks, so that no plugin can harm another."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

from hub.domain.delivery import CommittedDelivery, Delivery
from hub.domain.operations import Operation
from hub.errors import FAULTS, HubError, PluginError, Refused
from hub.log import log_fault
from hub.plugin import hookspecs
from hub.plugin.checks import (
    HOOKS,
    operations_of,
    require_hooks,
    require_section,
    require_sentence,
    several,
    wrong_argument,
)
from hub.plugin.discovery import GROUP
from hub.plugin.section import Section
from hub.plugin.watch import Watch

if TYPE_CHECKING:
    import click


class HookFailed(HubError):
    """A plugin's code raised, on the way of a delivery; its cause is what it raised.

    Whatever that is, also an error of a database: it is the plugin's own, and never the store's.
    """

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"plugin {plugin}: {hook} failed")


class _Manager(pluggy.PluginManager):
    """pluggy's manager, which looks closely at what is marked alone, not at all that a module imports."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if getattr(getattr(plugin, name, None), f"{GROUP}_impl", None) is None:
            return None
        return super().parse_hookimpl_opts(plugin, name)


class Hooks:
    """The hooks of the plugins that are registered. It owns pluggy's manager.

    ``watch`` is told of every call that keeps a request waiting.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._manager = _Manager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._sections: dict[str, Section] = {}
        self._implementations: dict[str, tuple[Any, ...]] = {}

    def register(self, plugin: object, name: str, section: Section) -> tuple[str, ...]:
        """Take a plugin in, with its own settings; the names of the hooks that it implements.

        Raises PluginError for one that cannot be called, which is not taken in.
        """
        try:
            try:
                self._manager.register(plugin, name)
            except pluggy.PluginValidationError as error:
                text = " ".join(str(error).split())
                raise PluginError(wrong_argument(plugin) or text) from None
            callers = self._manager.get_hookcallers(plugin) or []
            require_hooks(plugin, callers)
        except PluginError:
            self.unregister(name)
            raise
        self._sections[name] = section
        self._implementations.clear()
        own = {caller.name for caller in callers}
        return tuple(hook for hook in HOOKS if hook in own)

    def unregister(self, name: str) -> None:
        """Leave a plugin out again; one that is not there is no fault."""
        if self._manager.has_plugin(name):
            self._manager.unregister(name=name)
        self._sections.pop(name, None)
        self._implementations.clear()

    def declared(self, hook: str, name: str, kind: type) -> Iterator[Any]:
        """What the plugin of this name declares in a hook; it should be values of this kind."""
        for implementation in self._of(hook):
            if implementation.plugin_name == name:
                yield from several(self._call(implementation), kind, implementation.function)

    def veto(self, delivery: Delivery, payload: Mapping[str, Any]) -> str | None:
        """The first plugin's sentence that refuses the delivery, or None.

        Raises Refused where a plugin does, HookFailed for anything else.
        """
        as_it_is: Any = payload
        for implementation in self._of("veto_delivery"):
            # Each its own copy (of JSON, by what is fastest): what one does to it, no other sees.
            own = marshal.loads(marshal.dumps(as_it_is))  # noqa: S302
            sentence = self._watched(
                "veto_delivery", implementation, require_sentence, delivery, payload=own
            )
            if sentence is not None:
                return str(sentence)
        return None

    def amend(self, delivery: Delivery, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        """The operations as the plugins, one after the other, amend them.

        Raises Refused where a plugin does, HookFailed for anything else.
        """
        for implementation in self._of("amend_operations"):
            amended = self._watched(
                "amend_operations", implementation, _amended, delivery, operations=operations
            )
            if amended is not None:
                operations = amended
        return operations

    def observers(self) -> tuple[str, ...]:
        """The names of the plugins that observe committed deliveries."""
        return tuple(one.plugin_name for one in self._of("delivery_committed"))

    def show_committed(self, name: str, delivery: CommittedDelivery) -> None:
        """Show a committed delivery to the plugin of this name. Raises whatever it raises."""
        for implementation in self._of("delivery_committed"):
            if implementation.plugin_name == name:
                with self.watch.calling(
                    name, "delivery_committed", delivery.delivery.id, alone=True
                ):
                    self._call(implementation, delivery=delivery)

    def with_status_section(self) -> tuple[str, ...]:
        """The names of the plugins that add to the status page."""
        return tuple(one.plugin_name for one in self._of("status_section"))

    def status_section(self, name: str) -> dict[str, Any] | None:
        """What the plugin of this name adds to the status page; one that raises adds nothing."""
        for implementation in self._of("status_section"):
            if implementation.plugin_name == name:
                try:
                    with self.watch.calling(name, "status_section", alone=True):
                        section = self._call(implementation)
                        require_section(section, implementation.function)
                except FAULTS as error:
                    log_fault(f"plugin {name}: status_section failed", error)
                    return None
                return None if section is None else dict(section)
        return None

    def register_commands(self, group: click.Group) -> None:
        """Let the plugins add their commands; one that raises is logged by name."""
        for implementation in self._of("register_commands"):
            try:
                self._call(implementation, group=group)
            except FAULTS as error:
                log_fault(f"plugin {implementation.plugin_name}: register_commands failed", error)

    def _of(self, hook: str) -> tuple[Any, ...]:
        """The implementations of a hook in pluggy's order: tryfirst, then the last registered, …"""
        found = self._implementations.get(hook)
        if found is None:
            caller = getattr(self._manager.hook, hook)
            found = self._implementations[hook] = tuple(reversed(caller.get_hookimpls()))
        return found

    def _call(self, implementation: Any, **arguments: Any) -> Any:
        """Call a plugin's implementation of a hook with those of the arguments that it takes, and its
        own settings.
        """
        section = self._sections.get(implementation.plugin_name)
        arguments["settings"] = section.values if section else None
        return implementation.function(*[arguments[name] for name in implementation.argnames])

    def _watched(
        self,
        hook: str,
        implementation: Any,
        checked: Callable[[Any, Any], Any],
        delivery: Delivery,
        **arguments: Any,
    ) -> Any:
        """Call a hook that keeps a request waiting; what it returns, as ``checked`` has it."""
        plugin = implementation.plugin_name
        try:
            with self.watch.calling(plugin, hook, delivery.id):
                returned = self._call(implementation, delivery=delivery, **arguments)
                return checked(returned, implementation.function)
        except Refused:
            raise
        except FAULTS as error:
            raise HookFailed(plugin, hook) from error


def _amended(returned: Any, function: Any) -> tuple[Operation, ...] | None:
    return None if returned is None else operations_of(returned, function)
