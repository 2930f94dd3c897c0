"""The members of a request's body: which there may be, and of what kind."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hub.errors import Refused
from hub.wire.strict_json import parse


class Member(NamedTuple):
    """A kind of member: what it is called in a refusal, and whether a value is one."""

    words: str
    is_one: Callable[[Any], bool]


TEXT = Member("text", lambda value: isinstance(value, str))
TEXTS = Member(
    "an array of texts",
    lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
)
PAYLOAD = Member("an object, for the desk", lambda value: isinstance(value, dict))


def read_members(body: bytes, kinds: Mapping[str, Member]) -> Mapping[str, Any]:
    """The members that are given; null is as good as none. Raises Refused."""
    given = parse(body)
    for name, value in given.items():
        if (kind := kinds.get(name)) is None:
            raise Refused(f"Unknown member: {name[:64]}", f"Use {', '.join(kinds)}")
        if value is not None and not kind.is_one(value):
            raise Refused(f"Invalid {name}: it must be {kind.words}")
    return given
