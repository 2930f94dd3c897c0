"""The proposal: which member is the student, the event, the time, judged by names and values.

Every role has a way to score a member; the best one has the role, and a member has one role. A wrong
proposal costs its reader a minute, so nothing here is more than a guess.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hub.scaffold.members import EACH, Member, Path, word_set, word_sets


class Role(StrEnum):
    """What a member means."""

    A_NUMBER = "student"
    EMAIL = "student's e-mail"
    FIRST_NAME = "first name"
    LAST_NAME = "last name"
    FULL_NAME = "name"
    PERSON_ID = "student's id there"
    EVENT_NAME = "event"
    EVENT_ID = "event's id there"
    EVENT_START = "event's start"
    TIME = "time"
    DIRECTION = "direction"
    DELIVERY = "delivery's id"


@dataclass(frozen=True, slots=True)
class Proposal:
    """The members by role, the array whose items are check-ins, if there is one, and the roles that are
    rather guessed.
    """

    roles: Mapping[Role, Member]
    loop: Path | None
    unsure: frozenset[Role] = frozenset()

    def get(self, role: Role) -> Member | None:
        """The member that has a role."""
        return self.roles.get(role)


_PERSON = word_set(
    "student attendee person user member participant profile visitor guest holder cardholder contact "
    "registrant individual learner people employee customer respondent responder actor invitee sender"
)
_OTHERS = word_set(
    "organizer organiser staff operator scanner device creator created author account sender host admin "
    "issuer by advisor teacher instructor manager owner app api team client account organization company"
)
_EVENT = word_set(
    "event meeting session class course lecture workshop activity program programme club list seminar "
    "gathering occasion service section"
)
_PLACE = word_set(
    "room location venue door gate reader zone area checkpoint station lab terminal entrance building "
    "site channel"
)
_ID = word_set("id uuid guid uid key ref number no code identifier pk")
_CARD = word_set("badge card uid rfid nfc tag barcode credential chip token")
_STUDENT_ID = word_sets(
    "a number, a #, anumber, student id, student number, student no, studentid, "
    "student identifier, net id, netid, campus id, university id, school id, banner id, "
    "sis id, student, matriculation number"
)
_FIRST = word_sets("first name, given name, firstname, fname, forename")
_LAST = word_sets("last name, family name, lastname, lname, surname")
_NAME = word_sets("name, full name, fullname, display name, displayname")
_TITLE = (*_NAME, *word_sets("title, label, subject, summary"))
_SEEN = word_set(
    "scanned scan checkin checked check tap tapped swipe swiped seen entered entry arrival arrived "
    "attended read captured occurred happened presented join joined submit submitted granted"
)
_WHEN = word_set("time timestamp at date when ts datetime moment")
_WRITTEN = word_set("created sent updated received modified published generated registered changed")
_ENDS = word_set(
    "out checkout end ends ended expires expiry birth dob birthday until left exit deleted"
)
_STARTS = word_set("start starts begin begins date time at scheduled")
_WAYS = word_set("direction movement way inout passage")
_IN = re.compile(r"in|inbound|entry|entrance|enter|entered|arrive|arrival|check-?in", re.IGNORECASE)
_OUT = re.compile(r"out|outbound|exit|leave|left|departure|check-?out", re.IGNORECASE)
_DELIVERY = word_sets(
    "delivery id, webhook id, message id, request id, scan id, transaction id, check in id, "
    "checkin id, record id, idempotency key, submission id"
)
_OF_ENVELOPE = word_set("event webhook hook notification subscription")
"""Whose id is the request's own, or that of what had it sent; neither a meeting's nor a person's."""

_KIND = word_set("type event action topic kind trigger")
_WORDS_OF_KIND = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[._:/-][A-Za-z][A-Za-z0-9]*)*")


def is_kind(name: frozenset[str], value: object) -> bool:
    """Whether a member says what happened, such as ``"type": "badge.scanned"``."""
    if not isinstance(value, str) or len(value) > 60 or not _WORDS_OF_KIND.fullmatch(value):
        return False
    told = {
        word
        for part in re.split(r"[._:/-]", value.lower())
        for word in (part, part[:-1], part[:-2])
    }
    is_verb = bool(
        told & (_SEEN | _WRITTEN | {"attendance", "create", "swip", "unlock", "unlocked"})
    )
    # A bare "event" may as well have the event's name; such as badge.scanned is none.
    is_dotted = re.fullmatch(r"[a-z][a-z0-9_-]*(?:[.:][a-z0-9_-]+)+", value) is not None
    return (
        bool(name & _KIND)
        and name <= _KIND | {"name", "webhook", "x", "hook"}
        and (is_verb or is_dotted or (name != {"event"} and re.search(r"[._:]", value) is not None))
    )


def tells_of_check_in(value: str) -> bool:
    """Whether what happened is rather somebody's coming."""
    parts = re.split(r"[._:/-]", value.lower())
    return bool(set(parts) & (_SEEN | {"attendance", "unlock", "in"}))


def is_of_envelope(member: Member) -> bool:
    """Whether a member is the id of a request, or of what had it sent."""
    return (
        bool(member.own & _OF_ENVELOPE and member.own & _ID)
        and len(member.path) <= 2
        and (len(member.path) == 1 or not (member.context & (_EVENT | _PERSON) - {"event"}))
    )


def _of_person(member: Member) -> bool:
    return bool((member.own | member.context) & _PERSON)


def _person(score: int, member: Member) -> int:
    """A score for a member of a person, lower if that is rather somebody else."""
    return score - 5 if (member.own | member.context) & _OTHERS else score


def _a_number(member: Member) -> int:
    if not member.are_identifiers or member.moment or member.are_emails:
        return 0
    if member.are_a_numbers:
        return _person(10, member)
    if member.are_uuids:
        return 0
    if member.own in _STUDENT_ID:
        return _person(7, member)
    if (
        _of_person(member)
        and member.own & word_set("number no identifier code")
        and not member.own & _CARD
    ):
        return _person(4, member)
    return 0


def _email(member: Member) -> int:
    return _person(10, member) if member.are_emails else 0


def _person_id(member: Member) -> int:
    if not member.are_identifiers or member.are_emails or member.moment or member.are_a_numbers:
        return 0
    if member.own & _CARD and not member.context & (_EVENT | _PLACE) and _are_numbers(member):
        return _person(6, member)
    if _of_person(member) and member.own & _ID:
        return _person(5, member)
    if is_phone(member):
        return 4
    # The first column of a device's rows is whom it is about, if anything tells.
    return 3 if member.path == ("column_1",) else 0


_NUMBER = re.compile(r"(?=.*\d)[A-Za-z0-9 :._-]{1,64}")


def _are_numbers(member: Member) -> bool:
    """Whether its values look like those of cards."""
    return all(not isinstance(one, str) or _NUMBER.fullmatch(one) for one in member.given)


def _name_of(own: tuple[frozenset[str], ...], alone: str) -> Callable[[Member], int]:
    def score(member: Member) -> int:
        if not member.are_texts:
            return 0
        bare = member.own - _PERSON
        if bare in own or (_of_person(member) and member.own == word_set(alone)):
            return _person(7, member)
        return 0

    return score


def _full_name(member: Member) -> int:
    if not member.are_texts or not (_of_person(member) or member.beside_person):
        return 0
    return _person(6, member) if member.own - _PERSON in _NAME else 0


def _event_name(member: Member) -> int:
    if not member.are_texts or member.moment or member.are_emails or member.are_uuids:
        return 0
    if any(is_kind(member.own, value) for value in member.given):
        return 0
    for around, better in ((_EVENT, 3), (_PLACE, 0)):
        if member.own - around in _TITLE and (member.own | member.context) & around:
            return 5 + better
        if member.own <= around:
            return 4 + better
    return 0


def _event_id(member: Member) -> int:
    if not member.are_identifiers or member.moment or _of_person(member):
        return 0
    for around, better in ((_EVENT, 2), (_PLACE, 0)):
        named = member.own & around or (member.context & around and member.own & _ID)
        if named and member.own & _ID:
            return 4 + better
    return 0


def _event_start(member: Member) -> int:
    if not member.moment or member.own & (_ENDS | _SEEN | _WRITTEN):
        return 0
    if member.own == {"event", "time"}:
        return 0  # when something happened
    if (member.own | member.context) & _EVENT and member.own & _STARTS:
        return 6
    return 5 if member.own & word_set("start starts begin begins") else 0


def _time(member: Member) -> int:
    if not member.moment or member.own & _ENDS:
        return 0
    if "joined" in member.own and member.context & {"member", "user"}:
        return 2  # since when somebody is a member
    if member.own & _SEEN:
        return 8
    if member.own == {"event", "time"}:
        return 2
    if member.context & _EVENT or member.own & _EVENT:
        return 0
    if member.own & _WRITTEN:
        return 3
    return 5 if member.own & _WHEN else 1


def is_way(value: object) -> bool:
    """Whether a value says that somebody comes in or goes out."""
    return isinstance(value, str) and bool(_IN.fullmatch(value) or _OUT.fullmatch(value))


def _direction(member: Member) -> int:
    if not all(is_way(value) for value in member.given):
        return 0
    return 6 if member.own & _WAYS or member.own <= _KIND else 2


def _delivery(member: Member) -> int:
    if not member.are_identifiers or EACH in member.path:
        return 0
    different = len(set(member.given)) == len(member.given)
    if member.own in _DELIVERY and different:
        return 6
    # A bare id may as well be the reader's; only several different ones tell.
    return 5 if member.path == ("id",) and different and len(member.given) > 1 else 0


def comes_in(member: Member) -> str | None:
    """What a member that has the role DIRECTION says of who comes in; None where nobody did."""
    return next((value for value in member.given if _IN.fullmatch(value)), None)


def goes_out(member: Member) -> str | None:
    """The same of who goes out."""
    return next((value for value in member.given if _OUT.fullmatch(value)), None)


def is_phone(member: Member) -> bool:
    """Whether a member has the number of the phone of who sends."""
    return member.are_phones and bool(
        member.own & word_set("from phone mobile sender caller msisdn")
    )


def is_card(member: Member) -> bool:
    """Whether a person's id is rather the number of a card."""
    return bool(member.own & _CARD - word_set("token credential"))


def unread_times(found: Sequence[Member]) -> list[Member]:
    """Members that are called times, and whose values cannot be read as such."""
    return [
        member
        for member in found
        if member.own & (_WHEN - word_set("at"))
        and member.are_texts
        and member.moment is None
        and any(any(one.isdigit() for one in value) for value in member.given)
    ]


_SCORES: Mapping[Role, Callable[[Member], int]] = {
    Role.EMAIL: _email,
    Role.FIRST_NAME: _name_of(_FIRST, "first"),
    Role.LAST_NAME: _name_of(_LAST, "last"),
    Role.A_NUMBER: _a_number,
    Role.EVENT_START: _event_start,
    Role.TIME: _time,
    Role.DELIVERY: _delivery,
    Role.DIRECTION: _direction,
    Role.FULL_NAME: _full_name,
    Role.PERSON_ID: _person_id,
    Role.EVENT_NAME: _event_name,
    Role.EVENT_ID: _event_id,
}


def propose(found: Sequence[Member], has_kind: bool = False) -> Proposal:
    """The roles of the members. Those that are not always there have no role; with ``has_kind``, the id
    of an event is that of what happened.
    """
    # What is in an array of an array belongs to no check-in that could be told.
    candidates = [one for one in found if one.always and one.path.count(EACH) < 2]
    candidates = [one for one in candidates if not (has_kind and is_of_envelope(one))]
    candidates = [one for one in candidates if not one.own & {"webhook", "hook"}]
    roles = _assigned(candidates)
    student = next(
        (roles[role] for role in (Role.A_NUMBER, Role.EMAIL, Role.PERSON_ID) if role in roles), None
    )
    loop = _array_of(student.path) if student is not None else None
    # What is in another array than the student's belongs to no single check-in.
    roles = _assigned([one for one in candidates if _array_of(one.path) in (None, loop)])
    forms = [roles[role].moment or "" for role in (Role.TIME, Role.EVENT_START) if role in roles]
    if len(forms) == 2 and forms[0] != forms[1] and all("%" in form for form in forms):
        del roles[Role.EVENT_START]  # the module reads one such form
    unsure = {role for role, member in roles.items() if _SCORES[role](member) < _SURE[role]}
    return Proposal(roles, loop, frozenset(unsure))


_SURE: Mapping[Role, int] = {
    Role.EMAIL: 10,
    Role.FIRST_NAME: 7,
    Role.LAST_NAME: 7,
    Role.A_NUMBER: 7,
    Role.EVENT_START: 6,
    Role.TIME: 8,
    Role.DELIVERY: 6,
    Role.DIRECTION: 6,
    Role.FULL_NAME: 6,
    Role.PERSON_ID: 7,
    Role.EVENT_NAME: 7,
    Role.EVENT_ID: 7,
}
"""The scores from which a role is no guess."""


def _assigned(candidates: Sequence[Member]) -> dict[Role, Member]:
    roles: dict[Role, Member] = {}
    taken: set[Path] = set()
    for role, score in _SCORES.items():
        free = [member for member in candidates if member.path not in taken]
        best = max(free, key=score, default=None)
        if best is not None and score(best) > 0:
            roles[role] = best
            taken.add(best.path)
    return roles


def _array_of(path: Path) -> Path | None:
    """The path of the items of the array that something is in; that of the innermost array."""
    if EACH not in path:
        return None
    last = len(path) - path[::-1].index(EACH)
    return path[:last]
