"""A route: a method, a path, and what answers there."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hub.api.files import File
from hub.api.stream import Stream
from hub.api.waiting import Waiting
from hub.intake.answers import Answer

_PART = re.compile(r"<([a-z]+)>")


class Route(NamedTuple):
    """One method of one path.

    path: without its trailing slash, with which it works as well; ``<name>`` stands for one part.
    answer: given the request as a WSGI environ (PEP 3333), and the parts of its path by name.
    lane: the name of the thread on which it is answered, beside the check-ins; '' for their own.
    scope: what a token must be allowed to do for it; '' where none is asked for.
    parameters: those that its query may have.
    takes_files: its body may be as large as a file that is imported.
    """

    method: str
    path: str
    answer: Callable[..., Answer | File | Waiting | Stream]
    lane: str = ""
    scope: str = ""
    parameters: Sequence[str] = ()
    takes_files: bool = False


def pattern_of(path: str) -> re.Pattern[str]:
    """What the paths look like that a path with ``<parts>`` stands for; its groups are the parts."""
    parts = _PART.split(path)
    pieces = (re.escape(one) if not at % 2 else f"(?P<{one}>[^/]+)" for at, one in enumerate(parts))
    return re.compile("".join(pieces))
