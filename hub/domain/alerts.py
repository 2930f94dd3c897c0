"""Alerts: what is wrong with a hub, for whoever runs it. A frozen value for each one that is on."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that is wrong. ``name`` is its kind and, after a blank, what it is about; ``text`` says
    it in words, without a person or a secret. Moments are naive and in UTC; ``ended_at`` is None while it
    is on. ``begun`` and ``ended`` are the channels that have been told of its begin and of its end.
    """

    name: str
    text: str
    began_at: datetime
    ended_at: datetime | None = None
    begun: frozenset[str] = frozenset()
    ended: frozenset[str] = frozenset()

    @property
    def kind(self) -> str:
        """What is wrong, in one word."""
        return self.name.partition(" ")[0]

    @property
    def about(self) -> str | None:
        """The source or the target that it is about."""
        return self.name.partition(" ")[2] or None
