"""Loading the plugins of one hub, one by one: one that is wrong is named, and the others run."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from jsonschema.protocols import Validator

from hub.config.load import source_key
from hub.config.settings import Settings
from hub.errors import FAULTS, PluginError
from hub.plugin.checks import kind_of, probe
from hub.plugin.discovery import Found, discover, has_left_out, switched_off
from hub.plugin.hooks import Hooks
from hub.plugin.page import Page
from hub.plugin.section import PREFIX, Section, read
from hub.plugin.source import Source
from hub.plugin.target import Target
from hub.plugin.watch import Watch
from hub.wire.validation import Schemas

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A plugin that works: its name, where it came from, its version ('' if it tells none), the hooks
    that it implements, its own settings, its sources and their validators by kind, its targets, its
    pages.
    """

    name: str
    origin: str
    version: str
    hooks: tuple[str, ...]
    section: Section
    sources: tuple[tuple[Source, Mapping[str, Validator]], ...]
    targets: tuple[Target, ...]
    pages: tuple[Page, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A plugin that does not: ``reason`` is for the log and the command line, never for a page."""

    name: str
    origin: str
    reason: str


class Plugins:
    """The plugins of one hub: those that are given, or all that the settings let in, in that order."""

    def __init__(self, settings: Settings, given: Iterable[Found] | None = None) -> None:
        self.watch = Watch()
        self.hooks = Hooks(self.watch)
        self._schemas = Schemas(settings.time_zone)
        self._settings = settings.plugin
        self.loaded: list[Loaded] = []
        self.failed: list[Failed] = []
        self.off = switched_off(settings)
        found = discover(settings) if given is None else list(given)
        for one in found:
            self._load(one)
        self._may_have_left_out = partial(has_left_out, settings)
        self._is_given = given is not None
        if given is None:
            self._warn_of_what_is_unknown(found)

    @property
    def may_be_incomplete(self) -> bool:
        """Whether a plugin that is not loaded may declare further sources."""
        return self._is_given or bool(self.failed) or self._may_have_left_out()

    @property
    def sources(self) -> Iterator[tuple[Source, Mapping[str, Validator]]]:
        """The sources of all plugins, in order, with their validators by kind."""
        for plugin in self.loaded:
            yield from plugin.sources

    @property
    def targets(self) -> list[Target]:
        """The targets of all plugins, in order."""
        return [target for plugin in self.loaded for target in plugin.targets]

    def _warn_of_what_is_unknown(self, found: Sequence[Found]) -> None:
        """Sections of plugins that are not loaded, and variables of no plugin's setting."""
        known = {source_key(one.name) for one in found}
        for name in sorted(set(self._settings.tables) - known):
            _log.warning("[plugin.%s] is configured, and no such plugin is loaded", name)
        variables = {name for plugin in self.loaded for name in plugin.section.variables}
        prefixes = tuple(f"{PREFIX}{source_key(failed.name)}_".upper() for failed in self.failed)
        for variable in sorted(set(self._settings.environment) - variables):
            if not (prefixes and variable.startswith(prefixes)):
                _log.warning("%s is no setting of a plugin that is loaded", variable)

    def _load(self, found: Found) -> None:
        try:
            self._require_new(found.name)
            plugin = found.load()
            section = read(plugin, found.name, self._settings)
            hooks = self.hooks.register(plugin, found.name, section)
            try:
                sources, targets = tuple(self._sources(found)), tuple(self._targets(found))
                pages = tuple(self._pages(found))
            except BaseException:
                self.hooks.unregister(found.name)
                raise
        except PluginError as error:
            self._fail(found, str(error))
        except FAULTS as error:
            self._fail(found, f"{type(error).__name__}: {error}{_place_in(found, error)}")
        else:
            version = found.version or str(getattr(plugin, "__version__", ""))
            self.loaded.append(
                Loaded(found.name, found.origin, version, hooks, section, sources, targets, pages)
            )

    def _fail(self, found: Found, reason: str) -> None:
        self.failed.append(Failed(found.name, found.origin, reason))
        _log.error("plugin %s (%s) is not loaded: %s", found.name, found.origin, reason)

    def _require_new(self, name: str) -> None:
        for other in self.loaded:
            if other.name == name:
                raise PluginError(
                    f"there is a plugin of this name ({other.origin}); rename this one"
                )

    def _sources(self, found: Found) -> Iterator[tuple[Source, Mapping[str, Validator]]]:
        taken = [
            (source, f"the plugin {plugin.name} ({plugin.origin})")
            for plugin in self.loaded
            for source, _ in plugin.sources
        ]
        for source in self._declared("register_sources", found, Source, repr):
            for other, where in taken:
                if both := _paths(source) & _paths(other):
                    raise PluginError(
                        f"its path {min(both)} is taken by the source {other.name} of {where}; "
                        "choose another"
                    )
                if source.name == other.name:
                    raise PluginError(
                        f"there is a source named {source.name}, of {where}; choose another"
                    )
            probe(source)
            taken.append((source, "this plugin"))
            yield source, self._validators(source, found.is_built_in)

    def _targets(self, found: Found) -> Iterator[Target]:
        taken = {target.name for target in self.targets}
        for target in self._declared("register_targets", found, Target, kind_of):
            if target.name in taken:
                raise PluginError(f"there is a target named {target.name}; choose another")
            taken.add(target.name)
            yield target

    def _pages(self, found: Found) -> Iterator[Page]:
        taken: set[str] = set()
        for page in self._declared("register_pages", found, Page, kind_of):
            if page.name in taken:
                raise PluginError(f"there is a page named {page.name}; choose another")
            taken.add(page.name)
            yield page

    def _declared(self, hook: str, found: Found, kind: type, shown: Any) -> Iterator[Any]:
        """What a plugin declares in a hook. Raises PluginError for what is not of this kind."""
        for one in self.hooks.declared(hook, found.name, kind):
            if not isinstance(one, kind):
                raise PluginError(
                    f"{hook} gave {shown(one)}; it must give hub.{kind.__name__} values"
                )
            yield one

    def _validators(self, source: Source, is_checked: bool) -> Mapping[str, Validator]:
        try:
            return {
                kind: self._schemas.validator(schema, is_checked)
                for kind, schema in source.schemas.items()
            }
        except ValueError as error:
            raise PluginError(f"source {source.name}: {error}") from None


def _paths(source: Source) -> set[str]:
    """The paths of a source; parts of any text are the same whatever they are called."""
    return {re.sub(r"\{[a-z]+\}", "{}", path) for path in (source.path, *source.paths)}


def _place_in(found: Found, error: BaseException) -> str:
    """Where in its file a plugin failed to load, if that is known and the error does not say it."""
    if isinstance(error, SyntaxError):
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == found.origin]
    return f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
