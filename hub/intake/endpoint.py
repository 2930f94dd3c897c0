"""An endpoint: a source as it is configured, with its validators and its counters."""

import difflib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from jsonschema.protocols import Validator

from hub.config.load import source_key
from hub.config.settings import Settings, SourceSettings
from hub.domain.delivery import Told
from hub.domain.distribution import Distribution
from hub.domain.identifiers import Identifier
from hub.domain.nearness import Nearness
from hub.domain.operations import CheckIn, CheckOut, Operation, SaveEvent, Withdraw
from hub.domain.records import Result
from hub.domain.timestamps import format_utc
from hub.errors import FAULTS, PluginError, Refused, SettingError
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.budget import Budget
from hub.intake.request import Kept
from hub.intake.secrets import Secrets
from hub.log import log_fault
from hub.plugin.checks import place_of, require_reply
from hub.plugin.discovery import built_ins, usual_answer
from hub.plugin.hooks import HookFailed
from hub.plugin.loading import Plugins
from hub.plugin.sender import Happened, Reply
from hub.plugin.source import Source, StatusAndBody
from hub.plugin.watch import Watch
from hub.wire.credentials import Known
from hub.wire.forms import JSON_OBJECT
from hub.wire.hmacs import RequestAuthentication
from hub.wire.request import Request
from hub.wire.signatures import (
    OPEN,
    SCHEMES,
    WEBHOOK_SIGNATURE,
    Authentication,
    HmacSha256,
    HubToken,
    Open,
    WhenSigned,
    signing_timestamp,
)

_log = logging.getLogger(__name__)

UNAUTHENTICATED = "unauthenticated"
UNAVAILABLE = "unavailable"
HANDSHAKE = "handshake"
"""What is counted beside the outcomes of deliveries: requests without a right credential, those that the
store could not take, and handshakes.
"""


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

_OF_EVENTS = (CheckIn, CheckOut, Withdraw)


class Counters:
    """What one endpoint has seen since the hub started. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last: tuple[datetime, str, int] | None = None
        self.seconds = Distribution(*_SECONDS)
        """How long deliveries took, from the request until they were on the disk."""

    def count(self, outcome: str, at: datetime, status: int) -> None:
        """Count one delivery. ``at`` is naive and in UTC."""
        with self._lock:
            self._counts[outcome] += 1
            if outcome not in (UNAUTHENTICATED, UNAVAILABLE, HANDSHAKE):
                self._last = at, outcome, status

    def by_outcome(self) -> dict[str, int]:
        """The counts."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def shown(self) -> dict[str, Any]:
        """The counts by outcome, and the last delivery."""
        with self._lock:
            counts, last = dict(sorted(self._counts.items())), self._last
        shown = None
        if last is not None:
            at, outcome, status = last
            received_at = format_utc(at.replace(microsecond=0))
            shown = {"received_at": received_at, "outcome": outcome, "status": status}
        return {"deliveries": {"total": sum(counts.values()), **counts}, "last_delivery": shown}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A plugin's source, how its requests prove where they come from, and what it has seen."""

    plugin: str
    source: Source
    validators: Mapping[str, Validator]
    authentication: Authentication
    secret: Secrets = field(repr=False)
    counters: Counters
    usual_answer: Callable[[Sequence[Result]], StatusAndBody]
    nearness: Nearness
    kept_headers: Kept
    budget: Budget
    watch: Watch
    is_plain: bool
    """Whether headers and a JSON body are all that is looked at of a request."""
    events: Mapping[str, str] = field(default_factory=dict)
    fetch_secret: str = field(default="", repr=False)
    fetches_privately: bool = False

    @property
    def secrets(self) -> tuple[str, ...]:
        """What the authentication checks with, now."""
        return self.secret.now

    @property
    def path(self) -> str:
        """The URL path, with its trailing slash."""
        return f"/api/webhook/{self.source.path}/"

    def answer(self, payload: Any, results: Sequence[Result], delivery: str) -> Answer:
        """The answer of success: the source's own, else the usual one.

        Raises HookFailed for whatever the source's raises, and where it gives a status that is no success
        with a body, or a body that is no JSON.
        """
        own = self.source.answer
        if own is None or not results:
            return answers.answer(*self.usual_answer(results))
        try:
            with self.watch.calling(self.plugin, "answer", delivery):
                status, body = own(payload, results) or self.usual_answer(results)
                if not 200 <= status < 300 or status in (204, 205):
                    raise PluginError(
                        f"{place_of(own)} gave the status {status}; give one such as 200 or 201"
                    )
                return answers.answer(status, body)
        except Refused:
            error = PluginError(
                f"{place_of(own)} refused what was applied already; raise hub.Refused in normalize"
            )
            raise HookFailed(self.plugin, "answer") from error
        except FAULTS as error:
            raise HookFailed(self.plugin, "answer") from error

    def reply(self, happened: Happened, delivery: str) -> Told | None:
        """What the sender is told in its source's own words; None for the hub's answer. A fault in it is
        logged: they are words alone.
        """
        if self.source.reply is None:
            return None
        try:
            with self.watch.calling(self.plugin, "reply", delivery):
                reply = self.source.reply(happened)
            if reply is None:
                return None
            require_reply(reply, self.source.reply)
            return Told(reply.status, reply.content_type, reply.body)
        except FAULTS as error:
            failed = HookFailed(self.plugin, "reply")
            log_fault(f"{failed} on delivery {delivery}", error)
            return None

    def handshake(self, request: Request, signed: bool, delivery: str) -> Reply | None:
        """The answer to a handshake; None for what is none. Raises HookFailed."""
        for one in self.source.handshakes:
            if one.signed is not signed:
                continue
            try:
                with self.watch.calling(self.plugin, "handshake", delivery):
                    reply = one.reply_to(request, self.secrets)
                if reply is not None:
                    require_reply(reply, one.answer)
                    return reply
            except FAULTS as error:
                raise HookFailed(self.plugin, "handshake") from error
        return None

    def meant(self, operations: tuple[Operation, ...], payload: Any) -> tuple[Operation, ...]:
        """The operations with the events that the setting ``events`` says they mean. An event that one of
        them would make is not made then.
        """
        if not self.events or not any(isinstance(one, _OF_EVENTS) for one in operations):
            return operations
        called = self.source.called
        also = () if called is None else tuple(str(one).strip() for one in called(payload))
        of_payload = next((self.events[one] for one in also if one in self.events), None)
        if of_payload is not None:
            operations = tuple(one for one in operations if not isinstance(one, SaveEvent))
        return tuple(self._meant(one, of_payload) for one in operations)

    def _meant(self, operation: Operation, of_payload: str | None) -> Operation:
        if not isinstance(operation, _OF_EVENTS):
            return operation
        named = operation.event
        text = named.text if isinstance(named, Identifier) else named
        meant = of_payload
        if isinstance(text, str):
            meant = self.events.get(text.strip(), of_payload)
        return operation if meant is None else replace(operation, event=meant)

    @property
    def is_open(self) -> bool:
        """Whether a request needs no signature."""
        return isinstance(self.authentication, Open | WhenSigned)

    @property
    def protection(self) -> str:
        """``open``, or how a request must be signed, in words."""
        if isinstance(self.authentication, Open):
            return "open"
        scheme = self.authentication.scheme
        if isinstance(self.authentication, Known):
            return "listed devices"
        if not needs_secret(self.authentication):
            return f"signed ({scheme})"
        if isinstance(self.authentication, WhenSigned):
            return f"open ({scheme} checked where sent)"
        return f"signed ({scheme})" if self.secrets else f"signed ({scheme}), no secret configured"


def endpoints(plugins: Plugins, settings: Settings) -> tuple[Endpoint, ...]:
    """The endpoints of all sources. Raises SettingError for one that is configured wrongly."""
    return tuple(
        _endpoint(plugin.name, source, validators, settings, plugins.watch)
        for plugin in plugins.loaded
        for source, validators in plugin.sources
    )


def require_known_sources(
    found: tuple[Endpoint, ...], plugins: Plugins, settings: Settings
) -> None:
    """Raise SettingError for a source that is configured and that no plugin declares: who misspells it
    leaves the one that was meant open. A warning, where a plugin that is not loaded may declare it.
    """
    names = {source_key(endpoint.source.name) for endpoint in found} | built_ins()
    for name in sorted(name for name in settings.sources if source_key(name) not in names):
        close = difflib.get_close_matches(source_key(name), names, n=1)
        meant = f"; did you mean {close[0]}?" if close else ""
        what = f"sources.{name}: no plugin declares such a source{meant}"
        if not plugins.may_be_incomplete:
            raise SettingError(what)
        _log.warning("%s", what)


def _endpoint(
    plugin: str,
    source: Source,
    validators: Mapping[str, Validator],
    settings: Settings,
    watch: Watch,
) -> Endpoint:
    own = settings.sources.get(source_key(source.name), SourceSettings())
    if settings.require_authentication:
        signature = "" if isinstance(SCHEMES.get(own.signature), Open) else own.signature
        own = replace(own, signature=signature, required=True)
    authentication = _authentication(source, own)
    given = own if own.secrets else settings
    now = own.secrets or settings.webhook_secret
    for secret in now:
        try:
            authentication.check_secret(secret)
        except ValueError as error:
            raise SettingError(f"sources.{source.name}: {error}") from None
    secrets = Secrets(
        now, given.environment_secrets, given.secret_file, authentication.check_secret
    )
    window = settings.check_in_window if own.check_in_window is None else own.check_in_window
    nearness = Nearness(
        None if window is None else timedelta(hours=window),
        timedelta(hours=settings.same_event_within),
    )
    return Endpoint(
        plugin=plugin,
        source=source,
        validators=validators,
        authentication=authentication,
        secret=secrets,
        counters=Counters(),
        usual_answer=usual_answer(),
        nearness=nearness,
        kept_headers=Kept(source, authentication),
        budget=Budget(settings.keep_refused),
        watch=watch,
        is_plain=_is_plain(source, authentication),
        events=own.events,
        fetch_secret=own.fetch_secret,
        fetches_privately=own.fetch_private,
    )


def _is_plain(source: Source, authentication: Authentication) -> bool:
    over_all = isinstance(authentication, RequestAuthentication) or source.credential_places
    places = [place for place in source.places.values() if place.kind != "header"]
    is_usual = tuple(source.methods) == ("POST",) and not source.paths and not source.handshakes
    return is_usual and not (over_all or places or source.body is not JSON_OBJECT)


def needs_secret(scheme: Authentication) -> bool:
    """Whether a scheme checks with secrets that the configuration gives."""
    return not isinstance(scheme, HubToken) and bool(getattr(scheme, "needs_secret", True))


def _authentication(source: Source, own: SourceSettings) -> Authentication:
    name = f"sources.{source.name}"
    scheme = SCHEMES[own.signature] if own.signature else source.authenticate
    if isinstance(scheme, Open) and own.signature and (own.required or own.secrets):
        raise SettingError(f"{name}.signature: none cannot be required; name a scheme")
    if isinstance(scheme, Open) and (own.required or own.secrets):
        scheme = WEBHOOK_SIGNATURE  # who gives a source a secret wants it to be checked
    weaker = own.required is False or isinstance(scheme, Open)
    if weaker and not isinstance(source.authenticate, Open):
        setting = "required" if own.required is False else "signature"
        raise SettingError(
            f"{name}.{setting}: this source is always signed; post to another, or leave it out "
            f"with without"
        )
    if own.required is False and isinstance(scheme, HubToken):
        raise SettingError(f"{name}.required: a source that takes the hub's tokens requires one")
    if own.signed == "timestamp.body":
        if not isinstance(scheme, HmacSha256) or not scheme.timestamp_header:
            raise SettingError(
                f"{name}.signed: only the onetap signature can be made over timestamp.body"
            )
        scheme = signing_timestamp(scheme)
    if own.required is False:
        return OPEN if isinstance(scheme, Open) else WhenSigned(scheme)
    return scheme
