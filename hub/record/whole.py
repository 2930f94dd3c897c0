"""The whole record as lines, a row of a table each: for a move to another store, or another database."""

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from pony.orm import select

from hub.store.store import Entities

FORMAT = "attendance-hub"
_PAGE = 500

TABLES = (
    "Student",
    "StudentIdentifier",
    "Event",
    "EventIdentifier",
    "Attendance",
    "AttendanceIdentifier",
    "OwnAttendance",
    "Delivery",
    "Attempt",
    "Evidence",
    "Mention",
    "Disagreement",
    "Deed",
    "SettledDoubt",
    "Change",
    "Token",
    "Outbox",
    "Fetching",
    "Forgetting",
)
"""All that is kept but captures, which end within a day; those first that others refer to."""

Reading = Callable[[], AbstractContextManager[Entities]]


def lines(reading: Reading, progress: Callable[[int], object]) -> Iterator[Mapping[str, Any]]:
    """Each row as ``{"table", "row"}``, moments in ISO 8601 and bytes in Base64. Rows are read in pages,
    each in a session of its own. What is made meanwhile is left out; what is changed may be told as it
    was or as it is, so that a hub that takes check-ins is best stopped before.
    """
    with reading() as db:
        # What refers to others first: nothing then refers to what is left out.
        ends = {name: _last(db, getattr(db, name)) for name in reversed(TABLES)}
    for name in TABLES:
        after: Any = None
        while True:
            with reading() as db:
                entity = getattr(db, name)
                rows = [row.to_dict() for row in _page(entity, after, ends[name])]
                table = entity._table_
            for row in rows:
                yield {"table": table, "row": {key: _plain(value) for key, value in row.items()}}
            progress(len(rows))
            if len(rows) < _PAGE:
                break
            after = _key(row, entity)


def count(db: Entities) -> int:
    """How many rows there are."""
    return sum(int(select(o for o in getattr(db, name)).count()) for name in TABLES)


def _page(entity: Any, after: Any, end: Any) -> list[Any]:
    if end is None:
        return []
    if len(entity._pk_attrs_) > 1:  # a mention: by its name and its delivery
        query = select(o for o in entity).order_by(lambda o: (o.name, o.delivery))
        if after is not None:
            name, delivery = after
            query = query.where(
                lambda o: o.name > name or (o.name == name and o.delivery > delivery)
            )
        return list(query.limit(_PAGE))
    (key,) = (attribute.name for attribute in entity._pk_attrs_)
    query = select(o for o in entity if getattr(o, key) <= end)
    if after is not None:
        query = query.where(lambda o: getattr(o, key) > after)
    return list(query.order_by(lambda o: getattr(o, key)).limit(_PAGE))


def _last(db: Entities, entity: Any) -> Any:
    key = entity._pk_attrs_[0].name
    return select(max(getattr(o, key)) for o in entity).first()


def _key(row: Mapping[str, Any], entity: Any) -> Any:
    values = [row[attribute.name] for attribute in entity._pk_attrs_]
    return values[0] if len(values) == 1 else tuple(values)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | memoryview | bytearray):
        return base64.b64encode(bytes(value)).decode()
    return value
