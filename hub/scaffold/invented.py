"""Invented data in place of real: fixtures have the shape of what was captured, and nobody's data.

Whatever is not known to be harmless is replaced. The same value becomes the same one everywhere, and two
different ones stay different, so that a fixture still fits together.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from hub.scaffold.mapping import Proposal, Role, is_kind, is_way
from hub.scaffold.members import EACH, Member, Path, is_data, word_set, words
from hub.scaffold.moments import read_moment, write_moment
from hub.wire.keywords import is_missing

_FIRST = ("Ada", "Bo", "Cleo", "Dov", "Eve", "Finn", "Gia", "Hal")
_LAST = ("Example", "Sample", "Specimen", "Instance")
_MOMENT = datetime(2026, 3, 1, 18, 2, 11)
_SAME_DAYS = timedelta(days=2)
_HARMLESS = word_set(
    "status direction method mode state result version source kind type action event_type"
)
_VOCABULARY = word_set(
    "ok success successful error failed failure active inactive valid invalid accepted "
    "rejected approved denied granted allowed refused pending complete completed confirmed "
    "cancelled canceled registered new present absent late early attended in out entry exit "
    "inbound outbound open closed online offline manual auto automatic qr nfc rfid barcode "
    "card badge mobile web app kiosk scanner reader api form live test sandbox production yes "
    "no true false none null unknown student staff guest member visitor attendee person event "
    "session meeting"
)
"""Words that tell of nobody; under a name such as ``status`` they stay."""
_VERSION = re.compile(r"v?\d{1,2}(?:\.\d{1,3}){0,2}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_NAMES = word_set("name first last given family surname fname lname nickname fullname")
_PHONES = word_set("phone mobile tel telephone cell fax")
_IDS = word_set(
    "id uuid guid uid key ref number no code identifier serial token hash badge card nfc rfid "
    "barcode pin ssn dob mac ip"
)


class Inventor:
    """Replaces what is real in payloads. ``proposal`` tells what members mean."""

    def __init__(self, found: Sequence[Member], proposal: Proposal) -> None:
        self._members = {member.path: member for member in found}
        self._roles = {member.path: role for role, member in proposal.roles.items()}
        self._shift = timedelta()
        self._scanned_at: datetime | None = None
        self._time = proposal.get(Role.TIME)
        self._invented: dict[tuple[str, Any], Any] = {}
        self._counts: dict[str, int] = {}

    def payload(self, payload: Mapping[str, Any]) -> Any:
        """The payload with invented data.

        Moments of the same days keep their distances; any other becomes the invented one.
        """
        self._scanned_at = next(iter(self._moments(payload, ())), None)
        self._shift = _MOMENT - self._scanned_at if self._scanned_at else timedelta()
        return self._value(payload, ())

    def _moments(self, value: Any, path: Path) -> Iterator[datetime]:
        """The moments of the member that is the time."""
        if isinstance(value, Mapping):
            for name, member in value.items():
                yield from self._moments(member, (*path, name))
        elif isinstance(value, list):
            for item in value:
                yield from self._moments(item, (*path, EACH))
        elif self._time is not None and path == self._time.path and not is_missing(value):
            yield read_moment(value, self._time.moment or "").replace(microsecond=0)

    def _value(self, value: Any, path: Path) -> Any:
        if isinstance(value, Mapping):
            return {
                self._name(name): self._value(member, (*path, name))
                for name, member in value.items()
            }
        if isinstance(value, list):
            return [self._value(item, (*path, EACH)) for item in value]
        if value is None or isinstance(value, bool) or value == "":
            return value
        return self._leaf(value, path)

    def _name(self, name: str) -> str:
        return str(self._kept("email" if "@" in name else "id", name)) if is_data(name) else name

    def _leaf(self, value: Any, path: Path) -> Any:
        member = self._members.get(path) or Member(path, (value,), False)
        role = self._roles.get(path)
        if role is Role.DIRECTION and is_way(value):
            return value
        if member.moment is not None and not is_missing(value):
            return self._moment(value, member.moment)
        if isinstance(value, str):
            return self._text(value, member, role)
        if (
            role in (Role.A_NUMBER, Role.PERSON_ID, Role.EVENT_ID, Role.DELIVERY)
            or member.own & _IDS
        ):
            return self._kept("id", value)
        if isinstance(value, float):
            return 1.5
        return value if value in (0, 1) else self._kept("id", value)

    def _moment(self, value: Any, form: str) -> Any:
        real = read_moment(value, form).replace(microsecond=0)
        invented = _MOMENT
        if self._scanned_at is not None and abs(real - self._scanned_at) <= _SAME_DAYS:
            invented = real + self._shift
        return write_moment(value, form, invented)

    def _text(self, value: str, member: Member, role: Role | None) -> str:
        own = member.own
        if member.are_emails or "@" in value:
            return str(self._kept("email", value))
        if role in (Role.EVENT_NAME,):
            return str(self._kept("event", value))
        if role is Role.FIRST_NAME:
            return str(self._kept("first", value))
        if role is Role.LAST_NAME:
            return str(self._kept("last", value))
        if role is Role.FULL_NAME:
            return str(self._kept("full", value))
        if role is not None:
            return str(self._kept("id", value))
        if _is_harmless(member, value):
            return value
        if own & _PHONES or member.are_phones:
            return str(self._kept("phone", value))
        if own & _IDS or re.search(r"\d{3}", value):
            return str(self._kept("id", value))
        if own & _NAMES:
            return str(self._kept("full", value))
        if _URL.match(value):
            return "https://app.example.edu/"
        return str(self._kept("text", value))

    def _kept(self, what: str, value: Any) -> Any:
        """What was invented for a value before, or something new."""
        key = (what, value)
        if key not in self._invented:
            number = self._counts[what] = self._counts.get(what, 0) + 1
            self._invented[key] = _new(what, value, number)
        return self._invented[key]


def _is_harmless(member: Member, value: str) -> bool:
    """Whether a text tells what kind of thing it is, and of nobody."""
    if "_".join(words(member.path[-1])) in _HARMLESS | {"event", "trigger", "topic"}:
        if is_kind(member.own, value):
            return True
        return value.lower() in _VOCABULARY or bool(_VERSION.fullmatch(value))
    return False


def _new(what: str, value: Any, number: int) -> Any:
    first, last = _FIRST[(number - 1) % len(_FIRST)], _LAST[(number - 1) % len(_LAST)]
    again = "" if number <= len(_FIRST) else str(number)
    match what:
        case "email":
            return f"{first.lower()}{again}@example.edu"
        case "first":
            return first + again
        case "last":
            return last + again
        case "full":
            return f"{first} {last}{again}"
        case "event":
            return "Weekly Meeting" if number == 1 else f"Weekly Meeting {number}"
        case "phone":
            return f"+1 555 01{number:02}"
        case "text":
            return "Some text" if number == 1 else f"Some text {number}"
        case _:
            return _shaped(value, number)


def _shaped(value: Any, number: int) -> Any:
    """An id of the same shape: zeros and letters a, and a number at the end."""
    if isinstance(value, int):
        return 10 ** (len(str(abs(value))) - 1) + number
    if isinstance(value, float):
        return float(number)
    plain = [("0" if one.isdigit() else "a" if one.islower() else "A") if one.isalnum() else one
             for one in value]  # fmt: skip
    rest = number
    for place in reversed(range(len(plain))):
        if not rest:
            break
        if plain[place].isdigit():
            rest, digit = divmod(rest, 10)
            plain[place] = str(digit)
        elif plain[place].isalpha():
            rest, digit = divmod(rest, 6)  # letters a to f, which are hex digits too
            plain[place] = chr(ord(plain[place]) + digit)
    return "".join(plain) + (str(rest) if rest else "")
