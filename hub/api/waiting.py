"""An answer that may wait for something to happen."""

from collections.abc import Callable
from typing import NamedTuple

from hub.intake.answers import Answer

MAY_WAIT = "hub.may_wait"
"""The name under which an environ may say that its server waits by itself: it asks again, until it asks
for the last time."""

FIRST, AGAIN, LAST = "first", "again", "last"
"""What it says."""

LOOK_EVERY = 1.0
"""Seconds after which it is looked again: another hub may have written."""


class Waiting(NamedTuple):
    """``look`` gives the answer; None while there is nothing to tell, unless it is asked for the
    last time. It waits ``seconds`` at most.
    """

    look: Callable[[bool], Answer | None]
    seconds: float


class NotYet(BaseException):
    """There is nothing to tell yet; ask again, for ``seconds`` at most. No fault, so nothing takes it for
    one.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds
