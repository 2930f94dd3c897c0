"""attendance-hub: what a plugin needs, and nothing else.

A plugin is a module with functions marked ``@hookimpl``; a source is a ``Source`` that one of them
declares. ``docs/plugins.md`` shows both.
"""

from hub import payloads
from hub.domain.delivery import CommittedDelivery, Delivery, Outcome
from hub.domain.identifiers import (
    A_NUMBER,
    CARD,
    EMAIL,
    MAX_IDENTIFIER_LENGTH,
    Identifier,
    is_email,
    student_identifier,
)
from hub.domain.operations import (
    CheckIn,
    CheckOut,
    CreateEvent,
    CreateStudent,
    HideEvent,
    HideStudent,
    Ignore,
    Operation,
    SaveEvent,
    SaveStudent,
    UpdateEvent,
    UpdateStudent,
    Withdraw,
)
from hub.domain.records import (
    AttendanceRecord,
    Change,
    CommittedCheckIn,
    EventRecord,
    Result,
    StudentRecord,
)
from hub.domain.timestamps import format_utc, parse_timestamp, parse_unix_seconds
from hub.errors import NotConfigured, NotDelivered, NotFound, Refused, Unauthenticated
from hub.plugin.hookspecs import hookimpl
from hub.plugin.section import setting
from hub.plugin.source import Source
from hub.plugin.target import Target
from hub.version import __version__
from hub.wire.keywords import is_missing
from hub.wire.signatures import (
    GITHUB_SIGNATURE,
    HUB_TOKEN,
    ONETAP_SIGNATURE,
    OPEN,
    SHARED_SECRET,
    STANDARD_WEBHOOKS,
    WEBHOOK_SIGNATURE,
    Authentication,
    HmacSha256,
    HubToken,
    SharedSecret,
    Signer,
)

__all__ = [
    "A_NUMBER",
    "CARD",
    "EMAIL",
    "GITHUB_SIGNATURE",
    "HUB_TOKEN",
    "MAX_IDENTIFIER_LENGTH",
    "ONETAP_SIGNATURE",
    "OPEN",
    "SHARED_SECRET",
    "STANDARD_WEBHOOKS",
    "WEBHOOK_SIGNATURE",
    "AttendanceRecord",
    "Authentication",
    "Change",
    "CheckIn",
    "CheckOut",
    "CommittedCheckIn",
    "CommittedDelivery",
    "CreateEvent",
    "CreateStudent",
    "Delivery",
    "EventRecord",
    "HideEvent",
    "HideStudent",
    "HmacSha256",
    "HubToken",
    "Identifier",
    "Ignore",
    "NotConfigured",
    "NotDelivered",
    "NotFound",
    "Operation",
    "Outcome",
    "Refused",
    "Result",
    "SaveEvent",
    "SaveStudent",
    "SharedSecret",
    "Signer",
    "Source",
    "StudentRecord",
    "Target",
    "Unauthenticated",
    "UpdateEvent",
    "UpdateStudent",
    "Withdraw",
    "__version__",
    "format_utc",
    "hookimpl",
    "is_email",
    "is_missing",
    "parse_timestamp",
    "parse_unix_seconds",
    "payloads",
    "setting",
    "student_identifier",
]
