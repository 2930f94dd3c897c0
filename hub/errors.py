"""Everything that the hub raises on purpose.

HubError
├── Refused                  400  the request cannot be taken as it is
│   ├── Conflicting          400  it contradicts what the record has now
│   │   └── AlreadyCheckedIn 400  the student is checked in to this event
│   │       └── WithdrawnAtDesk 400  its attendance was withdrawn with authority
│   ├── InvalidPayload       400  it is not JSON, or not what the source's schema describes
│   ├── Unauthenticated      401  its signature is missing or wrong
│   ├── Forbidden            403  its token may not do that
│   ├── FromElsewhere        403  a page of another site has a browser send it
│   ├── NotFound             404  it names a student or an event that the hub does not know
│   ├── RequestTimeout       408  its body did not arrive in time
│   ├── KeyReused            409  its idempotency key came before, with another body
│   ├── Contradicted         409  it asks to put right what is not so, or what others rest on
│   ├── NotReplayable        409  a kept delivery that cannot or need not be attempted again
│   ├── PayloadTooLarge      413  its body is over the limit
│   ├── UnsupportedMediaType 415  its content type is not JSON
│   ├── CaptureFull          429  a capture has taken as many requests as one takes
│   ├── TooManyAttempts      429  too many wrong tokens came from there
│   └── NotConfigured        503  its source requires a signature and has no secret
├── NotDelivered                  a target did not take a check-in; the hub sends it again later
├── StoreUnavailable         503  the store cannot take it now; the sender should try again
│   ├── StoreDamaged              its file is damaged
│   └── StoreChanged              its tables are not those that this hub works with
├── BackupError                   a backup cannot be made, or put back
├── StoreConflict                 another writer came first; the hub tries again by itself
├── StoreVersionError             the store's schema is not the one that this hub works with
├── SettingError                  a setting is wrong; the hub does not start
└── PluginError                   a plugin cannot be loaded, or did what no plugin may; the others run
    └── InvalidOperation          an operation was made with a value that it cannot have
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

FAULTS = (Exception, SystemExit, GeneratorExit)
"""What a plugin's code may raise that must not end the hub."""


class HubError(Exception):
    """The base of every error that the hub raises on purpose."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a payload breaks its schema.

    ``pointer`` is a JSON Pointer (RFC 6901); ``message`` never repeats the value found there.
    """

    pointer: str
    message: str


class Refused(HubError):
    """An expected refusal: it becomes the answer to the request, and one log line.

    ``error`` is the sentence that clients match on, ``details`` says how to mend it, and ``errors``
    lists the violations where a schema rejected the payload; ``headers`` go with the answer.
    ``is_final`` tells that the same request can never do better: then its idempotency key remembers the
    answer.
    """

    status: ClassVar[int] = 400
    is_final: ClassVar[bool] = True

    def __init__(
        self,
        error: str,
        details: str | None = None,
        errors: Sequence[Violation] = (),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(error)
        self.error = error
        self.details = details
        self.errors = tuple(errors)
        self.headers = headers


class Conflicting(Refused):
    """The request contradicts what the record has now, or what a plugin's veto looks at; the same one may
    do better later.
    """

    is_final = False


@dataclass(frozen=True, slots=True)
class Witness:
    """What a second check-in tells of the attendance that there is: when it saw the student (naive, UTC),
    its source's label, and what its sender calls the attendance. Of a student or an event that was merged
    it may be the first under this name, and make an attendance (None) that is told with the other.
    """

    attendance: int | None
    at: datetime
    source: str
    participant: str | None
    student: int = 0
    event: int = 0
    metadata: str = "{}"


class AlreadyCheckedIn(Conflicting):
    """A second check-in of a student to an event; ``witness`` is what it tells, if it did not tell it
    before.
    """

    sentence: ClassVar[str] = "Student already checked in to this event"

    def __init__(self, witness: Witness | None = None) -> None:
        super().__init__(self.sentence)
        self.witness = witness


class WithdrawnAtDesk(AlreadyCheckedIn):
    """A check-in at an attendance that was withdrawn with authority."""

    sentence = "Attendance was withdrawn at the desk"


class InvalidPayload(Refused):
    """The body is not strict JSON, or not what the source's schema describes."""


class Unauthenticated(Refused):
    """A credential is missing, malformed, wrong or outside its time tolerance."""

    status = 401
    is_final = False


class Forbidden(Refused):
    """The token is a right one, and may not do this."""

    status = 403
    is_final = False

    def __init__(self, why: str) -> None:
        super().__init__("This token may not do that", why)


class FromElsewhere(Refused):
    """A browser says that a page of another site has it send this."""

    status = 403

    def __init__(self) -> None:
        super().__init__(
            "Requests from pages of other sites are not taken",
            "Send the payload as application/json, and list the page's origin in allowed_origins",
        )


class NotFound(Refused):
    """The delivery names a student or an event that the hub does not know.

    ``awaits`` is its name (``hub.domain.subjects``), if the delivery can be applied once it is known.
    """

    status = 404
    is_final = False

    def __init__(self, error: str, details: str | None = None, awaits: str | None = None) -> None:
        super().__init__(error, details)
        self.awaits = awaits


class RequestTimeout(Refused):
    """The body did not arrive in time."""

    status = 408


class KeyReused(Refused):
    """The sender's idempotency key was used before, with another body, by the delivery ``holder``."""

    status = 409
    is_final = False

    def __init__(self, holder: str) -> None:
        super().__init__(
            "Idempotency key was used with another body",
            "Use a new key for a new delivery, and the same body for a repeated one",
        )
        self.holder = holder


class Contradicted(Refused):
    """A correction asks for what the record does not have, or what other corrections rest on."""

    status = 409
    is_final = False


class NotReplayable(Refused):
    """A kept delivery cannot be attempted again, or need not be."""

    status = 409


class PayloadTooLarge(Refused):
    """The body is larger than the configured limit."""

    status = 413


class UnsupportedMediaType(Refused):
    """The content type is present and is not JSON in UTF-8."""

    status = 415


class CaptureFull(Refused):
    """A capture has taken as many requests as one takes."""

    status = 429

    def __init__(self, most: int) -> None:
        super().__init__("Capture is full", f"It takes {most} requests; open another")


class TooManyAttempts(Refused):
    """Too many wrong tokens came from an address; it is heard again after ``seconds``."""

    status = 429

    def __init__(self, seconds: float) -> None:
        wait = {"Retry-After": str(math.ceil(seconds))}
        super().__init__(
            "Too many wrong tokens", "Try again after Retry-After seconds", headers=wait
        )
        self.seconds = seconds


class NotConfigured(Refused):
    """The source requires a signature, and no secret is configured for it."""

    status = 503
    is_final = False


class NotDelivered(HubError):
    """A target did not take a check-in. The text says why, without persons and secrets.

    ``retry_after`` are the seconds that the target asked to be left alone for.
    """

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class StoreUnavailable(HubError):
    """The store cannot take the delivery now (gone, full, or locked too long).

    ``may_be_recorded``: it was lost in the commit, so nobody knows whether that has happened.
    ``needs_restart``: it takes nothing more until somebody has mended it and started the hub again.
    """

    needs_restart: ClassVar[bool] = False

    def __init__(self, why: str, may_be_recorded: bool = False) -> None:
        super().__init__(why)
        self.may_be_recorded = may_be_recorded


class StoreDamaged(StoreUnavailable):
    """The store's file is damaged. What is written to it may be lost."""

    needs_restart = True


class StoreChanged(StoreUnavailable):
    """Somebody has changed the store's tables, so that they do not fit any more."""

    needs_restart = True


class BackupError(HubError):
    """A backup cannot be made, or put in the place of a store; the text says why, and what to do."""


class StoreConflict(HubError):
    """Another writer's transaction came first; the same work may be tried again."""


class StoreVersionError(HubError):
    """The store's schema is older or newer than the one that this hub works with."""


class SettingError(HubError):
    """A setting is wrong. The message names it and says how to mend it."""


class PluginError(HubError):
    """A plugin cannot be loaded, or did what no plugin may. The message names the fault and the mend, and
    no person.
    """


class InvalidOperation(PluginError):
    """An operation was made with a value of a type that it cannot have."""
