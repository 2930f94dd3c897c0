"""Forgetting a student: the person's data is removed everywhere, and head counts stay.

The student's row stays without a name or identifiers, so that attendances are still counted.
Deliveries that name the student, or in whose text one of the identifiers stands, lose their body,
headers and answers.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hub.domain.delivery import KeptDelivery
from hub.domain.timestamps import utc_now
from hub.errors import NotFound
from hub.store import archive, students
from hub.store.archive import Wanted
from hub.store.store import Store
from hub.store.transaction import Queries

_PAGE = 200
_SHORTEST_SEARCHED = 4
"""Characters of an identifier to be looked for in text; a shorter one stands in too many numbers."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed: whether there was a student, and of how many attendances and deliveries."""

    student: bool
    attendances: int
    deliveries: int


def forget(
    store: Store, named: str, progress: Callable[[int], object] = lambda looked_at: None
) -> Forgotten:
    """Forget the student whom ``named`` means: an A-number, an e-mail, or ``<kind>:<value>``.

    ``progress`` is told after each page how many deliveries were looked at. Raises NotFound where
    nobody knows the student and no delivery tells of one, StoreUnavailable.
    """
    with store.reading() as reader:
        names = students.names(reader, named)
    found, seen = _mentioning(store, names, "0", progress)
    with store.writing() as tx:
        tx.overwrite_what_is_deleted()
        # As they are now: names may have been learnt, and deliveries come in.
        names = list(dict.fromkeys([*names, *students.names(tx, named)]))
        found |= {kept.delivery.id for kept in _pages(tx, Wanted(students=tuple(names)), "0")}
        found |= set(_among(_pages(tx, Wanted(), seen), names))
        student = students.row_of(tx, named)
        if student is None and not found:
            raise NotFound(f"Student with identifier {named} not found")
        attendances = students.forget(tx, student, utc_now()) if student is not None else 0
        for identifier in found:
            archive.forget(tx, identifier)
    store.remove_traces()
    return Forgotten(student is not None, attendances, len(found))


def _mentioning(
    store: Store, names: Sequence[str], after: str, progress: Callable[[int], object]
) -> tuple[set[str], str]:
    """Ids of the deliveries in whose text one of the names stands, and the last id looked at."""
    found: set[str] = set()
    while True:
        with store.reading() as reader:
            kept = archive.page(reader, Wanted(), _PAGE, after=after)
        found |= set(_among(kept, names))
        progress(len(kept))
        if kept:
            after = kept[-1].delivery.id
        if len(kept) < _PAGE:
            return found, after


def _pages(queries: Queries, wanted: Wanted, after: str) -> Iterator[KeptDelivery]:
    while found := archive.page(queries, wanted, _PAGE, after=after):
        yield from found
        after = found[-1].delivery.id


def _among(
    deliveries: Iterator[KeptDelivery] | Sequence[KeptDelivery], names: Sequence[str]
) -> Iterator[str]:
    pattern = _pattern(names)
    if pattern is None:
        return
    for kept in deliveries:
        delivery = kept.delivery
        texts = (delivery.body, kept.answer.encode(), json.dumps(dict(delivery.headers)).encode())
        if any(pattern.search(text.lower()) for text in texts):
            yield delivery.id


def _pattern(names: Sequence[str]) -> re.Pattern[bytes] | None:
    """Finds one of the identifiers where it stands alone, as text or as JSON escapes it."""
    written = set()
    for name in names:
        kind, _, key = name.partition(":")
        if kind.startswith("#") or len(key) < _SHORTEST_SEARCHED:
            continue
        for text in (key, json.dumps(key)[1:-1]):
            written.add(re.escape(text.lower().encode("utf-8", "surrogatepass")))
    if not written:
        return None
    return re.compile(rb"(?<![\w.+-])(?:%s)(?![\w@-]|\.\w)" % b"|".join(sorted(written)))
