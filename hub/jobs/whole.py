"""``export all`` and ``import all``: the whole record as JSON Lines, from one store to another."""

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice
from typing import Any

from hub.errors import Refused
from hub.record import whole
from hub.store import migrations
from hub.store import whole as written
from hub.store.store import Store

_AT_ONCE = 500

Progress = Callable[[int], object]


def export_all(store: Store, progress: Progress = lambda done: None) -> Iterator[bytes]:
    """The lines of the file: what it is, each row, and how many there were.

    Raises StoreUnavailable.
    """
    head = {"format": whole.FORMAT, "schema": migrations.LATEST}
    yield _line(head)
    number = 0
    for line in whole.lines(store.reading, progress):
        number += 1
        yield _line(line)
    yield _line({"rows": number})


def import_all(store: Store, lines: Iterable[bytes], progress: Progress = lambda done: None) -> int:
    """Put a whole record into an empty store, all of it or nothing; how many rows there are.

    Raises Refused for a store that is not empty, and for what is no such file, or not all of it.
    """
    every = (_parsed(number, line) for number, line in enumerate(lines, start=1) if line.strip())
    head = next(every, {})
    if head.get("format") != whole.FORMAT:
        raise Refused(
            "The file is no whole record", "Make one with: attendance-hub export all FILE"
        )
    if head.get("schema") != migrations.LATEST:
        raise Refused(
            f"The file has schema version {head.get('schema')}, this hub {migrations.LATEST}",
            "Export it with the same version of attendance-hub",
        )
    done, expected = 0, None
    with store.writing() as tx:
        if not written.is_empty(tx):
            raise Refused("The store is not empty", "Import into a new one: --database")
        with store.reading() as db:
            kinds = {
                entity._table_: {one.name: one.py_type for one in entity._attrs_ if one.columns}
                for entity in (getattr(db, name) for name in whole.TABLES)
            }
        later: list[tuple[str, int, Mapping[str, Any]]] = []
        while some := list(islice(every, _AT_ONCE)):
            for table, group in groupby(some, key=lambda one: one.get("table")):
                rows = list(group)
                if table is None:
                    expected = rows[-1].get("rows")
                    continue
                if table not in kinds:
                    raise Refused(f"The file has a table that is unknown: {str(table)[:64]}")
                later += written.insert(
                    tx, table, [_values(kinds[table], one["row"]) for one in rows]
                )
                done += len(rows)
                progress(len(rows))
        if expected != done:
            raise Refused(
                f"The file is not whole: it has {done} of {expected or 'unknown'} rows",
                "Export it again",
            )
        written.refer(tx, later)
        written.go_on_after(
            tx, (table for table, members in kinds.items() if members.get("id") is int)
        )
    return done


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _parsed(number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refused(f"Line {number} of the file is no JSON object", "Export it again")
    return found


def _values(kinds: Mapping[str, type], row: Mapping[str, Any]) -> dict[str, Any]:
    if row.keys() != kinds.keys():
        raise Refused("The file has rows with other columns than this hub's", "Export it again")
    return {name: _value(kinds[name], value) for name, value in row.items()}


def _value(kind: type, value: Any) -> Any:
    if value is None:
        return None
    if kind is datetime:
        return datetime.fromisoformat(value)
    if kind is bytes:
        return base64.b64decode(value)
    return value
