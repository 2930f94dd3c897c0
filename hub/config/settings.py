"""The settings: every one with its type, its default, and why one would change it."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import UTC, tzinfo
from types import MappingProxyType
from typing import Any

from hub.config import readers
from hub.wire.forwarded import Network
from hub.wire.signatures import SCHEMES


def _setting(default: Any, read: Any, about: str, unit: str = "") -> Any:
    metadata = {"read": read, "about": about, "unit": unit}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _secret(about: str, default: Any = ()) -> Any:
    return field(default=default, repr=False, metadata={"secret": True, "about": about})


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What can be set for one source: ``[sources.<name>]``, or ``HUB_SOURCE_<NAME>_<SETTING>``."""

    signature: str = _setting(
        "", readers.choice(*SCHEMES), "Signature scheme; none leaves the endpoint open"
    )
    required: bool | None = _setting(
        None, readers.boolean, "Whether a request must be signed; false checks only those that are"
    )
    signed: str = _setting(
        "body",
        readers.choice("body", "timestamp.body"),
        "What an onetap signature is made over",
    )
    check_in_window: float | None = _setting(
        None, readers.hours, "As the hub's check_in_window, for this source", "hours"
    )
    events: Mapping[str, str] = _setting(
        MappingProxyType({}),
        readers.texts_by_name,
        "Event by what the sender calls it: a room, a list, a channel",
    )
    fetch_private: bool = _setting(
        False, readers.boolean, "Whether what is fetched may be in a private network"
    )
    secret_file: str = _setting("", readers.text, "File with the source's secrets, one a line")
    fetch_secret: str = _secret(
        "What the sender wants to see where something is fetched from it; environment only",
        default="",
    )
    secrets: tuple[str, ...] = _secret("The source's secrets, one a line; environment only")
    environment_secrets: tuple[str, ...] = _secret("Those of the secrets that are in no file")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Who is told when something is wrong: ``[alerts]``, or ``HUB_ALERTS_<SETTING>``."""

    webhook: str = _setting("", readers.text, "URL to which alerts are posted (Standard Webhooks)")
    mail_to: tuple[str, ...] = _setting(
        (), readers.mail_addresses, "Addresses to which they are sent"
    )
    mail_from: str = _setting("", readers.mail_address, "Address that they are sent from")
    smtp_host: str = _setting("localhost", readers.text, "Mail server that takes them")
    smtp_port: int = _setting(25, readers.whole_number(1, 65535), "Its port")
    smtp_security: str = _setting(
        "none",
        readers.choice("none", "starttls", "tls"),
        "Whether it is talked to over TLS: from the beginning (tls, port 465), or after it has said so "
        "(starttls, port 587)",
    )
    smtp_user: str = _setting("", readers.text, "User of the mail server, if it wants one")
    silent_after: int = _setting(
        30,
        readers.whole_number(1, 1440),
        "How long nothing may come from a source that is used at events, while one is on",
        "minutes",
    )
    backup_after: int = _setting(
        36,
        readers.whole_number(0, 87_600),
        "How old the last backup may be; 0: of any age",
        "hours",
    )
    disk_below: int = _setting(
        10, readers.whole_number(0, 100), "How much of the store's disk must be free", "percent"
    )
    webhook_secret: str = _secret("What is posted is signed with it; environment only", default="")
    smtp_password: str = _secret("The user's password; environment only", default="")


@dataclass(frozen=True, slots=True)
class PluginSections:
    """The settings of the plugins: tables by plugin, the file that they are from, and the environment's
    ``HUB_PLUGIN_…``. Each plugin reads its own part (``hub.plugin.section``).
    """

    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    file: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Times are in seconds and sizes in bytes where no unit is named."""

    host: str = _setting("127.0.0.1", readers.text, "Address to listen on")
    port: int = _setting(
        8000, readers.whole_number(0, 65535), "Port to listen on; 0 takes a free one"
    )
    database: str = _setting(
        "sqlite:///attendance-hub.db",
        readers.text,
        "Where the record is kept: sqlite:///<path> or postgresql://…",
    )
    time_zone: tzinfo = _setting(
        UTC, readers.time_zone, "Zone of timestamps without an offset, and of calendar dates"
    )
    body_limit: int = _setting(
        1_048_576, readers.whole_number(1, 1 << 30), "Largest body of a request", "bytes"
    )
    import_limit: int = _setting(
        16_777_216,
        readers.whole_number(1, 1 << 30),
        "Largest file that is imported; unpacked it may be 16 times as large",
        "bytes",
    )
    connection_limit: int = _setting(
        1000,
        readers.whole_number(1, 100_000),
        "With more connections than this, requests are answered 503",
    )
    body_timeout: int = _setting(
        30, readers.whole_number(1, 3600), "How long a request's body may take to arrive", "seconds"
    )
    drain_delay: float = _setting(
        1,
        readers.seconds(60),
        "How long new requests are taken after SIGTERM, while /readyz answers 503 already; at most "
        "half of drain_timeout",
        "seconds",
    )
    drain_timeout: int = _setting(
        10,
        readers.whole_number(0, 3600),
        "How long requests in flight may take at the end",
        "seconds",
    )
    key_retention: int = _setting(
        30, readers.whole_number(1, 3650), "How long an idempotency key is remembered", "days"
    )
    keep_bodies: int = _setting(
        90,
        readers.whole_number(1, 36_500),
        "How long the bodies of deliveries are kept; those of the desk stay",
        "days",
    )
    keep_refused: int = _setting(
        10_485_760,
        readers.whole_number(0, 1 << 40),
        "How much of what an open source refuses is kept: for each source and day, and as much again of "
        "second check-ins and of check-ins of unknown students or events",
        "bytes",
    )
    check_in_window: float | None = _setting(
        None,
        readers.hours,
        "How far from a check-in an event of its name may start; none: the nearest, however far",
        "hours",
    )
    same_event_within: float = _setting(
        2, readers.hours, "How far apart two starts of one name may be, to be one event", "hours"
    )
    apply_waiting: bool = _setting(
        False,
        readers.boolean,
        "Whether a check-in of an unknown student or event is applied when that one appears",
    )
    require_authentication: bool = _setting(
        False,
        readers.boolean,
        "Whether every source is closed: one that is open then requires the scheme webhook",
    )
    public_url: str = _setting("", readers.web_address, "Address of the hub as its senders have it")
    allowed_origins: tuple[str, ...] = _setting(
        (), readers.origins, "Browser origins whose pages may post (CORS)"
    )
    trusted_proxies: tuple[Network, ...] = _setting(
        (),
        readers.networks,
        "Addresses and networks of the proxies before the hub, whose X-Forwarded-For or Forwarded tells "
        "who sends",
    )
    console_over_http: bool = _setting(
        False,
        readers.boolean,
        "Whether one may log in to the console over plain HTTP from another machine",
    )
    plugins: str = _setting("", readers.text, "Folder of plugins, one a .py file")
    enable: tuple[str, ...] = _setting(
        (),
        readers.words,
        "Built-in plugins that are off otherwise; attendance-hub plugins --available lists them",
    )
    load_plugins: tuple[str, ...] = _setting((), readers.words, "Load only these plugins")
    without: tuple[str, ...] = _setting((), readers.words, "Plugins that are not loaded")
    log_level: str = _setting(
        "info",
        readers.choice("debug", "info", "warning", "error"),
        "Least important log line shown; debug shows personal data",
    )
    log_format: str = _setting(
        "text",
        readers.choice("text", "json"),
        "How a log line is written; json is one object a line",
    )
    secret_file: str = _setting(
        "", readers.text, "File with secrets for every signed source without its own, one a line"
    )
    webhook_secret: tuple[str, ...] = _secret(
        "Secrets for every signed source without its own, one a line; WEBHOOK_SECRET in the environment"
    )
    environment_secrets: tuple[str, ...] = _secret("Those of webhook_secret that are in no file")
    capture_secret: tuple[str, ...] = _secret(
        "The secret with which a capture answers handshakes that need one, and with which no source is "
        "signed; HUB_CAPTURE_SECRET in the environment"
    )
    admin_token: str = _secret(
        "Opens the API of the kept deliveries; HUB_ADMIN_TOKEN in the environment", default=""
    )
    sources: Mapping[str, SourceSettings] = field(
        default_factory=dict, metadata={"table": SourceSettings, "about": "Settings by source"}
    )
    alerts: AlertSettings = field(
        default_factory=AlertSettings, metadata={"table": AlertSettings, "about": "Who is told"}
    )
    plugin: PluginSections = PluginSections()


Table = type[Settings] | type[SourceSettings] | type[AlertSettings]


def settable(table: Table) -> list[Field[Any]]:
    """The fields of a table that a file, the environment or an option may give as a value."""
    return [entry for entry in fields(table) if "read" in entry.metadata]


def default_of(entry: Field[Any]) -> Any:
    """The default of a setting."""
    if entry.default_factory is not MISSING:
        return entry.default_factory()
    return None if entry.default is MISSING else entry.default
