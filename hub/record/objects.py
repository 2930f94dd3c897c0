"""What the record has, as the API and the commands show it: members of JSON objects."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Any, Generic, TypeVar

from hub.domain.evidence import State
from hub.domain.timestamps import calendar_date, format_utc
from hub.record.changes import Change
from hub.record.views import Attendance, Event, Evidence, Meeting, Named, Person, Student

Object = dict[str, Any]
Made = TypeVar("Made")

STUDENT = (
    "id", "identifier", "email", "name", "first_name", "last_name", "preferred_name", "is_admin",
    "identifiers", "hidden", "merged_into", "attendances", "points",
)  # fmt: skip
EVENT = (
    "id", "name", "starts_at", "ends_at", "date", "event_type", "points", "description", "location",
    "identifiers", "hidden", "merged_into", "attendances", "present", "withdrawn",
)  # fmt: skip
ATTENDANCE = (
    "id", "student.id", "student.identifier", "student.name", "student.email", "event.id",
    "event.name", "event.date", "event.starts_at", "checked_in_at", "checked_out_at", "state",
    "source", "via", "points", "sightings", "withdrawn.at", "withdrawn.by", "withdrawn.reason",
    "withdrawn.delivery",
)  # fmt: skip
"""The columns of files: the members, and members of members by their path."""

MOMENTS = (
    "starts_at",
    "ends_at",
    "event.starts_at",
    "checked_in_at",
    "checked_out_at",
    "withdrawn.at",
)
"""Those that are moments."""


_WORDS = {**{state: state.word for state in State}, State.JOINED: State.WITHDRAWN.word}
_MOST_REMEMBERED = 20_000
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""An object as JSON, as every answer has it."""

_text = json.encoder.encode_basestring


class Objects:
    """Shows values as objects; dates are those in the hub's ``zone``."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._people = _Shown(self.person)
        self._meetings = _Shown(self.meeting)
        self._people_as_text = _Shown(lambda person: encode(self.person(person)))
        self._meetings_as_text = _Shown(lambda meeting: encode(self.meeting(meeting)))

    def student(self, student: Student, counted: bool = True) -> Object:
        """A student; without counts where they are not asked for."""
        person = student.person
        shown = {
            "id": person.id,
            "identifier": person.identifier,
            "email": person.email,
            "name": person.name,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "preferred_name": student.preferred_name,
            "is_admin": student.is_admin,
            "identifiers": _identifiers(student.identifiers),
            "hidden": student.hidden,
            "merged_into": student.merged_into,
        }
        if counted:
            shown |= {"attendances": student.attendances, "points": student.points}
        return shown

    def event(self, event: Event, counted: bool = True) -> Object:
        """An event; without counts where they are not asked for."""
        meeting = event.meeting
        shown = {
            "id": meeting.id,
            "name": meeting.name,
            "starts_at": format_utc(meeting.starts_at),
            "ends_at": _moment(event.ends_at),
            "date": calendar_date(meeting.starts_at, self._zone).isoformat(),
            "event_type": event.event_type,
            "points": meeting.points,
            "description": event.description,
            "location": event.location,
            "identifiers": _identifiers(event.identifiers),
            "hidden": event.hidden,
            "merged_into": event.merged_into,
        }
        if counted and event.heads is not None:
            shown |= event.heads._asdict()
        return shown

    def person(self, person: Person) -> Object:
        """A student as an attendance names one."""
        return {
            "id": person.id,
            "identifier": person.identifier,
            "name": person.name,
            "email": person.email,
        }

    def meeting(self, meeting: Meeting) -> Object:
        """An event as an attendance names one."""
        return {
            "id": meeting.id,
            "name": meeting.name,
            "date": calendar_date(meeting.starts_at, self._zone).isoformat(),
            "starts_at": format_utc(meeting.starts_at),
        }

    def attendance(self, attendance: Attendance) -> Object:
        """An attendance, with its evidence where it has some."""
        shown = {
            "id": attendance.id,
            "student": self._people.of(attendance.student),
            "event": self._meetings.of(attendance.event),
            **self._of_attendance(attendance),
            "points": attendance.event.points,
            "sightings": attendance.sightings,
            "withdrawn": _withdrawn(attendance),
        }
        if attendance.evidence is not None:
            shown["evidence"] = [self.evidence(one) for one in attendance.evidence]
        return shown

    def line(self, attendance: Attendance) -> str:
        """The JSON of ``attendance``, without its evidence, in a fraction of the time: what was
        shown of its student and its event is remembered as text.
        """
        left, withdrawn = attendance.checked_out_at, attendance.withdrawn
        return (
            f'{{"id": {attendance.id},'
            f' "student": {self._people_as_text.of(attendance.student)},'
            f' "event": {self._meetings_as_text.of(attendance.event)},'
            f' "checked_in_at": "{format_utc(attendance.checked_in_at)}",'
            f' "checked_out_at": {"null" if left is None else _text(format_utc(left))},'
            f' "state": "{_WORDS[attendance.state]}",'
            f' "source": {_text(attendance.source)}, "via": {_text(attendance.via)},'
            f' "points": {attendance.event.points}, "sightings": {attendance.sightings},'
            f' "withdrawn": {"null" if withdrawn is None else encode(_withdrawn(attendance))}}}'
        )

    def evidence(self, one: Evidence) -> Object:
        """One thing that was said of an attendance."""
        return {
            "delivery": one.delivery,
            "source": one.source,
            "via": one.via,
            "kind": one.kind,
            "at": format_utc(one.at),
            "received_at": _moment(one.received_at),
            "by": one.by,
            "reason": one.reason,
            "stands": one.stands,
        }

    def change(self, change: Change) -> Object:
        """A change of the record, with its subject as it is now."""
        shown: Object = {
            "type": change.type,
            "at": format_utc(change.at),
            "delivery": change.delivery or None,
        }
        subject = change.subject
        if isinstance(subject, Attendance):
            # Its points are those of its event, and change with that one.
            shown["attendance"] = {
                "id": subject.id,
                "student": subject.student.id,
                "event": subject.event.id,
                **self._of_attendance(subject),
                "sightings": subject.sightings,
                "withdrawn": _withdrawn(subject),
            }
            if subject.told_in is not None:
                shown["attendance"]["merged_into"] = subject.told_in
        elif isinstance(subject, Student):
            shown["student"] = self.student(subject, counted=False)
        elif isinstance(subject, Event):
            shown["event"] = self.event(subject, counted=False)
        else:
            shown["student"] = {"id": subject}
        return shown

    def _of_attendance(self, attendance: Attendance) -> Object:
        return {
            "checked_in_at": format_utc(attendance.checked_in_at),
            "checked_out_at": _moment(attendance.checked_out_at),
            "state": _WORDS[attendance.state],
            "source": attendance.source,
            "via": attendance.via,
        }


class _Shown(Generic[Made]):
    """What is made of a student or of an event, made once as long as it is the same value."""

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self._made: dict[int, tuple[Any, Made]] = {}

    def of(self, value: Any) -> Made:
        known = self._made.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        if len(self._made) > _MOST_REMEMBERED:
            # A new one: another thread may read the old one.
            self._made = {}
        made = self._make(value)
        self._made[id(value)] = value, made
        return made


def _withdrawn(attendance: Attendance) -> Mapping[str, Any] | None:
    withdrawn = attendance.withdrawn
    if withdrawn is None:
        return None
    return {
        "at": format_utc(withdrawn.at),
        "by": withdrawn.by,
        "reason": withdrawn.reason,
        "delivery": withdrawn.delivery,
    }


def _identifiers(identifiers: Any) -> list[Object]:
    return [Named._asdict(one) for one in identifiers]


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else format_utc(moment)
