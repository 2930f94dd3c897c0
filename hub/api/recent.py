"""A page that anyone may ask for, however often."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from hub.intake.answers import Answer

_FRESH = 20
"""Pages of one kind that are made in a second."""


class Recent:
    """A page that is made anew for each request, up to some a second: the rest get the last one, so that
    nobody waits behind a thousand who ask for it. Its lane has one thread.
    """

    def __init__(self, make: Callable[[], Answer]) -> None:
        self._make = make
        self._second = 0
        self._made = 0
        self._last: Answer | None = None

    def answer(self, environ: Mapping[str, Any]) -> Answer:
        """The page."""
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._made = second, 0
        self._made += 1
        if self._last is None or self._made <= _FRESH:
            self._last = self._make()
        return self._last
