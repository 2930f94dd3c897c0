"""A target: another system, to which every committed check-in is sent on."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass

from hub.domain.records import CommittedCheckIn

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where check-ins are sent on, at least once each.

    name: what the status page, the log and the outbox call it; it stays the same.
    send: sends one check-in, on a thread that the target has for itself, and returns once it has
        arrived. It has a time limit of its own. Whatever it raises has the check-in sent again later,
        with longer and longer waits; ``hub.NotDelivered`` says why, in words that the log may show.
    """

    name: str
    send: Callable[[CommittedCheckIn], None]

    def __post_init__(self) -> None:
        if not callable(self.send) or inspect.iscoroutinefunction(self.send):
            raise TypeError(
                f"target {self.name}: send must be an ordinary function that returns once the check-in "
                "has arrived"
            )
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"target name {self.name!r}: use lower-case letters, digits, '-' and '_', beginning "
                "with a letter"
            )
