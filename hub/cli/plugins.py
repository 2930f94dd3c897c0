"""``attendance-hub plugins``: what is loaded, from where, and why something is not."""

from collections.abc import Iterator

from hub.config.settings import Settings
from hub.intake.endpoint import Endpoint, endpoints
from hub.plugin.discovery import available
from hub.plugin.loading import Plugins


def report(plugins: Plugins, settings: Settings) -> Iterator[str]:
    """The lines of the list. Raises SettingError for a source that is configured wrongly."""
    found = endpoints(plugins, settings)
    for plugin in plugins.loaded:
        version = f" {plugin.version}" if plugin.version else ""
        yield f"{plugin.name}{version} ({plugin.origin})"
        yield f"  hooks: {', '.join(plugin.hooks)}"
        for endpoint in found:
            if endpoint.plugin == plugin.name:
                paths = ", ".join((endpoint.path, *endpoint.source.paths))
                yield f"  source {endpoint.source.name}: {paths}  {endpoint.protection}"
                yield from (f"    schema {identifier}" for identifier in _schemas(endpoint))
        yield from (f"  target {target.name}" for target in plugin.targets)
    if plugins.off:
        yield f"off: {', '.join(plugins.off)}; the setting enable loads them"
    for failed in plugins.failed:
        yield f"{failed.name} ({failed.origin}) is not loaded: {failed.reason}"


def catalogue(settings: Settings) -> Iterator[str]:
    """A line for each built-in plugin that is off until it is enabled."""
    on = {*settings.enable, *settings.load_plugins}
    found = available()
    width = max(len(name) for name, _ in found)
    for name, about in found:
        yield f"{'on ' if name in on else 'off'}  {name:<{width}}  {about}"
    how = 'enable = ["…"] in hub.toml, or HUB_ENABLE'
    yield f"load one with: {how}; docs/catalogue.md says what each needs"


def _schemas(endpoint: Endpoint) -> list[str]:
    """The ``$id`` of each schema that has one, each once."""
    schemas = [validator.schema for validator in endpoint.validators.values()]
    found = [schema["$id"] for schema in schemas if isinstance(schema, dict) and "$id" in schema]
    return list(dict.fromkeys(found))
