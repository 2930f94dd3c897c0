"""The search for what still tells of somebody who was forgotten: in pages, beside the check-ins.

How far it has come is in the store, so another process goes on with it where this one ends. To look at
something twice does no harm.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hub.domain import subjects
from hub.domain.delivery import delivery_id_at
from hub.domain.timestamps import utc_now
from hub.jobs.mentions import Mentions, Person, forms, is_text
from hub.record import forgettings as requests
from hub.record import students, texts
from hub.record.forgettings import Request
from hub.record.texts import DeliveryTexts
from hub.store import captures, deliveries, forgettings, metadata
from hub.store.forgettings import Claim, ClaimLost
from hub.store.store import Entities, Store
from hub.store.transaction import Transaction

LATE = timedelta(minutes=2)
"""How much later than its id a delivery may be committed, generously."""

LEASE = timedelta(minutes=1)
"""How long nobody else goes on with a request after its last page."""

_PAGE = 200
_REST = 0.02
"""Seconds between pages, for the check-ins that wait for their turn."""

Progress = Callable[[int], object]
GoOn = Callable[[], bool]
Row = tuple[Any, ...]


@dataclass(slots=True)
class Traces:
    """What was found: so many deliveries, captured requests and rows with metadata, which are removed,
    and the ids of events whose text mentions the person, which is left as it is.
    """

    request: int
    deliveries: int = 0
    captured: int = 0
    metadata: int = 0
    events: list[int] = field(default_factory=list)

    @property
    def told(self) -> bool:
        """Whether anything told of the person."""
        return bool(self.deliveries or self.captured or self.metadata or self.events)


def left_behind(store: Store) -> list[Request]:
    """The requests on which nobody works any more, and that have not ended."""
    now = utc_now()
    with store.reading() as db:
        return [one for one in requests.unfinished(db) if one.claimed_until <= now]


def claim(store: Store, request: int, at_once: bool = False) -> Claim | None:
    """The claim to a request, if it has not ended and nobody works on it, or ``at_once``: whoever does
    finds out with its next page, and leaves the rest.
    """
    now = utc_now()
    with store.writing() as tx:
        return forgettings.claim(tx, request, now + LEASE, datetime.max if at_once else now)


def search(store: Store, claim: Claim, progress: Progress, go_on: GoOn) -> Traces | None:
    """Go on with a request to its end, and tell what was found; None where it did not come to its end,
    because ``go_on`` said no after a page, or somebody else has it now.

    ``progress`` is told after each page how many deliveries were looked at. Raises StoreUnavailable.
    """
    try:
        found = _Search(store, claim, progress, go_on).run()
    except (ClaimLost, _Stopped):
        return None
    store.remove_traces()
    return found


class _Stopped(Exception):
    """It is not to go on for now."""


class _Search:
    """One process's work on one request."""

    def __init__(self, store: Store, claim: Claim, progress: Progress, go_on: GoOn) -> None:
        self._store = store
        self._claim = claim
        self._progress = progress
        self._go_on = go_on
        with store.reading() as db:
            self._request = requests.find(db, claim.request)
        if self._request.ended_at is not None:
            raise ClaimLost
        self._mentions = Mentions(Person.from_json(self._request.names))
        self._looked_upto = self._request.looked_upto
        self._found = Traces(claim.request)

    def run(self) -> Traces:
        if self._mentions.are_searched:
            self._search_deliveries(self._looked_upto, self._progress)
            # Some were committed while others with a later id were looked at.
            self._search_deliveries(delivery_id_at(self._request.asked_at - LATE), lambda looked: 0)
            self._search_captured()
            for table in metadata.TABLES:
                self._search_metadata(table)
            self._found.events = self._events()
        with self._store.writing() as tx:
            self._found.deliveries = forgettings.end(tx, self._claim, utc_now())
        return self._found

    def _search_deliveries(self, after: str, progress: Progress) -> None:
        while True:
            with self._store.reading() as db:
                page = texts.deliveries(db, after, self._request.upto, _PAGE)
                found = [one for one in page if self._tells(db, one)]
            after = page[-1].id if page else after
            self._empty(found, max(after, self._looked_upto))
            progress(len(page))
            if len(page) < _PAGE:
                return
            self._rest()

    def _tells(self, db: Entities, one: DeliveryTexts) -> bool:
        said = forms(one.body, *one.texts)
        if self._mentions.identifier(said) or self._mentions.identifier(forms(one.events)):
            return True
        # Two people may share one name.
        known = subjects.split(one.students)
        return self._mentions.name(said) and not students.is_about_known(db, known)

    def _empty(self, found: Sequence[DeliveryTexts], looked_upto: str) -> None:
        told = [one.id for one in found if not one.forgotten]
        with self._step(looked_upto, len(told)) as tx:
            for identifier in told:
                deliveries.forget(tx, identifier)
            for one in found:
                if self._mentions.identifier(forms(one.events)):
                    deliveries.forget_events(tx, one.id)

    def _search_captured(self) -> None:
        for page in self._pages(texts.captured):
            found = [
                identifier
                for identifier, headers, body in page
                if not is_text(body) or self._mentioned(headers, body)
            ]
            with self._step() as tx:
                for identifier in found:
                    captures.remove_request(tx, identifier)
            self._found.captured += len(found)

    def _search_metadata(self, table: str) -> None:
        for page in self._pages(partial(texts.metadata, table=table, upto=self._request.upto)):
            found = [row for row, text in page if self._mentions.identifier(forms(text))]
            with self._step() as tx:
                for row in found:
                    metadata.remove(tx, table, row)
            self._found.metadata += len(found)

    def _events(self) -> list[int]:
        found = []
        for page in self._pages(texts.events):
            found += [event for event, *told in page if self._mentioned("\n".join(told))]
            with self._step():
                pass  # the claim is renewed
        return found

    def _mentioned(self, *texts: str | bytes) -> bool:
        said = forms(*texts)
        return self._mentions.identifier(said) or self._mentions.name(said)

    def _pages(self, read: Callable[..., list[Row]]) -> Iterator[list[Row]]:
        """What ``read`` reads, a page at a time."""
        after = 0
        while True:
            with self._store.reading() as db:
                page = read(db, after=after, limit=_PAGE)
            if page:
                yield page
            if len(page) < _PAGE:
                return
            after = page[-1][0]
            self._rest()

    @contextmanager
    def _step(self, looked_upto: str | None = None, emptied: int = 0) -> Iterator[Transaction]:
        """A transaction that also keeps how far the search has come, and renews the claim."""
        reached = self._looked_upto if looked_upto is None else looked_upto
        with self._store.writing() as tx:
            yield tx
            renewed = forgettings.advance(tx, self._claim, reached, emptied, utc_now() + LEASE)
        self._claim, self._looked_upto = renewed, reached

    def _rest(self) -> None:
        time.sleep(_REST)
        if not self._go_on():
            raise _Stopped
