"""Deriving the attendances anew, from all kept deliveries, with the plugins as they are now.

It happens in a store of its own, which is thrown away; the record itself is only read. Deliveries go in
the order in which they were settled. What cannot be derived, for want of a body or of a plugin, is
taken as it stands.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from heapq import merge
from itertools import islice
from typing import Any

from hub.domain.corrections import Replay
from hub.domain.delivery import (
    Delivery,
    KeptDelivery,
    Outcome,
    Settlement,
    delivery_id_at,
    new_delivery_id,
)
from hub.domain.identifiers import ROW, Identifier, row_id
from hub.domain.operations import Operation
from hub.domain.records import Result
from hub.domain.timestamps import utc_now
from hub.errors import FAULTS, Refused
from hub.intake.decide import Inside, decide, keep_witness
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import Prepared, meaning, prepare
from hub.jobs.replay import key_of
from hub.log import log_fault
from hub.plugin.hooks import Hooks
from hub.record import deliveries, snapshot
from hub.record.deliveries import Wanted
from hub.record.snapshot import Attended, NamedEvent, NamedStudent
from hub.store import deliveries as written
from hub.store import rebuilding, scratch, settling
from hub.store.context import Context
from hub.store.store import Entities, Store
from hub.store.transaction import Transaction

_PAGE = 200
_CHANGED_AT_ONCE = 20
"""Attendances that are changed in one transaction: check-ins wait for it."""

_Named = NamedStudent | NamedEvent
_SETTLED = tuple(outcome for outcome in Outcome if outcome is not Outcome.REPEATED)


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


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The differences, and how many deliveries were derived, were left out because they have no body or
    no plugin, and failed; ``applied_by`` is the delivery by which the record was made what was derived.
    """

    differences: tuple[Difference, ...]
    derived: int
    underivable: int
    failed: int
    applied_by: str | None = None


class Rebuild:
    """Derives the attendances anew, and compares them with the record."""

    def __init__(
        self, store: Store, hooks: Hooks, endpoints: Sequence[Endpoint], zone: tzinfo
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._endpoints = {endpoint.source.name: endpoint for endpoint in endpoints}
        self._zone = zone

    def run(
        self,
        progress: Callable[[int], object] = lambda looked_at: None,
        is_wanted: Callable[[Rebuilt], bool] = lambda rebuilt: False,
    ) -> Rebuilt:
        """Derive and compare. ``progress`` is told each time how many deliveries more were looked at.
        Where ``is_wanted`` says so of the differences, the record is made what was derived.

        Raises StoreUnavailable, and Refused where no source could undo it.
        """
        derived = failed = 0
        with self._store.reading() as db:
            until = deliveries.last_id(db)
            recorded = _Record.of(self._store, until)
            made = snapshot.made_by(db)
            changed = _Changed.of(db, list(self._endpoints))
            every = deliveries.count(db, Wanted(outcomes=_SETTLED, upto=until))
        with scratch.opened() as other:
            with self._store.reading() as db, other.writing() as tx:
                for table, rows in snapshot.underivable(db, list(self._endpoints)):
                    scratch.insert(tx, table, rows)
            in_order = self._in_order(until)
            while some := list(islice(in_order, _PAGE)):
                # Before: the record is never read in a session that writes, which would have its own
                # writers wait.
                ready = [(kept, self._ready(kept), self._attempted_again(kept)) for kept in some]
                with other.writing() as tx:
                    done = [self._derive(tx, *one, made) for one in ready]
                derived += done.count(True)
                failed += done.count(False)
                progress(len(some))
            underivable = max(0, every - derived - failed)
            found = _differences(recorded, _Record.of(other, until), changed)
            differences = tuple(one for one in found if self._is_derivable(one.recorded))
            rebuilt = Rebuilt(differences, derived, underivable, failed)
            if differences and is_wanted(rebuilt):
                rebuilt = replace(rebuilt, applied_by=self._apply(other, differences, until))
        return rebuilt

    def _apply(self, other: Store, differences: Sequence[Difference], until: str) -> str:
        """Make the record what was derived, in short transactions, by a delivery of the desk; its id."""
        endpoint = next((one for one in self._endpoints.values() if one.source.authority), None)
        if endpoint is None:
            raise Refused("No source could take it back", "Load the plugin desk")
        body = json.dumps({"action": "rebuild", "data": {"until": until}}).encode()
        delivery = Delivery(new_delivery_id(), endpoint.source.name, utc_now(), {}, body, "rebuild")
        told = {"success": True, "message": "Attendances rebuilt", "differences": len(differences)}
        answer = json.dumps({**told, "delivery": delivery.id})
        with self._store.writing() as tx:
            settlement = Settlement(Outcome.APPLIED, 200, answer, 0)
            written.keep(tx, delivery, settlement, None, None)
        context = Context(
            delivery.id,
            delivery.received_at,
            endpoint.source.label,
            self._zone,
            via=endpoint.source.name,
            undoable=True,
        )
        for at in range(0, len(differences), _CHANGED_AT_ONCE):
            with other.writing() as there, self._store.writing() as tx:
                for one in differences[at : at + _CHANGED_AT_ONCE]:
                    self._put(tx, there, one, until, context)
        return delivery.id

    def _put(
        self, tx: Transaction, there: Transaction, one: Difference, until: str, context: Context
    ) -> None:
        if one.rows is None:
            return
        said: rebuilding.Rows = []
        if one.derived is not None:
            row = there.row(rebuilding.FIND, one.derived.student, one.derived.event)
            said = rebuilding.rows(there, row[0]) if row is not None else []
        rebuilding.put(tx, *one.rows, said, until, context)

    def _is_derivable(self, recorded: Attended | None) -> bool:
        return recorded is None or recorded.source in self._endpoints

    def _in_order(self, until: str) -> Iterator[KeptDelivery]:
        """The deliveries that can be derived, in the order in which they were settled."""
        with self._store.reading() as db:
            later = deliveries.settled_later(db)
        at_once = (
            (kept.delivery.id, kept) for kept in self._pages(until) if kept.delivery.id not in later
        )
        replayed = (
            (moment, kept)
            for identifier, moment in sorted(later.items(), key=lambda item: item[1])
            if (kept := self._find(identifier)) is not None
        )
        for _, kept in merge(at_once, replayed, key=lambda pair: pair[0]):
            if kept.delivery.source in self._endpoints:
                yield kept

    def _pages(self, until: str) -> Iterator[KeptDelivery]:
        wanted = Wanted(outcomes=_SETTLED, with_body=True, upto=until)
        for page in deliveries.every(self._store.reading, wanted, bodies=True):
            yield from page

    def _find(self, identifier: str) -> KeptDelivery | None:
        with self._store.reading() as db:
            kept = deliveries.find(db, identifier)
        return None if kept is None or kept.emptied else kept

    def _derive(
        self,
        tx: Transaction,
        kept: KeptDelivery,
        prepared: Prepared,
        again: Mapping[str, KeptDelivery],
        made: Mapping[str, Mapping[str, Sequence[int]]],
    ) -> bool:
        """Whether the delivery could be decided on."""
        if kept.key_holder is not None and kept.attempts == 1:
            return True  # it used another's key, and changes nothing
        endpoint = self._endpoints[kept.delivery.source]
        key = key_of(kept, endpoint, prepared)
        inside = Inside(partial(self._again, again), lambda results, delivery: {})
        try:
            with tx.savepoint():
                scratch.keep(tx, kept.delivery)
                decision = decide(tx, endpoint, kept.delivery, prepared, key, self._zone, inside)
                if decision.witness is not None:
                    keep_witness(tx, endpoint, kept.delivery, decision.witness, key, self._zone)
                scratch.give_ids(tx, kept.delivery.id, made)
        except FAULTS as error:
            log_fault(f"delivery {kept.delivery.id} cannot be derived", error)
            return False
        return decision.outcome is not Outcome.FAILED

    def _ready(self, kept: KeptDelivery) -> Prepared:
        endpoint = self._endpoints[kept.delivery.source]
        prepared = prepare(self._hooks, endpoint, kept.delivery)
        operations = tuple(self._by_its_pair(one) for one in prepared.operations)
        prepared = prepared._replace(operations=operations)
        return meaning(prepared, kept.meant_student, kept.meant_event)

    def _attempted_again(self, kept: KeptDelivery) -> Mapping[str, KeptDelivery]:
        """The deliveries that one of the desk had attempted again, by their ids."""
        endpoint = self._endpoints[kept.delivery.source]
        if not endpoint.source.authority:
            return {}
        found = {}
        for one in prepare(self._hooks, endpoint, kept.delivery).operations:
            if isinstance(one, Replay) and (other := self._find(one.delivery)) is not None:
                found[one.delivery] = other
        return found

    def _by_its_pair(self, operation: Operation) -> Operation:
        """An operation that names an attendance by its id, which is another one in the copy, by its
        student and event.
        """
        named = getattr(operation, "attendance", None)
        if named is None or named.kind != ROW:
            return operation
        with self._store.reading() as db:
            pair = snapshot.pair_of(db, row_id(named))
        if pair is None:
            return operation
        student, event = (Identifier(ROW, str(row)) for row in pair)
        made: Any = operation
        by_pair: Operation = replace(made, attendance=None, student=student, event=event)
        return by_pair

    def _again(
        self, kept_ones: Mapping[str, KeptDelivery], tx: Transaction, identifier: str
    ) -> tuple[Result, ...]:
        """A delivery that the desk had attempted again."""
        kept = kept_ones.get(identifier)
        endpoint = None if kept is None else self._endpoints.get(kept.delivery.source)
        if kept is None or endpoint is None:
            return ()
        student, event = tx.rows(settling.MEANT, identifier)[0][:2]
        prepared = meaning(prepare(self._hooks, endpoint, kept.delivery), student, event)
        key = key_of(kept, endpoint, prepared)
        return decide(tx, endpoint, kept.delivery, prepared, key, self._zone).results


@dataclass(frozen=True, slots=True)
class _Record:
    """The attendances of one store, and whose they are."""

    students: Mapping[int, NamedStudent]
    events: Mapping[int, NamedEvent]
    attendances: Mapping[tuple[int, int], Attended]

    @classmethod
    def of(cls, store: Store, until: str) -> "_Record":
        with store.reading() as db:
            return cls(
                snapshot.students(db),
                snapshot.events(db),
                snapshot.attendances(db, until),
            )


@dataclass(frozen=True, slots=True)
class _Changed:
    """The last change of each copied student and event. What was said of them before, under another name
    or identifier, cannot be derived.
    """

    students: Mapping[int, datetime]
    events: Mapping[int, datetime]

    @classmethod
    def of(cls, db: Entities, sources: Sequence[str]) -> "_Changed":
        return cls(*snapshot.changed(db, sources))

    def since(self, attended: Attended, student: int, event: int) -> bool:
        """Whether the student or the event was changed after the attendance was recorded."""
        moments = (self.students.get(student), self.events.get(event))
        return any(
            moment is not None and delivery_id_at(moment) >= attended.delivery[:12]
            for moment in moments
        )


def _differences(recorded: _Record, derived: _Record, changed: _Changed) -> Iterator[Difference]:
    students = _same(recorded.students, derived.students)
    events = _same(recorded.events, derived.events)
    left = dict(recorded.attendances)
    for (student, event), attended in derived.attendances.items():
        # A row without any key was copied, and has its own id in both.
        own = students.get(student, student if student not in derived.students else -student)
        at = events.get(event, -event)
        known = left.pop((own, at), None)
        if known is None or known.times != attended.times:
            label = _label(derived.students, student)
            rows = (own, at) if own in recorded.students and at in recorded.events else None
            if known is not None:
                rows = known.student, known.event
            yield Difference(label, derived.events[event], known, attended, rows)
    for (student, event), attended in left.items():
        if changed.since(attended, student, event):
            continue
        label = _label(recorded.students, student)
        rows = attended.student, attended.event
        yield Difference(label, recorded.events[event], attended, None, rows)


def _same(recorded: Mapping[int, _Named], derived: Mapping[int, _Named]) -> dict[int, int]:
    """The recorded row's id for each derived row that shares a key with one."""
    by_key = {key: row for row, named in recorded.items() for key in named.keys}
    found = {}
    for row, named in derived.items():
        same = next((by_key[key] for key in named.keys if key in by_key), None)
        if same is not None:
            found[row] = same
    return found


def _label(students: Mapping[int, NamedStudent], student: int) -> str:
    return students[student].label if student in students else f"#{student}"
