"""Whether a text tells of a person: by an identifier, however it is spelled, or by the whole name."""

import base64
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from urllib.parse import unquote_plus

from hub.domain.identifiers import SEPARATED, SEPARATORS

_SHORTEST_SEARCHED = 4
"""Characters of an identifier or a name to be looked for in text; a shorter one stands in too many."""

_SHORTEST_NUMBER_SPELLED = 8
"""Digits of a number to be looked for with separators in it; a shorter one may be a time of day."""

_DEEPEST = 3
"""How often JSON may have been put into JSON."""

_CLAIMS = re.compile(r"\beyJ[\w-]*\.([\w-]{2,})\.")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORD = re.compile(r"[^\W_]+")
_WHOLE, _BETWEEN = r"(?<![^\W_]){}(?![^\W_])", r"[\W_]+"
_GAP = f"[{re.escape(SEPARATORS)}]{{0,3}}"
_BEFORE, _AFTER = r"(?<![\w.+-])", r"(?![\w@-]|\.\w)"
_NO_PAIR_BEFORE, _NO_PAIR_AFTER = r"(?<!\W[0-9a-f]{2}:)", r"(?!:[0-9a-f]{2}(?!\w))"
"""What goes on is longer, and somebody else's: as a domain does, or as a card in colons."""

_NO_DATE = r"(?!\d{4}-\d\d-\d\d(?!\d)|\d\d[.-]\d\d[.-]\d{4}(?!\d)|\d+\.\d+(?![\w.]))"


@dataclass(frozen=True, slots=True)
class Person:
    """What a person is searched for by: identifiers as ``<kind>:<key>``, first and last name; ``others``
    are the names, first and last, of rows that were merged with the person's.
    """

    identifiers: tuple[str, ...]
    first_name: str = ""
    last_name: str = ""
    others: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> str:
        """As one text, to be kept."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Person":
        """What ``to_json`` made a text of."""
        members = json.loads(text)
        others = tuple((first, last) for first, last in members.pop("others", ()))
        return cls(tuple(members.pop("identifiers")), others=others, **members)


class Mentions:
    """Finds a person in what was sent, as ``forms`` has it."""

    def __init__(self, person: Person) -> None:
        self._identifiers = [one for name in person.identifiers for one in _spelled(name)]
        names = (person.first_name, person.last_name), *person.others
        self._names = [parts for name in names if (parts := _parts(*name))]

    @property
    def are_searched(self) -> bool:
        """Whether there is something to look for."""
        return bool(self._identifiers or self._names)

    def identifier(self, forms: Iterable[str]) -> bool:
        """Whether one of the identifiers stands in one of the texts."""
        return any(one.stands_in(form) for form in forms for one in self._identifiers)

    def name(self, forms: Iterable[str]) -> bool:
        """Whether the first and the last name both stand in one of the texts, as whole words."""
        return any(
            all(one.stands_in(form) for one in name) for form in forms for name in self._names
        )


@dataclass(frozen=True, slots=True)
class _Words:
    """What is looked for. ``hint`` is in every text that has it, and is found much faster."""

    hint: str
    pattern: re.Pattern[str]

    def stands_in(self, text: str) -> bool:
        return self.hint in text and self.pattern.search(text) is not None


def is_text(body: bytes) -> bool:
    """Whether a body is UTF-8, so that all of it was searched."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def forms(*texts: str | bytes) -> list[str]:
    """Texts as they are compared: as they are, and with escapes of URLs and of JSON undone."""
    return [
        form
        for given in texts
        for text in _readings(given)
        for plain in dict.fromkeys((text, unquote_plus(text)))
        for form in _unescaped(plain)
    ]


def _spelled(identifier: str) -> Iterator[_Words]:
    """The ways in which an identifier is written, where it stands alone."""
    kind, _, key = identifier.partition(":")
    plain = _compared(key)
    if len(plain) < _SHORTEST_SEARCHED:
        return
    yield _Words(plain, re.compile(_BEFORE + re.escape(plain) + _AFTER))
    if kind in SEPARATED and (not plain.isdigit() or len(plain) >= _SHORTEST_NUMBER_SPELLED):
        apart = _NO_DATE + _GAP.join(map(re.escape, plain))
        around = _BEFORE + _NO_PAIR_BEFORE, _NO_PAIR_AFTER + _AFTER
        yield _Words(plain[0], re.compile(apart.join(around)))


def _parts(*names: str) -> list[_Words]:
    """The names as whole words; none of them where they are one word or too short."""
    whole = " ".join(names)
    if len(whole.split()) < 2 or len(whole.strip()) <= _SHORTEST_SEARCHED:
        return []
    parts = [words for name in names if (words := _WORD.findall(_compared(name)))]
    return [
        _Words(max(words, key=len), re.compile(_WHOLE.format(_BETWEEN.join(words))))
        for words in parts
    ]


def _readings(given: str | bytes) -> Iterator[str]:
    """What a body may say. UTF-16 is ASCII with a mark before it and NULs in it; what is no UTF-8 may be
    Latin-1. A JSON Web Token says what its claims say.
    """
    text = given if isinstance(given, str) else given.decode("utf-8", "replace")
    yield text
    for claims in _CLAIMS.findall(text) if "eyJ" in text else ():
        digits = claims + "=" * (-len(claims) % 4)
        yield base64.urlsafe_b64decode(digits).decode("utf-8", "replace")
    if isinstance(given, str):
        return
    if not is_text(given):
        yield given.translate(None, b"\0\xfe\xff").decode("latin-1")


def _unescaped(text: str) -> Iterator[str]:
    yield _compared(text)
    for _ in range(_DEEPEST):
        if "\\" not in text:
            return
        text = _ESCAPE.sub(_character, text)
        yield _compared(text)


def _character(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return _PLAIN.get(escape[2], escape[2])


def _compared(text: str) -> str:
    return unicodedata.normalize("NFC", text.lower())
