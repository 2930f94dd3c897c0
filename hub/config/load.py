"""The settings in force: defaults, then the file, then the environment, then the options."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hub.config.settings import AlertSettings, PluginSections, Settings, SourceSettings, settable
from hub.errors import SettingError
from hub.wire.standard_webhook import require_secret, require_url

DEFAULT_FILE = "hub.toml"
_PREFIX = "HUB_"
_SOURCE_PREFIX = "HUB_SOURCE_"
_PLUGIN_PREFIX = "HUB_PLUGIN_"
_ALERTS_PREFIX = "HUB_ALERTS_"
_TABLES = {"sources", "plugin", "alerts"}
_ALERT_SECRETS = ("webhook_secret", "smtp_password")
_SECRET = "WEBHOOK_SECRET"
_ADMIN_TOKEN = "HUB_ADMIN_TOKEN"
_CAPTURE_SECRET = "HUB_CAPTURE_SECRET"
_SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings; for each, by its dotted name, where its value came from; and what looks wrong."""

    settings: Settings
    origins: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def load(
    options: Mapping[str, Any] | None = None,
    file: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """Read the settings. Raises SettingError, naming the first that is wrong.

    ``options`` are those given on the command line; ``file`` is the TOML file to read (None: the
    working folder's ``hub.toml``, if there is one).
    """
    environment = os.environ if environment is None else environment
    reading = _Reading()
    reading.file(*_toml(file))
    reading.environment(environment)
    reading.options(options or {})
    return replace(reading.done(), warnings=tuple(unknown_variables(environment)))


class _Reading:
    """The values read so far; a later layer replaces an earlier one's."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._sources: dict[str, dict[str, Any]] = {}
        self._alerts: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._plugins = PluginSections()

    def file(self, contents: Mapping[str, Any], path: str) -> None:
        known = {entry.name for entry in settable(Settings)}
        for name, value in contents.items():
            if name == "sources":
                if not isinstance(value, dict):
                    raise SettingError(f"sources in {path}: it must be a table of tables")
                for source, table in value.items():
                    self._source_table(source, table, path)
            elif name == "plugin":
                self._plugin_tables(value, path)
            elif name == "alerts":
                self._alert_table(value, path)
            elif name in ("webhook_secret", "secrets", "admin_token", "capture_secret"):
                raise _secret_in_file(name, path)
            elif name in known:
                self._set(name, value, path)
            else:
                raise SettingError(f"{name} in {path}: {_no_such(name, known | _TABLES)}")

    def _plugin_tables(self, tables: Any, path: str) -> None:
        if not isinstance(tables, dict) or not all(
            isinstance(one, dict) for one in tables.values()
        ):
            raise SettingError(f"plugin in {path}: it must be a table of tables, [plugin.<name>]")
        by_key: dict[str, Any] = {}
        for name, table in tables.items():
            if source_key(name) in by_key:
                raise SettingError(
                    f"plugin.{name} in {path}: it is there twice; - and _ are the same"
                )
            by_key[source_key(name)] = table
        self._plugins = replace(self._plugins, tables=by_key, file=path)

    def _source_table(self, name: str, table: Any, path: str) -> None:
        source = source_key(name)
        if source in self._sources:
            raise SettingError(f"sources.{name} in {path}: it is there twice; - and _ are the same")
        self._sources[source] = {}
        known = {entry.name for entry in settable(SourceSettings)}
        if not isinstance(table, dict):
            raise SettingError(f"sources.{source} in {path}: it must be a table")
        for name, value in table.items():
            if name in ("secret", "secrets", "fetch_secret"):
                raise _secret_in_file(f"sources.{source}.{name}", path)
            if name not in known:
                raise SettingError(f"sources.{source}.{name} in {path}: {_no_such(name, known)}")
            self._set_source(source, name, value, path)

    def _alert_table(self, table: Any, path: str) -> None:
        known = {entry.name for entry in settable(AlertSettings)}
        if not isinstance(table, dict):
            raise SettingError(f"alerts in {path}: it must be a table")
        for name, value in table.items():
            if name in _ALERT_SECRETS:
                raise _secret_in_file(f"alerts.{name}", path)
            if name not in known:
                raise SettingError(f"alerts.{name} in {path}: {_no_such(name, known)}")
            self._set_alert(name, value, path)

    def _set_alert(self, name: str, value: Any, origin: str) -> None:
        entry = next(entry for entry in settable(AlertSettings) if entry.name == name)
        self._alerts[name] = _read(entry, value, f"alerts.{name}", origin)
        self._origins[f"alerts.{name}"] = origin

    def _alert_variables(self, environment: Mapping[str, str]) -> None:
        known = {entry.name for entry in settable(AlertSettings)}
        for variable, value in environment.items():
            if not variable.startswith(_ALERTS_PREFIX):
                continue
            name = variable.removeprefix(_ALERTS_PREFIX).lower()
            if name in _ALERT_SECRETS:
                (self._alerts[name],) = _secrets(value, variable)[:1] or ("",)
                self._origins[f"alerts.{name}"] = variable
            elif name in known:
                self._set_alert(name, value, variable)
            else:
                raise SettingError(f"{variable}: {_no_such(name, known)}")

    def environment(self, environment: Mapping[str, str]) -> None:
        for entry in settable(Settings):
            variable = _PREFIX + entry.name.upper()
            if variable in environment:
                self._set(entry.name, environment[variable], variable)
        if secrets := _secrets(environment.get(_SECRET, ""), _SECRET):
            self._values["webhook_secret"] = secrets
            self._origins["webhook_secret"] = _SECRET
        if secrets := _secrets(environment.get(_CAPTURE_SECRET, ""), _CAPTURE_SECRET):
            self._values["capture_secret"] = secrets
            self._origins["capture_secret"] = _CAPTURE_SECRET
        if token := environment.get(_ADMIN_TOKEN, ""):
            self._admin_token(token.strip())
        self._alert_variables(environment)
        own = {k: v for k, v in environment.items() if k.startswith(_PLUGIN_PREFIX)}
        self._plugins = replace(self._plugins, environment=own)
        names = [entry.name for entry in settable(SourceSettings)] + ["secrets", "fetch_secret"]
        for variable, value in environment.items():
            if variable.startswith("HUB_SOURCES_"):
                raise SettingError(
                    f"{variable}: there is no such setting; did you mean "
                    f"{variable.replace('HUB_SOURCES_', _SOURCE_PREFIX)}?"
                )
            if variable.startswith(_SOURCE_PREFIX):
                self._source_variable(variable, value, names)

    def _admin_token(self, token: str) -> None:
        if not token:
            raise SettingError(f"{_ADMIN_TOKEN}: it is blank; unset it, or give a token")
        if not token.isascii() or not token.isprintable() or " " in token:
            raise SettingError(f"{_ADMIN_TOKEN}: it must be ASCII without blanks")
        if len(token) < _SHORTEST_TOKEN:
            raise SettingError(
                f"{_ADMIN_TOKEN}: it must have {_SHORTEST_TOKEN} characters at least; "
                "make one with: openssl rand -hex 32"
            )
        self._values["admin_token"] = token
        self._origins["admin_token"] = _ADMIN_TOKEN

    def _source_variable(self, variable: str, value: str, names: list[str]) -> None:
        rest = source_key(variable.removeprefix(_SOURCE_PREFIX))
        # The longest first: secret_file before file.
        for name in sorted(names, key=len, reverse=True):
            source = rest.removesuffix(f"_{name}")
            if source != rest and source:
                if name == "secrets":
                    self._sources.setdefault(source, {})[name] = _secrets(value, variable)
                    self._origins[f"sources.{source}.{name}"] = variable
                elif name == "fetch_secret":
                    (secret,) = _secrets(value, variable) or ("",)
                    self._sources.setdefault(source, {})[name] = secret
                    self._origins[f"sources.{source}.{name}"] = variable
                else:
                    self._set_source(source, name, value, variable)
                return
        raise SettingError(
            f"{variable}: it must end in one of {', '.join('_' + name.upper() for name in names)}"
        )

    def options(self, options: Mapping[str, Any]) -> None:
        for name, value in options.items():
            if value is not None and value != ():
                self._set(name, value, f"--{name.replace('_', '-')}")

    def _set(self, name: str, value: Any, origin: str) -> None:
        entry = next(entry for entry in settable(Settings) if entry.name == name)
        self._values[name] = _read(entry, value, name, origin)
        self._origins[name] = origin

    def _set_source(self, source: str, name: str, value: Any, origin: str) -> None:
        entry = next(entry for entry in settable(SourceSettings) if entry.name == name)
        dotted = f"sources.{source}.{name}"
        self._sources.setdefault(source, {})[name] = _read(entry, value, dotted, origin)
        self._origins[dotted] = origin

    def done(self) -> Configuration:
        values = dict(self._values)
        self._add_file_secrets(values, "webhook_secret", "")
        for source, table in self._sources.items():
            self._add_file_secrets(table, "secrets", f"sources.{source}.")
        sources = {source: SourceSettings(**table) for source, table in self._sources.items()}
        alerts = AlertSettings(**self._alerts)
        _require_whole(alerts)
        settings = Settings(**values, sources=sources, alerts=alerts, plugin=self._plugins)
        return Configuration(settings, self._origins)

    def _add_file_secrets(self, values: dict[str, Any], name: str, prefix: str) -> None:
        path = values.get("secret_file")
        if not path:
            return
        try:
            found = secrets_in(path)
        except SettingError as error:
            raise SettingError(f"{prefix}secret_file: {error}") from None
        values["environment_secrets"] = values.get(name, ())
        values[name] = (*values["environment_secrets"], *found)
        origin = self._origins.get(prefix + name)
        self._origins[prefix + name] = f"{origin} and {path}" if origin else path


def _require_whole(alerts: AlertSettings) -> None:
    """Raise SettingError where alerts could not be told."""
    if alerts.mail_to and not alerts.mail_from:
        raise SettingError(
            "alerts.mail_from: it is missing; name the address that mail is sent from"
        )
    if alerts.smtp_user and not alerts.smtp_password:
        raise SettingError("alerts.smtp_user: it has no password; set HUB_ALERTS_SMTP_PASSWORD")
    if alerts.smtp_user and alerts.smtp_security == "none":
        raise SettingError(
            "alerts.smtp_security: a password would go over the network in the clear; use starttls or tls"
        )
    if not alerts.webhook:
        return
    try:
        require_url(alerts.webhook)
    except ValueError as error:
        raise SettingError(f"alerts.webhook: {error}") from None
    if not alerts.webhook_secret:
        raise SettingError(
            "alerts.webhook: it has no secret; set HUB_ALERTS_WEBHOOK_SECRET=whsec_…, made with: openssl "
            "rand -base64 24"
        )
    try:
        require_secret(alerts.webhook_secret)
    except ValueError as error:
        raise SettingError(f"HUB_ALERTS_WEBHOOK_SECRET: {error}") from None


def secrets_in(path: str) -> tuple[str, ...]:
    """The secrets in a file, one a line. Raises SettingError, which names the file."""
    try:
        found = _secrets(Path(path).read_text("utf-8"), path)
    except (OSError, UnicodeDecodeError):
        raise SettingError(f"{path} cannot be read as text") from None
    if not found:
        raise SettingError(f"{path} has no secret; write one a line")
    return found


def source_key(name: str) -> str:
    """A source's name in the settings: the environment cannot tell a hyphen from an underscore."""
    return name.lower().replace("-", "_")


def _toml(file: str | None) -> tuple[Mapping[str, Any], str]:
    path = Path(file or DEFAULT_FILE)
    try:
        return tomllib.loads(path.read_text("utf-8")), str(path)
    except FileNotFoundError:
        if file is None:
            return {}, DEFAULT_FILE
        raise SettingError(f"config: there is no file {file}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingError(f"config: {path} cannot be read as TOML: {error}") from None


def _read(entry: Any, value: Any, name: str, origin: str) -> Any:
    try:
        return entry.metadata["read"](value)
    except ValueError as error:
        raise SettingError(f"{name} (from {origin}): {error}") from None


def _no_such(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return "there is no such setting" + (f"; did you mean {close[0]}?" if close else "")


def _secret_in_file(name: str, path: str) -> SettingError:
    return SettingError(
        f"{name} in {path}: secrets stay out of this file; give them in the environment, or in a "
        "file of their own that secret_file names"
    )


def _secrets(text: str, origin: str) -> tuple[str, ...]:
    """The secrets in ``text``, one a line."""
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of the environment that are not UTF-8
        raise SettingError(f"{origin}: its secrets must be UTF-8") from None
    lines = [line.strip("\r") for line in text.split("\n")]
    for line in filter(None, lines):
        if not line.strip():
            raise SettingError(f"{origin}: a secret of blanks; write one that nobody guesses")
        if "\0" in line:
            raise SettingError(f"{origin}: a secret has a NUL byte; is the file text?")
    return tuple(filter(None, lines))


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """A warning for each variable that looks like a setting and is none.

    Those of plugins are looked at when the plugins are loaded.
    """
    known = {_PREFIX + entry.name.upper() for entry in settable(Settings)}
    known |= {_ADMIN_TOKEN, _CAPTURE_SECRET}
    for variable in sorted(environment):
        own = variable.startswith((_SOURCE_PREFIX, _PLUGIN_PREFIX, _ALERTS_PREFIX))
        if variable.startswith(_PREFIX) and not own and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1, cutoff=0.7)
            meant = f"; did you mean {close[0]}?" if close else ""
            yield f"{variable} is not a setting{meant}"
