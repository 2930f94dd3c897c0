"""The settings in force, and where each came from, secrets masked."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hub.config.settings import AlertSettings, Settings, SourceSettings, default_of, settable


class Described(NamedTuple):
    """A setting as it is shown: its dotted name, its value, where that came from."""

    name: str
    value: str
    origin: str


def described(settings: Settings, origins: Mapping[str, str], database: str) -> Iterator[Described]:
    """Every setting in force. ``origins`` are those of a configuration (``hub.config.load``);
    ``database`` is the store's address without what is secret in it.
    """
    tables: list[tuple[str, Settings | SourceSettings | AlertSettings]] = [("", settings)]
    tables.append(("alerts.", settings.alerts))
    tables += [(f"sources.{name}.", table) for name, table in sorted(settings.sources.items())]
    for prefix, table in tables:
        for entry in settable(type(table)):
            value = getattr(table, entry.name)
            if prefix and value == default_of(entry):
                continue
            shown = database if entry.name == "database" else _shown(value)
            yield Described(prefix + entry.name, shown, origins.get(prefix + entry.name, "default"))
        if isinstance(table, AlertSettings):
            yield from _secrets_of_alerts(table, origins)
            continue
        secret = "secrets" if prefix else "webhook_secret"
        count = len(getattr(table, secret))
        if count or not prefix:
            shown = f"{count} set, not shown" if count else "not set"
            yield Described(prefix + secret, shown, origins.get(prefix + secret, "default"))
        if isinstance(table, SourceSettings) and table.fetch_secret:
            name = f"{prefix}fetch_secret"
            yield Described(name, "set, not shown", origins.get(name, "default"))
    token = "set, not shown" if settings.admin_token else "not set"
    yield Described("admin_token", token, origins.get("admin_token", "default"))


def _secrets_of_alerts(table: AlertSettings, origins: Mapping[str, str]) -> Iterator[Described]:
    for name in ("webhook_secret", "smtp_password"):
        if getattr(table, name):
            origin = origins.get(f"alerts.{name}", "default")
            yield Described(f"alerts.{name}", "set, not shown", origin)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {one}" for name, one in value.items()) or "none"
    return "none" if value in ("", None) else str(value)
