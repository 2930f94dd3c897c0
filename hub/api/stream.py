"""An answer that goes on: a part of a page, sent again whenever it is another (server-sent events).

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from hub.intake.answers import Answer

MAY_STREAM = "hub.may_stream"
"""The name under which an environ may say that its server sends streams by itself."""

POLL_EVERY = 5
"""Seconds after which a browser asks again, where the server cannot send streams."""

TYPE = "text/event-stream"


class Stream(NamedTuple):
    """``told`` is the version of now, and its text. ``look`` is given the version that was told last, and
    gives those of now; None where nothing is new. Streams with the same ``key`` show the same.
    ``is_open`` says whether whoever reads it may still do so. Both may be called on any thread.
    """

    key: str
    told: tuple[object, str]
    look: Callable[[object], tuple[object, str] | None]
    is_open: Callable[[], bool]


class Streams(BaseException):
    """The answer is a stream; the server sends it. No fault, so nothing takes it for one."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream.key)
        self.stream = stream


def event(text: str) -> bytes:
    """A text as an event, which the browser shows."""
    # All that ends a line there: whoever names an event must not begin one.
    lines = "".join(f"data: {line}\n" for line in re.split(r"\r\n|\r|\n", text))
    return f"{lines}\n".encode()


def once(stream: Stream) -> Answer:
    """A stream of one event, for a server that sends whole answers: the browser asks again."""
    headers = {"Content-Type": TYPE, "Cache-Control": "no-store"}
    text = event(stream.told[1]).decode()
    return Answer(200, f"retry: {POLL_EVERY * 1000}\n\n{text}", headers)
