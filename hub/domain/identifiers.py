"""What names a student, an event or an attendance: a kind and a value.

A new kind of identifier is a new value of ``kind``, stored as a row; no table changes for it.
"""

import re
import unicodedata
from dataclasses import dataclass

from hub.errors import InvalidOperation

A_NUMBER = "a_number"
EMAIL = "email"
CARD = "card"

ROW = "id"
"""The kind that names a student, an event or an attendance by the hub's own id."""

SINGLE = frozenset({A_NUMBER, EMAIL})
"""A student has at most one identifier of each of these kinds; their case does not matter.

An index of the table keeps the first; a new kind here needs a migration of it.
"""

SEPARATED = frozenset({CARD})
"""Kinds whose values have separators in them or not, which do not count."""

SEPARATORS = " :.-\t\r\n"

MAX_IDENTIFIER_LENGTH = 254
"""The longest identifier, in characters: that of an e-mail address (RFC 5321, 4.5.3.1)."""

_LARGEST_ID_DIGITS = 18
_NO_SEPARATORS = str.maketrans("", "", SEPARATORS)
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@(?:[^\s@.\x00-\x1f\x7f]+\.)+[^\s@.\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Identifier:
    """One name of something, for example ``Identifier("card", "04a2b9")``.

    ``value`` is what the sender wrote; two identifiers of one kind are the same when their ``key`` is.
    """

    kind: str
    value: str

    def __post_init__(self) -> None:
        if type(self.kind) is not str or type(self.value) is not str:
            raise InvalidOperation(
                f"Identifier({self.kind!r}, …) was given a value of the type "
                f"{type(self.value).__name__}; it takes text"
            )

    @property
    def key(self) -> str:
        """The value in the form that is compared.

        A-numbers and e-mails are in Unicode NFC and lower case, the ids of other systems as they are.
        Card readers differ in the case of digits and in separators, so neither counts.
        """
        if self.kind in SEPARATED:
            return self.value.translate(_NO_SEPARATORS).lower()
        if self.kind not in SINGLE:
            return self.value.strip()
        if self.value.isascii():
            return self.value.strip().lower()
        return unicodedata.normalize("NFC", self.value.strip().lower())

    @property
    def text(self) -> str:
        """The value as it is shown."""
        return self.value.strip()


def student_identifier(named: str | Identifier) -> Identifier:
    """The identifier that a sender means by text: an e-mail if it has an ``@``, else an A-number. An
    Identifier is returned as it is.
    """
    if isinstance(named, Identifier):
        return named
    return Identifier(EMAIL if "@" in named else A_NUMBER, named)


def row_id(identifier: Identifier) -> int:
    """The hub's own id that an identifier of the kind ``ROW`` has; 0, which is nobody's, for none."""
    text = identifier.value.strip()
    return int(text) if is_number(text) and len(text) <= _LARGEST_ID_DIGITS else 0


def is_email(text: str) -> bool:
    """Whether ``text``, without blanks around it, has the form of an e-mail address."""
    stripped = text.strip()
    return len(stripped) <= MAX_IDENTIFIER_LENGTH and _EMAIL.fullmatch(stripped) is not None


def event_id(text: str) -> int | None:
    """The id of an event that a sender may mean by text; None where it can only be a name."""
    return int(text) if is_number(text) and len(text) <= _LARGEST_ID_DIGITS else None


def is_number(text: str) -> bool:
    """Whether ``text`` may be an event's id: ASCII digits, the first no zero (rooms are called 001)."""
    return text.isascii() and text.isdigit() and text[0] != "0"
