"""Budgets: how much is kept of what strangers send in vain, so that they cannot fill the disk."""

import threading
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What an open source may be sent in vain. Each kind has a budget of its own, so that junk does not
    push out what may still be of use.
    """

    IN_VAIN = "refused, repeated or ignored"
    MAY_COUNT = "second check-ins, and those of unknown students or events"
    FAILED = "failed"


class Budget:
    """The bytes that one source keeps of each kind in a day (UTC). Safe to use from several threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._day = 0
        self._used: dict[Kind, int] = {}
        self._told: set[Kind] = set()
        self._not_kept = 0

    def has_room(self, kind: Kind, size: int, at: datetime) -> bool:
        """Whether so many bytes more are kept. ``at`` is naive and in UTC."""
        with self._lock:
            return self._of_day(at).get(kind, 0) + size <= self._most

    def use(self, kind: Kind, size: int, at: datetime) -> None:
        """So many bytes are kept."""
        with self._lock:
            used = self._of_day(at)
            used[kind] = used.get(kind, 0) + size

    def leave_out(self, kind: Kind, at: datetime) -> bool:
        """One is not kept; whether it is the first of its kind on this day."""
        with self._lock:
            self._not_kept += 1
            self._of_day(at)
            is_first = kind not in self._told
            self._told.add(kind)
            return is_first

    @property
    def not_kept(self) -> int:
        """How many were not kept since the hub started."""
        with self._lock:
            return self._not_kept

    def _of_day(self, at: datetime) -> dict[Kind, int]:
        day = at.toordinal()
        if day != self._day:
            self._day, self._used, self._told = day, {}, set()
        return self._used
