"""Deriving attendances from deliveries, into a copy that is thrown away, with the plugins as they are
now.

Deliveries go in the order in which they were settled. What cannot be derived, for want of a body or of a
plugin, is taken as it stands. The record itself is only read, and never in a session that writes, which
would have its own writers wait.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from heapq import merge
from itertools import groupby, islice
from typing import Any, NamedTuple

from hub.domain.records import Result
from hub.errors import FAULTS, AlreadyCheckedIn, Refused, StoreUnavailable
from hub.intake.prepare import Prepared, meaning
from hub.jobs.preparing import Helpers, Ready
from hub.log import log_fault
from hub.record import changes, deliveries, derivable, snapshot
from hub.store import attendances, check_ins, derivation, scratch, settling
from hub.store.apply import apply
from hub.store.database import classified
from hub.store.derivation import EVENT, STUDENT, Origin, Progress
from hub.store.store import Store
from hub.store.transaction import Transaction

_BATCH = 1000
"""Deliveries that are prepared and applied at once."""

_BYTES = 4_194_304
"""Of their bodies, unless a single one has more."""

_BATCHES = 20
"""Batches of one transaction of the copy, with helpers: the fewer, the fewer pages are written twice."""

_LATER = 200
_WORTH_IT = 8
"""Check-ins in a row, from which on to apply them at once costs less."""


class Place(NamedTuple):
    """A delivery's place in the order: the id under which it was settled, and its own."""

    key: str
    delivery: str


Batch = Sequence[Place]


class Derivation:
    """The attendances of a store, derived into a copy from deliveries to ``sources``. It may be stopped
    anywhere, and goes on where it was with the same copy.
    """

    def __init__(self, store: Store, copy: Store, sources: Sequence[str]) -> None:
        self._store = store
        self._copy = copy
        self._sources = sources

    def begin(self, mark: str) -> None:
        """Put into a new copy what it takes to begin: the record as it is, and what is underivable."""
        reading = self._store.reading
        with reading() as db:
            now = changes.now(db)
            upto = deliveries.last_id(db)
            origin = Origin(mark, changes.cursor(db, now), derivable.emptied(db, upto))
        with self._writing() as tx:
            derivation.make_tables(tx)
        for what in (STUDENT, EVENT):
            for page in snapshot.merged(reading, what):
                self._add(derivation.ADD_MERGED, [(what, *row) for row in page])
        for page in snapshot.student_keys(reading):
            self._add(derivation.ADD_KEY, [(STUDENT, *row) for row in page])
        for page in snapshot.event_keys(reading):
            self._add(derivation.ADD_KEY, [(EVENT, *row) for row in page])
        for page in snapshot.attendances(reading, upto):
            self._add(derivation.ADD_RECORDED, page)
        for page in snapshot.settled_later(reading):
            self._add(derivation.ADD_LATER, page)
        for table, rows in snapshot.underivable(reading, self._sources):
            with self._writing() as tx:
                scratch.insert(tx, table, rows)
        with self._writing() as tx:
            derivation.begin(tx, origin, upto, *now)

    def run(
        self, so_far: Progress, helpers: Helpers, progress: Callable[[int], object]
    ) -> Progress:
        """Derive what is left; how far it is then. ``progress`` is told each time how many more
        deliveries were looked at.
        """
        batches = self._batches(so_far)
        while some := list(islice(batches, _BATCHES if helpers else 1)):
            prepared = helpers.each([[place.delivery for place in batch] for batch in some])
            if not helpers:
                prepared = iter(list(prepared))  # the record is read before the copy is written to
            with self._writing() as tx:
                for batch, ready in zip(some, prepared, strict=True):
                    so_far = _apply(tx, ready, so_far)._replace(
                        key=batch[-1].key, delivery=batch[-1].delivery
                    )
                    progress(len(batch))
                derivation.move(tx, so_far)
        return so_far

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        try:
            with self._copy.writing() as tx:
                yield tx
        except StoreUnavailable as error:
            raise Refused(
                f"The copy {self._copy.address.target} cannot be written to",
                f"{error}; mend that and run it again, it goes on where it was",
            ) from error

    def _add(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        with self._writing() as tx:
            tx.run_many(sql, rows)

    def _batches(self, so_far: Progress) -> Iterator[Batch]:
        """The deliveries that are left, in the order in which they were settled."""
        batch: list[Place] = []
        held = 0
        in_order = merge(self._at_once(so_far), self._later(so_far), key=lambda one: one[0])
        for place, size in in_order:
            if batch and (len(batch) == _BATCH or held + size > _BYTES):
                yield batch
                batch, held = [], 0
            batch.append(place)
            held += size
        if batch:
            yield batch

    def _at_once(self, so_far: Progress) -> Iterator[tuple[Place, int]]:
        pages = derivable.sizes(self._store.reading, self._sources, so_far.key, so_far.upto)
        for page in pages:
            with self._writing() as tx:
                later = derivation.are_later(tx, page[0][0], page[-1][0])
            for identifier, size in page:
                if identifier not in later:
                    yield Place(identifier, identifier), size

    def _later(self, so_far: Progress) -> Iterator[tuple[Place, int]]:
        place = Place(so_far.key, so_far.delivery)
        while True:
            with self._writing() as tx:
                page = [Place(*row) for row in derivation.later(tx, *place, _LATER)]
            if not page:
                return
            with self._store.reading() as db:
                found = derivable.sizes_of(
                    db, self._sources, [one.delivery for one in page], so_far.upto
                )
            yield from ((one, found[one.delivery]) for one in page if one.delivery in found)
            place = page[-1]


def _apply(tx: Transaction, batch: Sequence[Ready], so_far: Progress) -> Progress:
    """Apply a batch; how many are derived and have failed then."""
    scratch.keep(tx, [kept for one in batch for kept in one.kept])
    ready = [one for one in batch if not one.failed]
    try:
        with tx.savepoint("batch"):
            _derive_all(tx, ready)
        derived = len(ready)
    except FAULTS as error:
        if classified(error) is not None:
            raise  # the copy is full, or failing: nothing of it is the deliveries' fault
        # One of them has failed: each by itself.
        derived = sum(_derive_alone(tx, one) for one in ready)
    return so_far._replace(
        derived=so_far.derived + derived, failed=so_far.failed + len(batch) - derived
    )


def _derive_all(tx: Transaction, ready: Sequence[Ready]) -> None:
    """Apply deliveries, plain check-ins that follow each other at once. Raises for a fault."""
    wanting = [
        (one, check_ins.plain(one.operations, one.context)) for one in ready if one.operations
    ]
    for is_plain, run in groupby(wanting, key=lambda pair: pair[1] is not None):
        left = list(run)
        if is_plain and len(left) >= _WORTH_IT:
            recorded = check_ins.record(tx, [asked for _, asked in left if asked is not None])
            left = [pair for pair in left if pair[0].context.delivery not in recorded]
        for one, _ in left:
            _derive(tx, one)


def _derive_alone(tx: Transaction, ready: Ready) -> bool:
    """Apply a delivery; whether that was without a fault."""
    try:
        with tx.savepoint():
            _derive(tx, ready)
    except FAULTS as error:
        if classified(error) is not None:
            raise
        log_fault(f"delivery {ready.context.delivery} cannot be derived", error)
        return False
    return True


def _derive(tx: Transaction, ready: Ready) -> None:
    """Apply a delivery, unless it is refused. Nobody is answered."""
    context = ready.context._replace(again=partial(_again, tx, ready.again))
    try:
        apply(tx, ready.operations, context)
    except AlreadyCheckedIn as refused:
        if refused.witness is not None:
            attendances.witness(tx, refused.witness, context)
    except Refused:
        return
    if ready.made:
        scratch.give_ids(tx, ready.context.delivery, ready.made)


def _again(tx: Transaction, ready_ones: Mapping[str, Ready], identifier: str) -> tuple[Result, ...]:
    """A delivery that the desk had attempted again."""
    ready = ready_ones.get(identifier)
    if ready is None or ready.failed:
        return ()
    student, event = tx.rows(settling.MEANT, identifier)[0][:2]
    prepared = meaning(Prepared(operations=ready.operations), student, event)
    try:
        return apply(tx, prepared.operations, ready.context)
    except Refused:
        return ()
