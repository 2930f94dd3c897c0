"""All that is kept as it was sent, and in which a person may stand: read in pages, by id."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from pony.orm import select

from hub.domain.delivery import Emptied
from hub.store.store import Entities


@dataclass(frozen=True, slots=True)
class DeliveryTexts:
    """What a delivery says: its body, and its headers, key, answers and what was fetched as ``texts``.
    ``students`` and ``events`` are whom and what it is about (``hub.domain.subjects``).
    """

    id: str
    students: str
    events: str
    forgotten: bool
    body: bytes
    texts: tuple[str, ...]


def deliveries(db: Entities, after: str, upto: str, limit: int) -> list[DeliveryTexts]:
    """Deliveries above the id ``after`` and up to ``upto``, the oldest first."""
    found = select(
        (
            d.id,
            d.students,
            d.events,
            d.emptied,
            d.body,
            d.headers,
            d.answer,
            d.idempotency_key,
            d.told,
            d.fetched,
        )
        for d in db.Delivery
        if d.id > after and d.id <= upto
    )
    rows = list(found.order_by(1).limit(limit))
    answers = _later_answers(db, [row[0] for row in rows])
    return [
        DeliveryTexts(
            identifier,
            students,
            events,
            emptied == Emptied.FORGOTTEN,
            bytes(body),
            tuple(
                text if isinstance(text, str) else bytes(text).decode("utf-8", "replace")
                for text in (*texts, *answers[identifier])
                if text
            ),
        )
        for identifier, students, events, emptied, body, *texts in rows
    ]


def captured(db: Entities, after: int, limit: int) -> list[tuple[int, str, bytes]]:
    """Captured requests above the id ``after``: ids, headers, bodies."""
    found = select((r.id, r.headers, r.body) for r in db.CapturedRequest if r.id > after)
    return [(row[0], row[1], bytes(row[2])) for row in found.order_by(1).limit(limit)]


def metadata(db: Entities, table: str, after: int, upto: str, limit: int) -> list[tuple[int, str]]:
    """The rows of a table above the id ``after`` that have metadata, and were made by a delivery up to
    the id ``upto``: ids and metadata.
    """
    entity = {
        "student": db.Student,
        "event": db.Event,
        "attendance": db.Attendance,
    }[table]
    found = select(
        (o.id, o.metadata)
        for o in entity
        if o.id > after and o.metadata != "{}" and o.delivery <= upto
    )
    return list(found.order_by(1).limit(limit))


def events(db: Entities, after: int, limit: int) -> list[tuple[int, str, str, str]]:
    """Events above the id ``after``: ids, names, descriptions, locations."""
    found = select((e.id, e.name, e.description, e.location) for e in db.Event if e.id > after)
    return list(found.order_by(1).limit(limit))


def _later_answers(db: Entities, identifiers: Iterable[str]) -> dict[str, list[str]]:
    """The answers of later attempts, by delivery."""
    answers: dict[str, list[str]] = defaultdict(list)
    wanted = list(identifiers)
    found = select((a.id, a.delivery.id, a.answer) for a in db.Attempt if a.delivery.id in wanted)
    for _, delivery, answer in found:
        answers[delivery].append(answer)
    return answers
