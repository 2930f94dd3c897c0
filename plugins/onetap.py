"""OneTap: the action form, with the unified endpoint's data, and what the OneTap service sends.

The service's events come with nested objects (``data.participant``, ``profile``, ``list``) or, as its
documents show, with flat ids (``data.participantId``, ``profileId``, ``listId``). Its ids are kept as
identifiers, so that a renamed list or a corrected profile stays the same event and the same student.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hub import (
    A_NUMBER,
    EMAIL,
    MAX_IDENTIFIER_LENGTH,
    OPEN,
    Change,
    CheckIn,
    CheckOut,
    HideEvent,
    HideStudent,
    Identifier,
    Ignore,
    Operation,
    Refused,
    Result,
    SaveEvent,
    SaveStudent,
    Source,
    Withdraw,
    format_utc,
    hookimpl,
    is_email,
    is_missing,
    payloads,
)

Object = Mapping[str, Any]

PROFILE, LIST, PARTICIPANT = "onetap_profile", "onetap_list", "onetap_participant"

_SCHEMAS = "https://attendance-hub.example/schemas/"
_ACTIONS = {
    "create_student": ("unified/student-create.json", payloads.create_student),
    "create_event": ("unified/event-create.json", payloads.create_event),
    "record_attendance": ("unified/attendance-create.json", payloads.check_in),
}
_HEADERS = (
    "user-agent",
    "x-onetap-event",
    "x-onetap-organization",
    "x-onetap-integration",
    "x-onetap-timestamp",
)
_A_NUMBER_FIELDS = ("anumber", "a#", "studentid")


def kind(payload: Object) -> str:
    """The action, or what the event is about, or ``ignored`` for an event unknown to the hub."""
    action, event = payload.get("action"), payload.get("event")
    if not is_missing(action):
        if not isinstance(action, str) or action not in _ACTIONS:
            raise Refused(
                f"Unknown action: {payloads.shown(action)}. Valid actions are: {', '.join(_ACTIONS)}"
            )
        return action
    if is_missing(event):
        raise Refused("action field is required", "Or send one of OneTap's events as event")
    if not isinstance(event, str) or event not in _EVENTS:
        return "ignored"
    return event.split(".")[0]


def normalize(payload: Object) -> Iterable[Operation]:
    which = kind(payload)
    if which == "ignored":
        return [_ignored(payload, "The hub records nothing of this event")]
    if which in _ACTIONS:
        return [_ACTIONS[which][1](payload["data"], payload)]
    return _EVENTS[payload["event"]](payload)


def _checkin(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    if parts.nested:
        yield parts.save_student()
        yield parts.save_event()
        yield parts.check_in()
    elif parts.names_both:
        yield replace(parts.check_in(), student=parts.student(), event=parts.event(), lenient=True)
    else:
        yield _ignored(payload, "There is no profile and list to record it on")


def _checkout(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    # A check-out tells of its check-in; should that have been lost, it is recorded now.
    if parts.nested and parts.checked_in_at is not None:
        yield from _checkin(payload)
    at = parts.checked_out_at or parts.sent_at
    yield CheckOut(**parts.attendance(), at=at)


def _registered(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    if not parts.nested:
        yield _ignored(payload, "A registration without a profile and a list records nothing")
        return
    yield parts.save_student()
    yield parts.save_event()


def _undone(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    yield Withdraw(**parts.attendance(), at=parts.sent_at)


def _profile_saved(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    if is_missing(parts.profile.get("name")) and len(parts.student_identifiers()) < 2:
        yield _ignored(payload, "The profile has nothing to record but its id")
        return
    yield parts.save_student(update=True)


def _profile_deleted(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    yield HideStudent(student=parts.student(), source=parts.source)


def _list_saved(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    if is_missing(parts.list.get("name")):
        yield _ignored(payload, "The list has no name to record")
        return
    yield parts.save_event(update=True)


def _list_deleted(payload: Object) -> Iterator[Operation]:
    parts = _Parts(payload)
    yield HideEvent(event=parts.event(), source=parts.source)


def _passport(payload: Object) -> Iterator[Operation]:
    yield _ignored(payload, "The hub records nothing of passports")


def _ignored(payload: Object, reason: str) -> Ignore:
    source = payload.get("source")
    named = isinstance(source, str) and not is_missing(source)
    return Ignore(reason=reason, source=source if named else None)


_EVENTS = {
    "participant.created": _registered,
    "participant.checkin": _checkin,
    "participant.checkout": _checkout,
    "participant.deleted": _undone,
    "profile.created": _profile_saved,
    "profile.updated": _profile_saved,
    "profile.deleted": _profile_deleted,
    "list.created": _list_saved,
    "list.updated": _list_saved,
    "list.deleted": _list_deleted,
    "passport.created": _passport,
    "passport.deleted": _passport,
}


class _Parts:
    """The three objects of an event, whichever of the two shapes it has."""

    def __init__(self, payload: Object) -> None:
        data = payload["data"]
        about = payload["event"].split(".")[0]
        # profile.* and list.* may have their object as data itself.
        whole = {"profile": {}, "list": {}, about: data}
        self.nested = not is_missing(data.get("profile")) and not is_missing(data.get("list"))
        self.participant: Object = data.get("participant") or {}
        self.profile: Object = data.get("profile") or whole["profile"]
        self.list: Object = data.get("list") or whole["list"]
        source = payload.get("source")
        self.source = None if is_missing(source) else str(source)
        self._profile_id = _first(self.profile.get("id"), data.get("profileId"))
        self._list_id = _first(self.list.get("id"), data.get("listId"))
        self._participant_id = _first(self.participant.get("id"), data.get("participantId"))
        self.checked_in_at = _moment(
            self.participant.get("checkInDate"), data.get("checkInDate"), data.get("checkInTime")
        )
        self.checked_out_at = _moment(
            self.participant.get("checkOutDate"), data.get("checkOutDate"), data.get("checkOutTime")
        )
        self.sent_at = _moment(payload.get("timestamp"))

    def student_identifiers(self) -> tuple[Identifier, ...]:
        """By what a student is found, in that order."""
        found = []
        if self._profile_id:
            found.append(Identifier(PROFILE, self._profile_id))
        if number := _a_number(self.profile.get("customFields")):
            found.append(Identifier(A_NUMBER, number))
        email = self.profile.get("email")
        if isinstance(email, str) and is_email(email):
            found.append(Identifier(EMAIL, email))
        return tuple(found)

    def student(self) -> Identifier:
        """The first of the student's identifiers."""
        identifiers = self.student_identifiers()
        if not identifiers:
            raise Refused(
                "profile is required", "Send data.profile with an id, an A-number or an email"
            )
        return identifiers[0]

    def event(self) -> Identifier:
        """The list's id as the event's identifier."""
        if not self._list_id:
            raise Refused("list is required", "Send data.list with an id")
        return Identifier(LIST, self._list_id)

    @property
    def names_both(self) -> bool:
        """Whether there is a student to look up, and an event."""
        return bool(self.student_identifiers() and self._list_id)

    def save_student(self, update: bool = False) -> SaveStudent:
        """Find or create the student."""
        self.student()
        first_name, _, last_name = (self.profile.get("name") or "").strip().rpartition(" ")
        return SaveStudent(
            identifiers=self.student_identifiers(),
            first_name=(first_name or last_name).strip(),
            last_name=last_name if first_name else "",
            update=update,
            source=self.source,
            metadata=_kept(self.profile, ("phone", "customFields")),
        )

    def save_event(self, update: bool = False) -> SaveEvent:
        """Find or create the event. A list without a date begins with its check-in."""
        starts_at = _moment(self.list.get("date")) or self.checked_in_at or self.sent_at
        if starts_at is None:
            raise Refused("list date is required", "Send data.list.date or the event's timestamp")
        name = self.list.get("name")
        if not self._list_id and is_missing(name):
            raise Refused("list is required", "Send data.list with an id, or a name and a date")
        description = self.list.get("description")
        return SaveEvent(
            identifiers=(self.event(),) if self._list_id else (),
            name=self.event().text if is_missing(name) else str(name),
            starts_at=starts_at,
            description="" if is_missing(description) else str(description),
            update=update,
            source=self.source,
        )

    def check_in(self) -> CheckIn:
        """The check-in of who and to what was saved before; a repeated one is answered like the first."""
        return CheckIn(
            at=self.checked_in_at or self.sent_at,
            repeatable=True,
            identifiers=self._attendance_identifiers(),
            source=self.source,
            metadata=_kept(self.participant, ("checkInMethod", "checkInLocation")),
        )

    def attendance(self) -> dict[str, Any]:
        """By what an attendance is found."""
        found: dict[str, Any] = {"source": self.source}
        if self._participant_id:
            found["attendance"] = Identifier(PARTICIPANT, self._participant_id)
        if self.names_both:
            found.update(student=self.student(), event=self.event())
        return found

    def _attendance_identifiers(self) -> tuple[Identifier, ...]:
        if not self._participant_id:
            return ()
        return (Identifier(PARTICIPANT, self._participant_id),)


def delivery_key(payload: Object) -> str | None:
    """Event, participant and check-in or check-out time: OneTap sends no delivery id."""
    if kind(payload) != "participant":
        return None
    event = payload["event"]
    parts = _Parts(payload)
    at = parts.checked_out_at if event == "participant.checkout" else parts.checked_in_at
    participant = parts.attendance().get("attendance")
    if at is None or participant is None:
        return None
    return f"{event} {participant.value} {at.isoformat()}"


def answer(payload: Object, results: Sequence[Result]) -> tuple[int, Object] | None:
    """Answers to the service's events; None, for those to actions: the unified endpoint's."""
    if not is_missing(payload.get("action")):
        return None
    done = [result for result in results if result.change is not Change.IGNORED]
    source = results[-1].source
    if not done:
        return 200, {
            "success": True,
            "message": "Event received; nothing to record",
            "details": results[-1].reason,
            "source": source,
        }
    data: dict[str, Any] = {}
    for result in done:
        if student := result.student:
            data["student"] = {
                "id": student.id,
                "name": student.name,
                "email": student.email,
                "a_number": student.a_number,
            }
        if event := result.event:
            data["event"] = {
                "id": event.id,
                "name": event.name,
                "date": event.date.isoformat(),
                "location": event.location,
            }
        if attendance := result.attendance:
            data["attendance"] = {
                "id": attendance.id,
                "checked_in_at": format_utc(attendance.checked_in_at),
            }
            if attendance.checked_out_at:
                data["attendance"]["checked_out_at"] = format_utc(attendance.checked_out_at)
    status = 201 if any(result.change is Change.CREATED for result in done) else 200
    message = _MESSAGES[payload["event"]]
    return status, {"success": True, "message": message, "data": data, "source": source}


_MESSAGES = {
    "participant.created": "Registration processed successfully",
    "participant.checkin": "Check-in processed successfully",
    "participant.checkout": "Check-out processed successfully",
    "participant.deleted": "Check-in withdrawn successfully",
    "profile.created": "Profile processed successfully",
    "profile.updated": "Profile processed successfully",
    "profile.deleted": "Profile deleted successfully",
    "list.created": "List processed successfully",
    "list.updated": "List processed successfully",
    "list.deleted": "List deleted successfully",
}


def _a_number(fields: object) -> str | None:
    if not isinstance(fields, Mapping):
        return None
    for name, value in fields.items():
        plain = "".join(character for character in name.lower() if character not in " -_")
        if plain in _A_NUMBER_FIELDS and isinstance(value, str | int) and not is_missing(value):
            text = str(value).strip()
            if "@" not in text and len(text) <= MAX_IDENTIFIER_LENGTH:
                return text
    return None


def _first(*values: Any) -> str | None:
    return next((str(value).strip() for value in values if not is_missing(value)), None)


def _moment(*values: Any) -> datetime | None:
    return payloads.moment(next((value for value in values if not is_missing(value)), None))


def _kept(part: Object, names: Iterable[str]) -> dict[str, Any]:
    return {name: part[name] for name in names if not is_missing(part.get(name))}


@hookimpl
def register_sources() -> Iterable[Source]:
    schemas = {action: _SCHEMAS + schema for action, (schema, _) in _ACTIONS.items()}
    for about in ("participant", "profile", "list", "passport", "ignored"):
        schemas[about] = f"{_SCHEMAS}onetap/{about}-event.json"
    yield Source(
        name="onetap",
        path="onetap",
        authenticate=OPEN,
        keep_headers=_HEADERS,
        kind=kind,
        schema=schemas,
        told_by={action: {"action": action} for action in _ACTIONS},
        normalize=normalize,
        delivery_key=delivery_key,
        answer=answer,
        label="onetap_webhook",
        example={
            "event": "profile.created",
            "data": {"id": "test", "name": "Test Student", "email": "test@example.edu"},
        },
    )
