"""The plugins of one hub: found, loaded one by one, called with no plugin able to harm another."""

from __future__ import annotations

import copy
import inspect
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pluggy

from hub.config.load import source_key
from hub.config.settings import Settings
from hub.domain.delivery import Delivery
from hub.domain.operations import Operation
from hub.domain.timestamps import utc_now
from hub.errors import FAULTS, PluginError, Refused
from hub.log import log_fault
from hub.plugin import hookspecs
from hub.plugin.discovery import GROUP, Found, discover, switched_off
from hub.plugin.section import Section, read
from hub.plugin.source import Source
from hub.plugin.target import Target
from hub.wire.signatures import Open
from hub.wire.validation import Schemas

if TYPE_CHECKING:
    import click
    from jsonschema.protocols import Validator

_log = logging.getLogger(__name__)

SLOW = 0.1
"""Seconds from which a plugin's part in a request is worth a line in the log."""


class HookFailed(Exception):
    """A plugin's hook raised, on the way of a delivery; its cause is what it raised."""

    def __init__(self, plugin: str, hook: str) -> None:
        super().__init__(f"plugin {plugin}: {hook} failed")


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that works: its name, where it came from, its version ('' if it tells none), the hooks
    that it implements, its own settings, its sources and their validators by kind, its targets.
    """

    name: str
    origin: str
    version: str
    hooks: tuple[str, ...]
    section: Section
    sources: tuple[tuple[Source, Mapping[str, Validator]], ...]
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """A plugin that does not: ``reason`` is for the log and the command line, never for a page."""

    name: str
    origin: str
    reason: str


class Plugins:
    """The plugins of one hub: those that are given, or all that the settings let in, in that order."""

    def __init__(self, settings: Settings, given: Iterable[Found] | None = None) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)
        self._schemas = Schemas(settings.time_zone)
        self._given = settings.plugin
        self._sections: dict[str, Section] = {}
        self._callable: dict[str, tuple[Any, ...]] = {}
        self.loaded: list[Loaded] = []
        self.failed: list[Failed] = []
        self.off = switched_off(settings)
        found = discover(settings) if given is None else list(given)
        for one in found:
            self._load(one)
        known = {source_key(name) for name in (*(one.name for one in found), *settings.without)}
        for name in sorted(set(settings.plugin.tables) - known) if given is None else ():
            _log.warning("[plugin.%s] is configured, and no such plugin is loaded", name)

    @property
    def sources(self) -> Iterator[tuple[Source, Mapping[str, Validator]]]:
        """The sources of all plugins, in order, with their validators by kind."""
        for plugin in self.loaded:
            yield from plugin.sources

    @property
    def targets(self) -> list[Target]:
        """The targets of all plugins, in order."""
        return [target for plugin in self.loaded for target in plugin.targets]

    def veto(self, delivery: Delivery, payload: Mapping[str, Any]) -> str | None:
        """The first plugin's sentence that refuses the delivery, or None.

        Raises Refused where a plugin does, HookFailed for anything else.
        """
        for implementation in self.implementations("veto_delivery"):
            # Each its own copy: what one does to it, no other sees.
            own = copy.deepcopy(payload)
            sentence = self._watched(implementation, delivery, payload=own)
            if sentence is not None:
                refused: str = sentence
                return refused
        return None

    def amend(self, delivery: Delivery, operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
        """The operations as the plugins, one after the other, amend them.

        Raises Refused where a plugin does, HookFailed for anything else.
        """
        for implementation in self.implementations("amend_operations"):
            amended = self._watched(implementation, delivery, operations=operations)
            if amended is not None:
                operations = amended
        return operations

    def status_sections(self) -> dict[str, Any]:
        """What the plugins add to the status page, by plugin; one that raises adds nothing."""
        sections = {}
        for implementation in self.implementations("status_section"):
            started = time.perf_counter()
            try:
                section = self.call(implementation)
                if not isinstance(section, Mapping | None):
                    raise PluginError(
                        f"{place_of(implementation.function)} returned {_kind(section)}; "
                        "return a mapping, or None"
                    )
                json.dumps(section, allow_nan=False).encode()
            except FAULTS as error:
                log_fault(f"plugin {implementation.plugin_name}: status_section failed", error)
                continue
            took = time.perf_counter() - started
            tell_if_slow(implementation.plugin_name, "status_section", took)
            if section is not None:
                sections[implementation.plugin_name] = section
        return sections

    def register_commands(self, group: click.Group) -> None:
        """Let the plugins add their commands; one that raises is logged by name."""
        for implementation in self.implementations("register_commands"):
            try:
                self.call(implementation, group=group)
            except FAULTS as error:
                log_fault(f"plugin {implementation.plugin_name}: register_commands failed", error)

    def _watched(self, implementation: Any, delivery: Delivery, **arguments: Any) -> Any:
        """Call a hook that keeps a request waiting; what it returns is a sentence or operations."""
        plugin, hook = implementation.plugin_name, implementation.function.__name__
        started = time.perf_counter()
        try:
            returned = self.call(implementation, delivery=delivery, **arguments)
            if hook == "amend_operations" and returned is not None:
                returned = operations_of(returned, implementation.function)
            if hook == "veto_delivery" and not (returned is None or _is_sentence(returned)):
                raise PluginError(
                    f"{place_of(implementation.function)} returned {_kind(returned)}; "
                    "return a sentence to refuse the delivery, or None to let it pass"
                )
        except Refused:
            raise
        except FAULTS as error:
            raise HookFailed(plugin, hook) from error
        tell_if_slow(plugin, hook, time.perf_counter() - started, f" on delivery {delivery.id}")
        return returned

    def call(self, implementation: Any, **arguments: Any) -> Any:
        """Call a plugin's implementation of a hook with those of the arguments that it takes, and its
        own settings.
        """
        section = self._sections.get(implementation.plugin_name)
        arguments["settings"] = section.values if section else None
        return implementation.function(*[arguments[name] for name in implementation.argnames])

    def implementations(self, hook: str) -> tuple[Any, ...]:
        """The implementations of a hook in pluggy's order: tryfirst, then the last loaded, …"""
        found = self._callable.get(hook)
        if found is None:
            caller = getattr(self._manager.hook, hook)
            found = self._callable[hook] = tuple(reversed(caller.get_hookimpls()))
        return found

    def _load(self, found: Found) -> None:
        plugin: object = None
        self._callable.clear()
        try:
            plugin = self._register(found)
            section = self._sections[found.name] = read(plugin, found.name, self._given)
            sources = tuple(self._sources(found))
            targets = tuple(self._targets(found))
        except PluginError as error:
            reason = str(error)
        except FAULTS as error:
            reason = f"{type(error).__name__}: {error}{_place_in(found, error)}"
        else:
            self._callable.clear()
            version = found.version or str(getattr(plugin, "__version__", ""))
            callers = self._manager.get_hookcallers(plugin) or []
            hooks = tuple(name for name in _hook_names() if name in {one.name for one in callers})
            self.loaded.append(
                Loaded(found.name, found.origin, version, hooks, section, sources, targets)
            )
            return
        self._callable.clear()
        if self._manager.has_plugin(found.name) and plugin is not None:
            self._manager.unregister(name=found.name)
        self.failed.append(Failed(found.name, found.origin, reason))
        _log.error("plugin %s (%s) is not loaded: %s", found.name, found.origin, reason)

    def _register(self, found: Found) -> object:
        if self._manager.has_plugin(found.name):
            other = next(one.origin for one in self.loaded if one.name == found.name)
            raise PluginError(f"there is a plugin of this name ({other}); rename this one")
        plugin = found.load()
        try:
            self._manager.register(plugin, found.name)
        except pluggy.PluginValidationError as error:
            if self._manager.has_plugin(found.name):
                self._manager.unregister(name=found.name)
            raise PluginError(_wrong_argument(plugin) or " ".join(str(error).split())) from None
        callers = self._manager.get_hookcallers(plugin) or []
        unknown = sorted(caller.name for caller in callers if not caller.has_spec())
        problem = None
        if unknown:
            known = ", ".join(_hook_names())
            problem = f"there is no hook named {unknown[0]}; the hooks are {known}"
        elif any(_is_wrapper(one, plugin) for caller in callers for one in caller.get_hookimpls()):
            problem = "it wraps a hook; the hub calls plain implementations only"
        elif not callers:
            problem = "it implements no hook; mark its functions with @hub.hookimpl"
        if problem:
            self._manager.unregister(name=found.name)
            raise PluginError(problem)
        return plugin

    def _sources(self, found: Found) -> Iterator[tuple[Source, Mapping[str, Validator]]]:
        taken = [
            (source, f"the plugin {plugin.name} ({plugin.origin})")
            for plugin in self.loaded
            for source, _ in plugin.sources
        ]
        for source in self._declared(found, "register_sources", Source):
            if not isinstance(source, Source):
                raise PluginError(
                    f"register_sources gave {source!r}; it must give hub.Source values"
                )
            for other, where in taken:
                if source.path == other.path:
                    raise PluginError(
                        f"its path {source.path} is taken by the source {other.name} of {where}; "
                        "choose another"
                    )
                if source.name == other.name:
                    raise PluginError(
                        f"there is a source named {source.name}, of {where}; choose another"
                    )
            _probe(source)
            taken.append((source, "this plugin"))
            yield source, self._validators(source)

    def _targets(self, found: Found) -> Iterator[Target]:
        taken = {target.name for target in self.targets}
        for target in self._declared(found, "register_targets", Target):
            if not isinstance(target, Target):
                raise PluginError(
                    f"register_targets gave {_kind(target)}; it must give hub.Target values"
                )
            if target.name in taken:
                raise PluginError(f"there is a target named {target.name}; choose another")
            taken.add(target.name)
            yield target

    def _declared(self, found: Found, hook: str, kind: type) -> Iterator[Any]:
        """What a plugin's own implementation of a hook declares; it should be values of this kind."""
        for implementation in self.implementations(hook):
            if implementation.plugin_name == found.name:
                yield from _several(self.call(implementation), kind, implementation)

    def _validators(self, source: Source) -> Mapping[str, Validator]:
        try:
            return {
                kind: self._schemas.validator(schema) for kind, schema in source.schemas.items()
            }
        except ValueError as error:
            raise PluginError(f"source {source.name}: {error}") from None


def _several(returned: Any, kind: type, implementation: Any) -> Iterable[Any]:
    """What a hook that declares gave, if it is several values."""
    if returned is None:
        return ()
    if not isinstance(returned, Iterable):
        raise PluginError(
            f"{place_of(implementation.function)} gave one {type(returned).__name__}; "
            f"give a list of hub.{kind.__name__} values"
        )
    return returned


def _wrong_argument(plugin: object) -> str | None:
    """What is wrong with the arguments of a plugin's hooks, if something is."""
    for name in _hook_names():
        function = getattr(plugin, name, None)
        if function is None or not hasattr(function, f"{GROUP}_impl"):
            continue
        known = list(inspect.signature(getattr(hookspecs, name)).parameters)
        for argument in inspect.signature(function).parameters:
            if argument not in known:
                return f"{place_of(function)} has no argument {argument}; it may have {', '.join(known)}"
    return None


def _place_in(found: Found, error: BaseException) -> str:
    """Where in its file a plugin failed to load, if that is known and the error does not say it."""
    if isinstance(error, SyntaxError):
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == found.origin]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""


def _probe(source: Source) -> None:
    """Ask the source's authentication about a request without any credential.

    Raises PluginError where it does not say no as it must.
    """
    scheme = source.authenticate
    if isinstance(scheme, Open):
        return
    where = f"source {source.name}: {place_of(type(scheme).verify)}"
    try:
        returned: object = scheme.verify({}, b"", ("",), utc_now())  # type: ignore[func-returns-value]
    except Refused:
        return
    except FAULTS as error:
        raise PluginError(
            f"{where} raised {type(error).__name__} for a request without credentials; "
            "raise hub.Unauthenticated"
        ) from None
    if returned is not None:
        raise PluginError(
            f"{where} returned {returned!r}; it must raise hub.Unauthenticated, or return nothing"
        )
    raise PluginError(
        f"{where} accepts a request without credentials; raise hub.Unauthenticated, or use hub.OPEN"
    )


def _is_wrapper(implementation: Any, plugin: object) -> bool:
    return implementation.plugin is plugin and (
        implementation.wrapper or implementation.hookwrapper
    )


def operations_of(given: Any, function: Callable[..., Any]) -> tuple[Operation, ...]:
    """What a plugin's ``function`` gave, as operations. Raises PluginError for anything else."""
    if not isinstance(given, Iterable):
        raise PluginError(
            f"{place_of(function)} gave {_kind(given)}, not operations; yield hub.CheckIn(…) or another"
        )
    operations = tuple(given)
    for operation in operations:
        if not isinstance(operation, Operation):
            raise PluginError(
                f"{place_of(function)} yielded {_kind(operation)}, which is no operation; "
                "yield hub.CheckIn(…) or another"
            )
    return operations


def _is_sentence(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _kind(value: object) -> str:
    """What a value is; not itself, which may tell of a person."""
    return "None" if value is None else f"a value of the type {type(value).__name__}"


def place_of(function: Any) -> str:
    """Where a function is written: its name, file and line."""
    function = getattr(function, "func", function)  # what functools.partial was given
    code = getattr(function, "__code__", None)
    if code is None:
        return type(function).__name__
    return f"{code.co_name} ({code.co_filename}:{code.co_firstlineno})"


def tell_if_slow(plugin: str, what: str, seconds: float, on: str = "") -> None:
    """Name a plugin in the log that is too slow for the way of a request, ``on`` a delivery."""
    if seconds > SLOW:
        said = f"{what} took {seconds:.2f} s{on}; while it does so for one request, all others wait"
        _log.warning("plugin %s: %s", plugin, said)


def _hook_names() -> list[str]:
    return [name for name, value in vars(hookspecs).items() if hasattr(value, f"{GROUP}_spec")]
