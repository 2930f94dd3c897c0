"""The members of captured payloads: every leaf, where it is, and what its name and values are like."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hub.domain.identifiers import is_email
from hub.domain.timestamps import parse_timestamp
from hub.wire.keywords import is_missing

EACH = "[]"
"""In a path: each item of an array."""

Path = tuple[str, ...]


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


def word_sets(text: str) -> tuple[frozenset[str], ...]:
    """The words of each part of a text; commas separate the parts."""
    return tuple(word_set(part) for part in text.split(","))


_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|#")
_A_NUMBER = re.compile(r"[aA]\d{5,10}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_QUESTION = re.compile(r"^q\d+_(?=[A-Za-z])")
_PHONE = re.compile(r"\+?[\d(][\d ().-]{6,}\d")
_FIELDS = word_set(
    "a id number name first last full student event meeting email mail e address time timestamp date day "
    "phone comments comment notes note question answer status type your the is which what how at of "
    "check in out you are do did class course section room location reason major year level response "
    "score"
)
"""Words of what members are called; a name of several words without any is rather a person's."""
_TIME_WORDS = word_set("time timestamp at date when ts on moment datetime")
_SECONDS, _MILLISECONDS = (1e9, 5e9), (1e12, 5e12)

FORMS = (
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y, %I:%M:%S %p",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%dT%H%M%SZ",
    "%Y-%m-%d %I:%M:%S %p",
    "%b %d, %Y %I:%M %p",
    "%a, %d %b %Y %H:%M:%S %z",
)
"""Ways to write a moment that are not ISO 8601, for ``datetime.strptime``."""


def words(name: str) -> tuple[str, ...]:
    """The words of a name, in lower case: ``checkInTime`` and ``check-in_time`` have the same."""
    return tuple(word.lower() for word in _WORD.findall(name))


def is_data(name: str) -> bool:
    """Whether a member's name is rather somebody's id, as in an object that is a map."""
    told = words(name)
    is_phrase = " " in name and not set(told) & _FIELDS
    return (
        is_phrase
        or name.isdigit()
        or bool(
            is_email(name)
            or _A_NUMBER.fullmatch(name)
            or _UUID.fullmatch(name)
            or re.search(r"\d{5}", name)
        )
    )


@dataclass(frozen=True, slots=True)
class Member:
    """A leaf: its path, all its values, whether it had one in every place where it could be, and whether
    an e-mail address or an A-number stands beside it.
    """

    path: Path
    values: tuple[Any, ...]
    always: bool
    beside_person: bool = False

    @property
    def own(self) -> frozenset[str]:
        """The words of its own name; for the items of an array, of the array's."""
        named = [name for name in self.path if name != EACH]
        # q5_studentId is what builders of forms make of a question.
        return frozenset(words(_QUESTION.sub("", named[-1]))) if named else frozenset()

    @property
    def context(self) -> frozenset[str]:
        """The words of the names around it."""
        named = [name for name in self.path if name != EACH]
        return frozenset(word for name in named[:-1] for word in words(name))

    @property
    def given(self) -> tuple[Any, ...]:
        """Its values, without null, empty and blank ones."""
        return tuple(value for value in self.values if not is_missing(value))

    @property
    def are_texts(self) -> bool:
        return bool(self.given) and all(isinstance(value, str) for value in self.given)

    @property
    def are_identifiers(self) -> bool:
        """Whether its values can name something: texts or whole numbers."""
        return bool(self.given) and all(
            isinstance(value, str) or _is_whole(value) for value in self.given
        )

    @property
    def are_emails(self) -> bool:
        return self.are_texts and all(is_email(value) for value in self.given)

    @property
    def are_a_numbers(self) -> bool:
        return self.are_texts and all(_A_NUMBER.fullmatch(value.strip()) for value in self.given)

    @property
    def are_uuids(self) -> bool:
        return self.are_texts and all(_UUID.fullmatch(value.strip()) for value in self.given)

    @property
    def are_phones(self) -> bool:
        return self.are_texts and all(_PHONE.fullmatch(value.strip()) for value in self.given)

    @property
    def other_form(self) -> str | None:
        """The form with day and month the other way round, if all its values would fit that as well."""
        form = self.moment or ""
        for one, other in (("%m/%d/", "%d/%m/"), ("%d/%m/", "%m/%d/")):
            if form.startswith(one):
                swapped = form.replace(one, other, 1)
                return swapped if all(_is_of_form(value, swapped) for value in self.given) else None
        return None

    @property
    def has_zone(self) -> bool:
        """Whether its values, which tell a moment, tell it wherever one is."""
        form = self.moment or ""
        if form == "iso":
            return all(parse_timestamp(value).tzinfo is not None for value in self.given)
        return "%" not in form or "%z" in form

    @property
    def moment(self) -> str | None:
        """How its values tell a moment: ``iso``, ``seconds``, ``milliseconds``, digits of either, or a
        form for strptime; None if they do not.
        """
        if not self.given:
            return None
        if self.are_texts:
            if all(_reads(parse_timestamp, value) for value in self.given):
                return "iso"
            for form in FORMS:
                if all(_is_of_form(value, form) for value in self.given):
                    return form
            if self.own & _TIME_WORDS and all(value.isdigit() for value in self.given):
                return _unit([int(value) for value in self.given], "digits of ")
            return None
        if not self.own & _TIME_WORDS or not all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in self.given
        ):
            return None
        return _unit(self.given, "")


def members(payloads: Sequence[Mapping[str, Any]]) -> list[Member]:
    """Every leaf of the payloads, in the order in which they appear."""
    values: dict[Path, list[Any]] = {}
    places: dict[Path, int] = {}
    for payload in payloads:
        for parent, path, value in _leaves(payload, ()):
            values.setdefault(path, []).append(value)
            places.setdefault(parent, 0)
    counts = _counts(payloads)
    found_members = [
        Member(
            path,
            tuple(found),
            _is_always(path, counts)
            and len(found) >= counts.get(path[:-1], 0)
            and not any(is_missing(value) for value in found),
        )
        for path, found in values.items()
    ]
    persons = {one.path[:-1] for one in found_members if one.are_emails or one.are_a_numbers}
    return [replace(one, beside_person=one.path[:-1] in persons) for one in found_members]


def _is_always(path: Path, counts: Mapping[Path, int]) -> bool:
    """Whether all that is around a leaf is there wherever it could be."""
    return all(
        path[depth] == EACH or counts.get(path[: depth + 1], 0) == counts.get(path[:depth], 0)
        for depth in range(len(path) - 1)
    )


def _counts(payloads: Sequence[Any]) -> dict[Path, int]:
    """How often there is something at each path, leaves left out."""
    counts: dict[Path, int] = {}

    def count(value: Any, path: Path) -> None:
        if not isinstance(value, dict | list):
            return
        counts[path] = counts.get(path, 0) + 1
        if isinstance(value, dict):
            for name, member in value.items():
                count(member, (*path, name))
        else:
            for item in value:
                if isinstance(item, dict | list):
                    count(item, (*path, EACH))

    for payload in payloads:
        count(payload, ())
    return counts


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Path, Any]]:
    if isinstance(value, dict):
        if any(is_data(name) for name in value):
            return  # a map: its names are no names of members
        for name, member in value.items():
            if name != EACH:
                yield from _leaves(member, (*path, name))
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, (*path, EACH))
    else:
        yield path[:-1], path, value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _reads(read: Any, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _is_of_form(text: str, form: str) -> bool:
    return _reads(lambda value: datetime.strptime(value, form), text)


def _unit(numbers: Sequence[float], before: str) -> str | None:
    for unit, (least, most) in (("seconds", _SECONDS), ("milliseconds", _MILLISECONDS)):
        if all(least <= number <= most for number in numbers):
            return before + unit
    return None
