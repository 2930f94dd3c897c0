"""Deriving the attendances anew, from all kept deliveries, and comparing them with the record; it may be
made what was derived.

All goes in pages, beside check-ins, and through a copy that outlasts the process: one that is ended is
gone on with by the next.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple

from hub.domain.delivery import Delivery, Outcome, Settlement, delivery_id_at, new_delivery_id
from hub.domain.timestamps import utc_now
from hub.errors import Refused
from hub.intake.endpoint import Endpoint
from hub.jobs.deriving import Derivation
from hub.jobs.preparing import NotHelpedError, Preparation, helpers
from hub.plugin.code import digest
from hub.plugin.hooks import Hooks
from hub.record import changes, deliveries, derivable, forgettings, snapshot
from hub.record.snapshot import Attended, NamedEvent
from hub.store import deliveries as written
from hub.store import derivation, rebuilding, scratch
from hub.store.context import Context
from hub.store.database import file_identity
from hub.store.derivation import EVENT, STUDENT, Found, Progress, Side
from hub.store.rows import moment
from hub.store.scratch import Kept
from hub.store.store import Entities, Store
from hub.store.transaction import Transaction

_log = logging.getLogger(__name__)

_PAGE = 100
_WORTH_HELP = 5000
"""Deliveries, from which on helper processes are worth their start."""

_CHANGED_AT_ONCE = 20
"""Attendances that are changed in one transaction: check-ins wait for it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An attendance that differs between the record and the deliveries.

    ``recorded`` is None where the record does not have it, ``derived`` where no delivery tells of it.
    ``student`` is a label; ``rows`` are the student and the event in the record, None where they are not
    there.
    """

    student: str
    event: NamedEvent
    recorded: Attended | None
    derived: Attended | None
    rows: tuple[int, int] | None = None


class Rebuild:
    """Derives the attendances of a store anew. ``mark`` stands for the settings that the deriving depends
    on; ``folder`` is where the copy is kept, None for one that is gone with the process. ``helpers`` are
    processes that may help, where that is worth it.
    """

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        endpoints: Sequence[Endpoint],
        zone: tzinfo,
        mark: str = "",
        folder: Path | None = None,
        helpers: int = 0,
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._endpoints = {endpoint.source.name: endpoint for endpoint in endpoints}
        self._zone = zone
        self._mark = mark
        self._folder = folder
        self._helpers = helpers

    @contextmanager
    def derived(
        self, progress: Callable[[int], object] = lambda looked_at: None
    ) -> Iterator["Rebuilt"]:
        """What was derived, as long as the block takes. ``progress`` is told each time how many more
        deliveries were looked at, with those of an earlier process.

        Raises StoreUnavailable, and Refused where another process is at the same.
        """
        with self._copy() as kept:
            one = Derivation(self._store, kept.store, list(self._endpoints))
            if kept.is_new:
                one.begin(self._whole_mark())
            so_far = _so_far(kept.store)
            with self._store.reading() as db:
                every = derivable.count(db, so_far.upto)
            earlier = so_far.derived + so_far.failed
            progress(earlier)
            count = self._helpers if every - earlier >= _WORTH_HELP else 0
            so_far = self._derive(one, kept.store, count, progress)
            if not self._is_of(kept.store):
                kept.stays = False
                raise Refused(
                    "The record has lost bodies, or was put back, since the rebuild began",
                    "Run it again; it begins anew",
                )
            rebuilt = Rebuilt(
                self._store, kept, self._endpoints, self._zone, so_far, earlier, every
            )
            if so_far.applied_by is None:
                rebuilt.compare()
                kept.stays = False
            yield rebuilt

    def _derive(
        self,
        one: Derivation,
        copy: Store,
        count: int,
        progress: Callable[[int], object],
    ) -> Progress:
        preparation = Preparation(self._store, self._hooks, self._endpoints, self._zone)
        try:
            with helpers(preparation, count) as some:
                return one.run(_so_far(copy), some, progress)
        except NotHelpedError as error:
            _log.info("the rest is derived without helpers: %s", error)
            with helpers(preparation, 0) as none:
                return one.run(_so_far(copy), none, progress)

    def _whole_mark(self) -> str:
        """What must be the same for a rebuild to be gone on with."""
        with self._store.reading() as db:
            forgotten = max((one.id for one in forgettings.every(db)), default=0)
        code = digest(endpoint.source for endpoint in self._endpoints.values())
        file = file_identity(self._store.address) if self._store.address.in_file else None
        return f"{self._mark} {code} {forgotten} {file}"

    @contextmanager
    def _copy(self) -> Iterator[Kept]:
        if self._folder is None:
            with scratch.opened() as store:
                yield Kept(store)
            return
        with scratch.kept(self._folder, self._is_of) as kept:
            yield kept

    def _is_of(self, copy: Store) -> bool:
        """Whether a copy is whole, and of the record as it is, but for what came since."""
        mark = self._whole_mark()
        with copy.writing() as tx:
            origin = derivation.origin(tx)
            if origin is None or origin.mark != mark:
                return False
            upto = derivation.progress(tx).upto
        with self._store.reading() as db:
            if origin.emptied != derivable.emptied(db, upto):
                return False
            try:
                changes.position(db, origin.cursor)
            except Refused:
                return False
        return True


class Rebuilt:
    """What was derived of a store, beside what it has; as long as its copy is there.

    ``derived`` deliveries were derived, ``underivable`` ones left out for want of a body or a plugin,
    and ``failed`` ones failed. ``missing`` attendances are derived and not recorded, ``surplus`` ones
    recorded and not derived, and ``changed`` ones have other times. ``meanwhile`` more have been changed
    since the rebuild began, and are left out. ``earlier`` deliveries were derived by a process that was
    ended; ``applied_by`` is the delivery by which one has begun to put the differences into the record.
    """

    def __init__(
        self,
        store: Store,
        kept: Kept,
        endpoints: Mapping[str, Endpoint],
        zone: tzinfo,
        so_far: Progress,
        earlier: int,
        every: int,
    ) -> None:
        self._store = store
        self._kept = kept
        self._copy = kept.store
        self._endpoints = endpoints
        self._zone = zone
        self._upto = so_far.upto
        self._change, self._attendance = so_far.change, so_far.attendance
        self._applied = so_far.applied
        self.applied_by = so_far.applied_by
        self.earlier = earlier
        self.derived, self.failed = so_far.derived, so_far.failed
        self.underivable = max(0, every - so_far.derived - so_far.failed)
        self.missing = self.surplus = self.changed = self.meanwhile = 0
        self._count()

    @property
    def is_same(self) -> bool:
        """Whether the deliveries tell what the record has, and all could be decided on."""
        return not (self.missing or self.surplus or self.changed or self.failed)

    def differences(self) -> Iterator[Difference]:
        """The differences, in order."""
        for page in self._pages():
            yield from (one.difference for one in self._resolved(page) if one.difference)

    def compare(self) -> None:
        """Find the differences, without those that cannot be told, or have been changed meanwhile."""
        with self._copy.writing() as tx:
            derivation.compare(tx, self._upto)
        for page in self._pages():
            resolved = self._resolved(page)
            self.meanwhile += sum(one.is_changed for one in resolved)
            with self._copy.writing() as tx:
                derivation.drop(tx, (one.id for one in resolved if one.difference is None))
        self._count()

    def apply(self) -> str:
        """Make the record what was derived, in short transactions, by a delivery of the desk; its id.

        Raises Refused where no source could undo it.
        """
        endpoint = next((one for one in self._endpoints.values() if one.source.authority), None)
        if endpoint is None:
            raise Refused("No source could take it back", "Load the plugin desk")
        delivery = self.applied_by or self._begin_to_apply(endpoint)
        with self._store.reading() as db:
            received_at = deliveries.received(db, [delivery])[delivery][0]
        context = Context(
            delivery,
            received_at,
            endpoint.source.label,
            self._zone,
            via=endpoint.source.name,
            undoable=True,
        )
        for page in self._pages(_CHANGED_AT_ONCE):
            differences = [one.difference for one in self._resolved(page)]
            with self._copy.writing() as there:
                said = [self._said(there, one) for one in page]
            with self._store.writing() as tx:
                for one, what in zip(differences, said, strict=True):
                    if one is not None and one.rows is not None:
                        rebuilding.put(tx, *one.rows, what, self._upto, context)
            with self._copy.writing() as there:
                derivation.applied(there, delivery, page[-1].id)
        return delivery

    def _begin_to_apply(self, endpoint: Endpoint) -> str:
        body = json.dumps({"action": "rebuild", "data": {"until": self._upto}}).encode()
        delivery = Delivery(new_delivery_id(), endpoint.source.name, utc_now(), {}, body, "rebuild")
        differences = self.missing + self.surplus + self.changed
        told = {"success": True, "message": "Attendances rebuilt", "differences": differences}
        answer = json.dumps({**told, "delivery": delivery.id})
        with self._store.writing() as tx:
            settlement = Settlement(Outcome.APPLIED, 200, answer, 0)
            written.keep(tx, delivery, settlement, None, None)
        with self._copy.writing() as there:
            derivation.applied(there, delivery.id, 0)
        self._kept.stays = True
        return delivery.id

    def _said(self, there: Transaction, one: Found) -> rebuilding.Rows:
        return [] if one.derived is None else rebuilding.rows(there, one.derived.attendance)

    def _count(self) -> None:
        with self._copy.writing() as tx:
            self.missing, self.surplus, every = derivation.count(tx, self._applied)
        self.changed = every - self.missing - self.surplus

    def _pages(self, size: int = _PAGE) -> Iterator[list[Found]]:
        after = self._applied
        while True:
            with self._copy.writing() as tx:
                page = derivation.found(tx, after, size)
            if not page:
                return
            yield page
            after = page[-1].id

    def _resolved(self, page: Sequence[Found]) -> list["_Resolved"]:
        derived = [one.derived for one in page if one.derived is not None]
        with self._copy.reading() as other:
            there = _There(
                snapshot.student_labels(other, [side.student for side in derived]),
                snapshot.named_events(other, [side.event for side in derived]),
            )
        sources = list(self._endpoints)
        with self._store.reading() as db:
            here = _Here.of(db, page, sources, self._attendance, self._change)
        return [_Resolved.of(one, here, there, sources) for one in page]


class _There(NamedTuple):
    """What the copy tells of the differences of a page: labels of students, and events."""

    students: Mapping[int, str]
    events: Mapping[int, NamedEvent]


class _Here(NamedTuple):
    """What the record tells of the differences of a page: labels of students, events, the sources of
    deliveries that have a body; when students and events that were copied have changed; what has changed
    since the rebuild began, by table; and all attendances of a student and an event as they are told. The
    last one was ``attendance`` when the rebuild began.
    """

    students: Mapping[int, str]
    events: Mapping[int, NamedEvent]
    sources: Mapping[str, str]
    changed: Mapping[str, Mapping[int, datetime]]
    since: Mapping[str, set[int]]
    pairs: Mapping[tuple[int, int], Sequence[int]]
    attendance: int

    @classmethod
    def of(
        cls,
        db: Entities,
        page: Sequence[Found],
        sources: Sequence[str],
        attendance: int,
        change: int,
    ) -> "_Here":
        students, events = _ids(one.student for one in page), _ids(one.event for one in page)
        pairs = snapshot.attendances_of(db, students)
        every = (pairs.get((one.student, one.event), ()) for one in page)
        recorded = [one.recorded for one in page if one.recorded is not None]
        derived = [one.derived for one in page if one.derived is not None]
        own = {
            STUDENT: _ids([*students, *(side.student for side in recorded)]),
            EVENT: _ids([*events, *(side.event for side in recorded)]),
            "attendance": _ids(row for rows in every for row in rows),
        }
        return cls(
            snapshot.student_labels(db, students),
            snapshot.named_events(db, events),
            snapshot.sources_of(db, [side.delivery for side in (*derived, *recorded)]),
            {
                STUDENT: snapshot.changed(db, STUDENT, students, sources),
                EVENT: snapshot.changed(db, EVENT, events, sources),
            },
            snapshot.changed_since(db, change, own),
            pairs,
            attendance,
        )

    def is_changed(self, one: Found) -> bool:
        """Whether a difference is of what has changed since the rebuild began."""
        own = self.pairs.get((one.student, one.event), ())
        sides: list[Found | Side] = [one]
        if one.recorded is not None:
            sides.append(one.recorded)
        return bool(
            {side.student for side in sides} & self.since[STUDENT]
            or {side.event for side in sides} & self.since[EVENT]
            or any(row > self.attendance or row in self.since["attendance"] for row in own)
        )

    def was_called_otherwise(self, one: Found) -> bool:
        """Whether the student or the event was copied, and changed after the attendance was recorded:
        what was said before, under another name or identifier, cannot be derived.
        """
        moments = (self.changed[STUDENT].get(one.student), self.changed[EVENT].get(one.event))
        begin = "" if one.recorded is None else one.recorded.delivery[:12]
        return any(at is not None and delivery_id_at(at) >= begin for at in moments)


class _Resolved(NamedTuple):
    """A difference as it is told; None where it is left out, maybe because it ``is_changed`` since."""

    id: int
    difference: Difference | None
    is_changed: bool = False

    @classmethod
    def of(cls, one: Found, here: _Here, there: _There, sources: Sequence[str]) -> "_Resolved":
        recorded, derived = _attended(one.recorded, here), _attended(one.derived, here)
        if recorded is not None and recorded.source not in sources:
            return cls(one.id, None)
        if derived is None and here.was_called_otherwise(one):
            return cls(one.id, None)
        if here.is_changed(one):
            return cls(one.id, None, is_changed=True)
        if derived is not None:
            label = there.students.get(derived.student, f"#{derived.student}")
            event = there.events[derived.event]
        else:
            label = here.students.get(one.student, f"#{one.student}")
            event = here.events[one.event]
        rows = (one.student, one.event)
        if recorded is not None:
            rows = recorded.student, recorded.event
        is_there = recorded is not None or (
            one.student in here.students and one.event in here.events
        )
        # Of two that are of the same student and event in the record, one is put there.
        may_be_put = is_there and not one.is_second
        return cls(
            one.id, Difference(label, event, recorded, derived, rows if may_be_put else None)
        )


def _attended(side: Side | None, here: _Here) -> Attended | None:
    if side is None:
        return None
    times = moment(side.checked_in_at), moment(side.checked_out_at)
    source = here.sources.get(side.delivery)
    return Attended(side.student, side.event, *times, side.delivery, source)


def _ids(found: Iterable[int]) -> list[int]:
    return sorted({one for one in found if one > 0})


def _so_far(copy: Store) -> Progress:
    with copy.writing() as tx:
        return derivation.progress(tx)
