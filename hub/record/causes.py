"""What is refused or waits, by its cause: what would have to be put right for all of it."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pony.orm import count, select
from pony.orm import max as highest
from pony.orm import min as lowest

from hub.domain import subjects
from hub.domain.delivery import Outcome, delivery_id_at, moment_of
from hub.domain.identifiers import Identifier
from hub.errors import AlreadyCheckedIn
from hub.record import events, students
from hub.store.store import Entities


class What(StrEnum):
    """What is missing, if something is."""

    STUDENT = "student"
    EVENT = "event"
    OTHER = "other"


@dataclass(slots=True)
class Cause:
    """Deliveries that one thing would mend: ``kind`` and ``value`` name the student or the event that is
    unknown. ``waiting_for`` and ``error`` are the filters that find them all. ``oldest`` and ``newest``
    are the ids of the first and the last of them; ``sources`` tell how many came to which source.
    """

    what: What
    kind: str
    value: str
    waiting_for: str | None
    error: str | None
    oldest: str
    newest: str
    sources: Counter[str] = field(default_factory=Counter)

    @property
    def id(self) -> str:
        """What the desk settles, to have it told no more until there are further deliveries."""
        text = f"{self.waiting_for} {self.error}"
        return f"cause-{hashlib.sha256(text.encode()).hexdigest()[:20]}"

    @property
    def first(self) -> datetime:
        """When the first came: naive, in UTC."""
        return moment_of(self.oldest)

    @property
    def last(self) -> datetime:
        """When the last came: naive, in UTC."""
        return moment_of(self.newest)

    @property
    def deliveries(self) -> int:
        """How many there are."""
        return self.sources.total()


def every(
    db: Entities, since: datetime, but: Sequence[str], files: Sequence[str] = ()
) -> list[Cause]:
    """The causes of what came from a moment on (naive, UTC) to all sources ``but`` some, those with the
    newest deliveries first; what waits before what cannot be mended by a name. Rows of ``files``, the
    sources of imports, are told with their file.
    """
    own, whole = list(but), list(files)
    begin = delivery_id_at(since)
    refused = Outcome.REFUSED.value
    found: dict[tuple[str | None, str | None], Cause] = {}
    waits = select(
        (d.waiting, d.source, count(), lowest(d.id), highest(d.id))
        for d in db.Delivery
        if d.waiting is not None
        and d.id >= begin
        and d.source not in own
        and (d.of_delivery is None or d.source not in whole)
    )
    for awaited, source, number, first, last in waits:
        if awaited.startswith(subjects.FETCH):
            continue  # the hub fetches it again by itself
        _add(found, awaited, None, source, number, first, last)
    others = select(
        (d.answer, d.source, count(), lowest(d.id), highest(d.id))
        for d in db.Delivery
        if d.waiting is None
        and d.outcome == refused
        and d.id >= begin
        and d.source not in own
        and (d.of_delivery is None or d.source not in whole)
    )
    for answer, source, number, first, last in others:
        error = _error(answer)
        if error != AlreadyCheckedIn.sentence:  # it is kept as a sighting
            _add(found, None, error, source, number, first, last)
    settled = dict(select((d.doubt, d.delivery) for d in db.SettledDoubt))
    found = {key: one for key, one in found.items() if one.newest > settled.get(one.id, "")}
    ordered = sorted(found.values(), key=lambda one: one.newest, reverse=True)
    return sorted(ordered, key=lambda one: one.what is What.OTHER)


def owner(db: Entities, cause: Cause) -> str | None:
    """Who, or what, has by now what was missing: then the deliveries may be attempted again. A name to
    show; None where nobody has it.
    """
    if cause.what is What.STUDENT:
        row = students.row_of(db, f"{cause.kind}:{cause.value}")
        if row is None or db.Student[row].hidden_at is not None:
            return None
        first, last, identifiers, _ = students.shown(db, row)
        return f"{first} {last}".strip() or (identifiers[0][1] if identifiers else str(row))
    if cause.what is What.EVENT and cause.waiting_for is not None:
        if (near := subjects.is_near(cause.waiting_for)) is not None:
            return cause.value if events.is_near(db, *near) else None
        named = cause.value if cause.kind == "name" else Identifier(cause.kind, cause.value)
        return cause.value if events.is_known(db, named) else None
    return None


def _add(
    found: dict[tuple[str | None, str | None], Cause],
    awaited: str | None,
    error: str | None,
    source: str,
    number: int,
    oldest: str,
    newest: str,
) -> None:
    cause = found.get((awaited, error))
    if cause is None:
        cause = Cause(*_missing(awaited), awaited, error, oldest, newest)
        found[awaited, error] = cause
    cause.oldest = min(cause.oldest, oldest)
    cause.newest = max(cause.newest, newest)
    cause.sources[source] += number


def _missing(awaited: str | None) -> tuple[What, str, str]:
    """What is missing, of which kind of identifier, and its value."""
    if awaited is None:
        return What.OTHER, "", ""
    if (near := subjects.is_near(awaited)) is not None:
        return What.EVENT, "name", near[0]
    what, _, name = awaited.partition(" ")
    kind, _, value = name.partition(":")
    return What(what), kind, value


def _error(answer: str) -> str:
    told: Mapping[str, object] = json.loads(answer)
    return str(told.get("error", ""))
