"""Forgetting a student: the person's data is removed, and head counts stay.

The student's row stays without a name or identifiers, so that attendances are still counted. Deliveries
that name the student, by an identifier of now or of before, or in whose text one stands, lose their body,
headers and answers; captured requests are removed.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote_plus

from hub.domain import subjects
from hub.domain.delivery import KeptDelivery, delivery_id_at
from hub.domain.timestamps import utc_now
from hub.errors import NotFound, Refused
from hub.record import captures as kept_captures
from hub.record import deliveries as kept_deliveries
from hub.record import students
from hub.record.deliveries import Wanted
from hub.record.search import require_text
from hub.store import captures, deliveries
from hub.store import students as written
from hub.store.store import Entities, Store

_TRIES = 5
_LATE = timedelta(minutes=2)
"""How much later than its id a delivery may be committed, generously."""

_SHORTEST_SEARCHED = 4
"""Characters of an identifier to be looked for in text; a shorter one stands in too many numbers."""

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed: whether there was a student, and of how many attendances and deliveries."""

    student: bool
    attendances: int
    deliveries: int


class _LearntMore(Exception):
    """There are names of the student that were not searched for."""


def forget(
    store: Store, named: str, progress: Callable[[int], object] = lambda looked_at: None
) -> Forgotten:
    """Forget the student whom ``named`` means: an A-number, an e-mail, or ``<kind>:<value>``.

    ``progress`` is told after each page how many deliveries were looked at. Raises NotFound where
    nobody knows the student and no delivery tells of one, Refused for an identifier that a student had
    before and who has another now, StoreUnavailable.
    """
    require_text(named, "student")
    for _ in range(_TRIES):
        with store.reading() as db:
            names = _all_names(db, named)
        # What comes in or is committed meanwhile is looked at in the transaction.
        since = delivery_id_at(utc_now() - _LATE)
        found = _about(store, names, progress)
        try:
            done = _remove(store, named, names, found, since)
        except _LearntMore:
            continue
        store.remove_traces()
        return done
    raise Refused("The student changes all the time; try again")


def _remove(
    store: Store, named: str, names: Sequence[str], found: set[str], since: str
) -> Forgotten:
    with store.writing() as tx, store.reading() as db:
        tx.overwrite_what_is_deleted()
        if set(_all_names(db, named)) - set(names):
            raise _LearntMore
        for page in kept_deliveries.every(store.reading, Wanted(), after=since, bodies=True):
            found = found | set(_among(page, names))
        found = found | set(kept_deliveries.ids(db, Wanted(students=tuple(names)), since))
        student = students.row_of(db, named)
        captured_about = list(_captured(db, names))
        if student is None and not found and not captured_about:
            raise NotFound(f"Student with identifier {named} not found")
        attendances = written.forget(tx, student, utc_now()) if student is not None else 0
        for identifier in found:
            deliveries.forget(tx, identifier)
        for captured in captured_about:
            captures.remove_request(tx, captured)
    return Forgotten(student is not None, attendances, len(found) + len(captured_about))


def _all_names(db: Entities, named: str) -> list[str]:
    """The student's current names, and former ones that are in deliveries and that nobody has now.

    Raises Refused where ``named`` is nobody's now, and was one of a student who has another.
    """
    names = students.names(db, named)
    student = students.row_of(db, named)
    if student is None:
        for text in kept_deliveries.students_of(db, names):
            for row in subjects.rows_in(text):
                if label := students.label(db, row):
                    raise Refused(f"{named} is no identifier any more; forget the student {label}")
        return names
    before: dict[str, None] = {}
    own = subjects.row_name(student)
    for text in kept_deliveries.students_of(db, [own]):
        told = subjects.split(text)
        if [name for name in told if name.startswith("#")] == [own]:
            before.update(dict.fromkeys(name for name in told if not name.startswith("#")))
    former = [name for name in before if students.row_of(db, name) is None]
    return list(dict.fromkeys([*names, *former]))


def _about(store: Store, names: Sequence[str], progress: Callable[[int], object]) -> set[str]:
    """Ids of the deliveries that name the student, or in whose text one of the names stands."""
    with store.reading() as db:
        found = set(kept_deliveries.ids(db, Wanted(students=tuple(names)), ""))
    for page in kept_deliveries.every(store.reading, Wanted(), bodies=True):
        found |= set(_among(page, names))
        progress(len(page))
    return found


def _captured(db: Entities, names: Sequence[str]) -> Iterator[int]:
    """Ids of the captured requests in whose text one of the names stands, or that are no text."""
    pattern = _pattern(names)
    for identifier, request in kept_captures.all_requests(db) if pattern else ():
        headers = json.dumps(dict(request.headers), ensure_ascii=False)
        plain = unquote_plus(request.body.decode("utf-8", "replace"))
        if not _is_text(request.body) or _tells(pattern, request.body, plain, headers):
            yield identifier


def _is_text(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"\0" not in body


def _among(deliveries: Iterable[KeptDelivery], names: Sequence[str]) -> Iterator[str]:
    pattern = _pattern(names)
    if pattern is None:
        return
    for kept in deliveries:
        headers = json.dumps(dict(kept.delivery.headers), ensure_ascii=False)
        if _tells(pattern, kept.delivery.body, kept.answer, headers):
            yield kept.delivery.id


def _tells(pattern: re.Pattern[str] | None, body: bytes, *texts: str) -> bool:
    every = (body.decode("utf-8", "replace"), *texts)
    return pattern is not None and any(
        pattern.search(form) for text in every for form in _forms(text)
    )


def _forms(text: str) -> Iterator[str]:
    """A text as identifiers are compared: as it is, and with the escapes of JSON undone."""
    yield unicodedata.normalize("NFC", text).lower()
    if "\\" in text:
        plain = _ESCAPE.sub(_unescaped, text)
        yield unicodedata.normalize("NFC", plain).lower()


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    return _PLAIN.get(escape[2], escape[2])


def _pattern(names: Sequence[str]) -> re.Pattern[str] | None:
    """Finds one of the identifiers where it stands alone."""
    keys = set()
    for name in names:
        kind, _, key = name.partition(":")
        if not kind.startswith("#") and len(key) >= _SHORTEST_SEARCHED:
            keys.add(re.escape(unicodedata.normalize("NFC", key).lower()))
    if not keys:
        return None
    return re.compile(rf"(?<![\w.+-])(?:{'|'.join(sorted(keys))})(?![\w@-]|\.\w)")
