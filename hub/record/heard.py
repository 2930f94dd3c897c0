"""When each source was heard last, as the store has it: also before the hub was started."""

from collections.abc import Collection, Mapping
from datetime import datetime

from pony.orm import max as highest
from pony.orm import select

from hub.domain.delivery import moment_of
from hub.store.store import Entities

_PAGE = 2000
"""Deliveries that one look goes back."""


class LastHeard:
    """The last delivery of each of some sources. Each look takes in what has come since the one before,
    and goes back a page as long as there is a source of which nothing was found: deliveries are in the
    order of their ids, and no index has them by source, which each check-in would pay for.
    """

    def __init__(self, sources: Collection[str]) -> None:
        self._sources = frozenset(sources)
        self._last: dict[str, str] = {}
        self._newest: str | None = None
        self._oldest = ""
        self._is_complete = False

    def look(self, db: Entities) -> Mapping[str, datetime]:
        """By source, as far as it was looked back by now: naive, in UTC."""
        if self._newest is None:
            self._newest = self._oldest = highest(d.id for d in db.Delivery) or ""
            self._oldest += "~"  # that one is looked at as well
        newest = self._newest
        for source, identifier in select(
            (d.source, highest(d.id)) for d in db.Delivery if d.id > newest
        ):
            self._last[source] = max(identifier, self._last.get(source, ""))
            self._newest = max(self._newest, identifier)
        if not self._is_complete:
            self._look_back(db)
        return {
            source: moment_of(one) for source, one in self._last.items() if source in self._sources
        }

    def _look_back(self, db: Entities) -> None:
        oldest = self._oldest
        page = select((d.id, d.source) for d in db.Delivery if d.id < oldest)
        found = page.order_by(-1).limit(_PAGE)[:]
        for identifier, source in found:
            self._last.setdefault(source, identifier)
            self._oldest = identifier
        self._is_complete = len(found) < _PAGE or self._sources <= self._last.keys()
