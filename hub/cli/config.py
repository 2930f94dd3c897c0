"""``attendance-hub config``: the settings in force, and where each came from."""

from collections.abc import Iterator
from typing import Any

from hub.config.load import Configuration
from hub.config.settings import Settings, SourceSettings, default_of, settable
from hub.store.database import parse_address


def described(configuration: Configuration) -> Iterator[tuple[str, str, str]]:
    """Name, value and origin of every setting in force, secrets masked."""
    settings = configuration.settings
    tables: list[tuple[str, Settings | SourceSettings]] = [("", settings)]
    tables += [(f"sources.{name}.", table) for name, table in sorted(settings.sources.items())]
    for prefix, table in tables:
        for entry in settable(type(table)):
            value = getattr(table, entry.name)
            if prefix and value == default_of(entry):
                continue
            origin = configuration.origins.get(prefix + entry.name, "default")
            yield prefix + entry.name, _shown(entry.name, value), origin
        secret = "secrets" if prefix else "webhook_secret"
        count = len(getattr(table, secret))
        if count or not prefix:
            shown = f"{count} set, not shown" if count else "not set"
            yield prefix + secret, shown, configuration.origins.get(prefix + secret, "default")
    token = "set, not shown" if settings.admin_token else "not set"
    yield "admin_token", token, configuration.origins.get("admin_token", "default")


def _shown(name: str, value: Any) -> str:
    if name == "database":
        return parse_address(value).shown
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value in ("", None) else str(value)
