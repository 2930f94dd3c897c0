"""The kept deliveries that are derived anew: with their bodies, and no more of each than that takes."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pony.orm import max as highest
from pony.orm import raw_sql, select

from hub.domain.delivery import Delivery, Outcome
from hub.domain.request_line import RequestLine, parted
from hub.record.chunks import chunks
from hub.store import rows
from hub.store.store import Entities

_PAGE = 1000
_SETTLED = [outcome.value for outcome in Outcome if outcome is not Outcome.REPEATED]

Reading = Callable[[], AbstractContextManager[Entities]]


class Derivable(NamedTuple):
    """A delivery that is derived. ``holder`` is the delivery whose idempotency key it used with another
    body, ``student`` and ``event`` the rows that the desk has said it means.
    """

    delivery: Delivery
    attempts: int
    holder: str | None
    student: int | None
    event: int | None

    @property
    def does_nothing(self) -> bool:
        """Whether it was answered by another one's key, and nothing else."""
        return self.holder is not None and self.attempts == 1


def sizes(
    reading: Reading, sources: Sequence[str], after: str, upto: str
) -> Iterator[list[tuple[str, int]]]:
    """The deliveries to ``sources`` with an id above ``after`` and up to ``upto``, the oldest first, a
    page at a time: their ids, and how many bytes their bodies have. Each page is read in a session of
    its own.
    """
    own, outcomes, size = list(sources), _SETTLED, _PAGE
    while size == _PAGE:
        with reading() as db:
            query = select(
                (d.id, raw_sql('length("d"."body")'))
                for d in db.Delivery
                if d.id > after
                and d.id <= upto
                and d.emptied is None
                and d.outcome in outcomes
                and d.source in own
            )
            page = rows.of(db, query.order_by(1), _PAGE)
        if size := len(page):
            after = page[-1][0]
            yield [(identifier, int(length)) for identifier, length in page]


def sizes_of(
    db: Entities, sources: Sequence[str], identifiers: Sequence[str], upto: str
) -> dict[str, int]:
    """The same of those of these deliveries that can be derived."""
    own = list(sources)
    found: dict[str, int] = {}
    for some in chunks(identifiers):
        query = select(
            (d.id, raw_sql('length("d"."body")'))
            for d in db.Delivery
            if d.id in some and d.id <= upto and d.emptied is None and d.source in own
        )
        found |= {identifier: int(length) for identifier, length in rows.of(db, query)}
    return found


def find(db: Entities, identifiers: Sequence[str]) -> dict[str, Derivable]:
    """Those of these deliveries that have a body, by their ids."""
    found = {}
    for some in chunks(identifiers):
        found.update({row[0]: _derivable(row) for row in rows.of(db, _among(db, some))})
    return found


def emptied(db: Entities, upto: str) -> int:
    """How many deliveries have lost their bodies, up to an id."""
    return int(select(d.id for d in db.Delivery if d.emptied is not None and d.id <= upto).count())


def count(db: Entities, upto: str) -> int:
    """How many deliveries have been settled, up to an id; with those that cannot be derived."""
    outcomes = _SETTLED
    return int(select(d.id for d in db.Delivery if d.outcome in outcomes and d.id <= upto).count())


def _among(db: Entities, some: list[str]) -> Any:
    return select(
        (
            d.id,
            d.source,
            d.received_at,
            d.headers,
            d.body,
            d.sent_by,
            d.of_delivery,
            d.of_row,
            d.fetched,
            highest(a.number for a in db.Attempt if a.delivery == d),
            d.key_holder,
            d.meant_student,
            d.meant_event,
        )
        for d in db.Delivery
        if d.id in some and d.emptied is None
    )


@lru_cache(maxsize=256)
def _parted(headers: str) -> tuple[Mapping[str, str], RequestLine]:
    """Headers and request line of a delivery: most senders have few that differ."""
    own, line = parted(json.loads(headers))
    return MappingProxyType(own), line


def _derivable(row: Sequence[Any]) -> Derivable:
    identifier, source, received_at, headers, body, sent_by, of, of_row, fetched = row[:9]
    own, line = _parted(headers)
    delivery = Delivery(
        identifier,
        source,
        rows.moment(received_at),
        own,
        bytes(body),
        sent_by,
        of,
        of_row,
        *line,
        None if fetched is None else bytes(fetched),
    )
    return Derivable(delivery, row[9] or 1, *row[10:])
