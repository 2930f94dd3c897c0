"""A distribution: how many of what was measured lie below each bound, as a histogram of Prometheus."""

import threading
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple


class Measured(NamedTuple):
    """What was measured until now: how much of it lies at or below each bound, the last without one
    (all of it), and the sum of its values.
    """

    below: Sequence[tuple[float, int]]
    sum: float


class Distribution:
    """Counts values between bounds. Safe to use from several threads."""

    def __init__(self, *bounds: float) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = threading.Lock()

    def add(self, value: float) -> None:
        """Count a value."""
        place = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[place] += 1
            self._sum += value

    def measured(self) -> Measured:
        """What was counted."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        below, so_far = [], 0
        for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
            so_far += count
            below.append((bound, so_far))
        return Measured(below, total)
