"""Preparing deliveries to be derived: read from the record, and told by the plugins as they are now.

It does not touch what they are derived into, so that helper processes do it beside.
"""

import gc
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, NamedTuple

from hub.domain.corrections import Replay
from hub.domain.delivery import Delivery
from hub.domain.identifiers import ROW, Identifier, row_id
from hub.domain.operations import CheckIn, CheckOut, Ignore, Operation, Withdraw
from hub.errors import Refused
from hub.intake.decide import context_of
from hub.intake.endpoint import Endpoint
from hub.intake.prepare import Prepared, meaning, prepare
from hub.jobs.replay import key_of
from hub.plugin.hooks import Hooks
from hub.record import derivable, snapshot
from hub.record.derivable import Derivable
from hub.store.context import Context
from hub.store.store import Store

_MAKES_NOBODY = (CheckIn, CheckOut, Withdraw, Ignore)
"""Operations by which no student and no event comes to be."""

_COLLECTIONS = (20_000, 50, 100)
"""When garbage is looked for: nearly all that is made here goes with its batch, by itself."""

_END_WITHIN = 2.0
"""Seconds that a helper may take to its end."""

_NICE = 10
"""By how much they give way (nice(1))."""

_NOTHING: Mapping[str, Any] = {}
_MAYBE: Mapping[str, Any] = {"": ()}
"""Stands for what a delivery has made, until that is looked up."""


class NotHelpedError(Exception):
    """A helper could not prepare a batch, or not send it: this process has to do it."""


class Kept(NamedTuple):
    """A delivery as others name it; ``of`` is the one that it is the row ``row`` of."""

    id: str
    source: str
    received_at: datetime
    of: str | None
    row: int | None


class Ready(NamedTuple):
    """A delivery that may be applied: what it wants (nothing, where it was refused), the deliveries that
    it attempts again, by their ids, and what it has made in the record: ids by table. ``kept``: the
    deliveries that others may name, by which they were undone or attempted again. ``failed``: its plugin
    has a fault.
    """

    context: Context
    operations: tuple[Operation, ...] = ()
    again: Mapping[str, "Ready"] = _NOTHING
    made: Mapping[str, Sequence[int]] = _NOTHING
    kept: tuple[Kept, ...] = ()
    failed: bool = False


class Preparation:
    """Prepares the deliveries of one store. Safe to use from a process that was forked, if the store had
    no connection then.
    """

    def __init__(
        self, store: Store, hooks: Hooks, endpoints: Mapping[str, Endpoint], zone: tzinfo
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._endpoints = endpoints
        self._zone = zone

    def ready(self, identifiers: Sequence[str]) -> list[Ready]:
        """Deliveries, prepared, in the order of their ids; those are left out that cannot be derived."""
        with self._store.reading() as db:
            found = derivable.find(db, identifiers)
        every = [self._ready(found[one]) for one in identifiers if one in found]
        may_make = [one.context.delivery for one in every if one.made is _MAYBE]
        if not may_make:
            return every
        with self._store.reading() as db:
            made = snapshot.made_by(db, may_make)
        return [
            one._replace(made={table: by[one.context.delivery] for table, by in made.items()})
            if one.made is _MAYBE
            else one
            for one in every
        ]

    def close(self) -> None:
        """Close this thread's connection to the store."""
        self._store.database.disconnect()

    def _ready(self, one: Derivable, is_inside: bool = False) -> Ready:
        delivery = one.delivery
        endpoint = self._endpoints[delivery.source]
        prepared = prepare(self._hooks, endpoint, delivery)
        context = self._context(endpoint, delivery, prepared)
        kept: tuple[Kept, ...] = (_kept(delivery),) if context.undoable or is_inside else ()
        if prepared.refused is not None or one.does_nothing:
            return Ready(context, kept=kept)
        if prepared.failed:
            return Ready(context, kept=kept, failed=True)
        if is_inside:
            return Ready(context, prepared.operations, kept=kept)
        again: Mapping[str, Ready] = _NOTHING
        if endpoint.source.authority:
            again = self._again(prepared.operations)
            kept += tuple(other for ready in again.values() for other in ready.kept)
        prepared = meaning(prepared, one.student, one.event)
        operations = tuple(self._by_its_pair(wanted) for wanted in prepared.operations)
        makes_nobody = all(isinstance(wanted, _MAKES_NOBODY) for wanted in operations)
        return Ready(context, operations, again, _NOTHING if makes_nobody else _MAYBE, kept)

    def _context(self, endpoint: Endpoint, delivery: Delivery, prepared: Prepared) -> Context:
        return context_of(endpoint, delivery, key_of(delivery, endpoint, prepared), self._zone)

    def _again(self, operations: Iterable[Operation]) -> dict[str, Ready]:
        """The deliveries that one of the desk had attempted again."""
        wanted = [one.delivery for one in operations if isinstance(one, Replay)]
        if not wanted:
            return {}
        with self._store.reading() as db:
            found = derivable.find(db, wanted)
        return {
            identifier: self._ready(one._replace(holder=None), is_inside=True)
            for identifier, one in found.items()
            if one.delivery.source in self._endpoints
        }

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


def _kept(delivery: Delivery) -> Kept:
    return Kept(delivery.id, delivery.source, delivery.received_at, delivery.of, delivery.row)


class Helpers:
    """Processes that prepare deliveries, each a batch at a time; with none, it is done here."""

    def __init__(self, preparation: Preparation, connections: Sequence[Connection]) -> None:
        self._preparation = preparation
        self._connections = connections

    def __bool__(self) -> bool:
        return bool(self._connections)

    def each(self, batches: Sequence[Sequence[str]]) -> Iterator[list[Ready]]:
        """The batches of ids, prepared, in order. With helpers nothing is read by this process."""
        if not self._connections:
            for batch in batches:
                yield self._preparation.ready(batch)
            return
        # A helper has one batch, and is sent the next when it has told of that: neither waits for ever
        # for the other to read.
        for connection, batch in zip(self._connections, batches, strict=False):
            connection.send(batch)
        for at in range(len(batches)):
            connection = self._connections[at % len(self._connections)]
            try:
                told = connection.recv()
            except EOFError:
                raise Refused(
                    "A helper process was ended", "Run the command again; it goes on where it was"
                ) from None
            if at + len(self._connections) < len(batches):
                connection.send(batches[at + len(self._connections)])
            if isinstance(told, str):
                raise NotHelpedError(told)
            yield told


@contextmanager
def helpers(preparation: Preparation, count: int) -> Iterator[Helpers]:
    """So many helper processes, as long as the block takes; they end with this process, however it ends.
    They, and this process from then on, give way to others: check-ins go on beside them.

    There is none where this process has other threads: a fork of it could wait for a lock for ever.
    """
    if threading.active_count() > 1:
        count = 0
    preparation.close()
    context = get_context("fork")
    with ExitStack() as stack:
        stack.callback(gc.set_threshold, *gc.get_threshold())
        gc.set_threshold(*_COLLECTIONS)
        if count:
            os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
        connections: list[Connection] = []
        for _ in range(count):
            own, other = context.Pipe()
            connections.append(own)
            process = context.Process(
                target=_help, args=(preparation, other, list(connections)), daemon=True
            )
            process.start()
            other.close()
            stack.callback(_end, process)
            stack.callback(own.close)
        yield Helpers(preparation, connections)


def _end(process: BaseProcess) -> None:
    """Wait for a helper, whose connection is closed; not for a plugin that hangs."""
    process.join(_END_WITHIN)
    if process.is_alive():
        process.kill()
        process.join()


def _end_with_parent() -> None:
    """End this process when the one that it was forked from has, even while a plugin hangs."""
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _help(preparation: Preparation, connection: Connection, others: Iterable[Connection]) -> None:
    # What is said to end the command is for the process that waits for this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    gc.freeze()
    for one in others:
        one.close()  # else nobody would notice the end of the process that has them
    with suppress(EOFError, OSError):
        while True:
            batch = connection.recv()
            try:
                told = ForkingPickler.dumps(preparation.ready(batch))
            except Exception as error:
                # The store is away; or a plugin made what cannot be sent, such as a mapping's view.
                told = ForkingPickler.dumps(type(error).__name__)
            connection.send_bytes(told)
