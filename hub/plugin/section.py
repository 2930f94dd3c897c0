"""A plugin's own section of the configuration: ``[plugin.<name>]``, or ``HUB_PLUGIN_<NAME>_<SETTING>``.

A plugin declares it as a frozen dataclass named ``Settings``; a hook that takes an argument
``settings`` is given one, read and checked.
"""

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, get_type_hints

from hub.config import readers
from hub.config.load import source_key
from hub.config.settings import PluginSections
from hub.errors import PluginError

PREFIX = "HUB_PLUGIN_"

_READERS: Mapping[Any, Callable[[Any], Any]] = {
    str: readers.text,
    int: readers.whole_number(-(2**53), 2**53),
    float: readers.number,
    bool: readers.boolean,
    tuple[str, ...]: readers.words,
    Mapping[str, str]: readers.texts_by_name,
}


def setting(about: str, default: Any = MISSING, *, secret: bool = False) -> Any:
    """A field of a plugin's ``Settings``: what it is for, its default (none: it must be given), and
    whether it is a secret, which is read from the environment only and never shown.
    """
    metadata = {"about": about, "secret": secret}
    if isinstance(default, dict):
        frozen = types.MappingProxyType(default)
        return field(default_factory=lambda: frozen, metadata=metadata, repr=not secret)
    return field(default=default, metadata=metadata, repr=not secret)


@dataclass(frozen=True, slots=True)
class Section:
    """A plugin's settings, where each came from, and the variables that may give one. ``values`` is None
    where it declares none.
    """

    values: Any = None
    origins: Mapping[str, str] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()

    def described(self) -> Iterator[tuple[str, str, str]]:
        """Name, value and origin of each setting, secrets masked."""
        for entry in fields(self.values) if self.values is not None else ():
            value = getattr(self.values, entry.name)
            yield entry.name, _shown(entry, value), self.origins.get(entry.name, "default")


def read(plugin: object, name: str, given: PluginSections) -> Section:
    """The section of a plugin. Raises PluginError, naming the setting that is wrong."""
    declared = getattr(plugin, "Settings", None)
    table = given.tables.get(source_key(name), {})
    if declared is None:
        if table:
            raise PluginError(f"[plugin.{name}] in {given.file}: it has no settings; remove them")
        return Section()
    if not (isinstance(declared, type) and is_dataclass(declared)):
        raise PluginError("its Settings is no dataclass; make it one with @dataclass(frozen=True)")
    entries = {entry.name: entry for entry in fields(declared)}
    for written in table:
        if written not in entries:
            known = ", ".join(entries)
            where = f"plugin.{name}.{written} in {given.file}"
            raise PluginError(f"{where}: there is no such setting; there are {known}")
    types_by_name = get_type_hints(declared)
    values, origins = {}, {}
    for entry in entries.values():
        found = _given(entry, name, table, given)
        if found is not None:
            value, origin = found
            values[entry.name] = _value(types_by_name[entry.name], entry, name, value, origin)
            origins[entry.name] = origin
        elif entry.default is MISSING and entry.default_factory is MISSING:
            variable = _variable(name, entry)
            raise PluginError(f"plugin.{name}.{entry.name} is not set; set it, or {variable}")
    variables = frozenset(_variable(name, entry) for entry in entries.values())
    return Section(declared(**values), origins, variables)


def _given(
    entry: Field[Any], name: str, table: Mapping[str, Any], given: PluginSections
) -> tuple[Any, str] | None:
    variable = _variable(name, entry)
    if variable in given.environment:
        return given.environment[variable], variable
    if entry.name in table:
        if entry.metadata.get("secret"):
            raise PluginError(
                f"plugin.{name}.{entry.name} in {given.file}: secrets stay out of this file; "
                f"give it as {variable}"
            )
        return table[entry.name], given.file
    return None


def _value(kind: Any, entry: Field[Any], name: str, value: Any, origin: str) -> Any:
    reader = _READERS.get(kind)
    if reader is None:
        known = ", ".join(getattr(one, "__name__", str(one)) for one in _READERS)
        raise PluginError(f"its setting {entry.name} is of the type {kind}; use one of {known}")
    try:
        return reader(value)
    except ValueError as error:
        raise PluginError(f"plugin.{name}.{entry.name} (from {origin}): {error}") from None


def _variable(name: str, entry: Field[Any]) -> str:
    return f"{PREFIX}{source_key(name)}_{entry.name}".upper()


def _shown(entry: Field[Any], value: Any) -> str:
    if entry.metadata.get("secret"):
        return "set, not shown" if value else "not set"
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {one}" for key, one in value.items()) or "none"
    return str(value) if value != "" else "none"
