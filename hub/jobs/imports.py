"""Imports: each row of a file is a delivery to the source that takes rows, of the delivery of the file.

A file is read whole before anything is written: one that cannot be read changes nothing. Its rows are
written in short transactions beside the check-ins. A trial writes them to a copy that is thrown away.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import islice
from typing import Any, NamedTuple

from hub.domain.delivery import Delivery, Outcome, Settlement, new_delivery_id
from hub.domain.records import Change
from hub.domain.timestamps import utc_now
from hub.errors import NotFound, Refused
from hub.intake import answers
from hub.intake.batches import Ready, RowWriter
from hub.intake.decide import Decision, decide
from hub.intake.endpoint import Endpoint
from hub.intake.keys import derived_key
from hub.intake.prepare import Prepared, prepare
from hub.intake.webhooks import Webhooks
from hub.plugin.hooks import Hooks
from hub.record import imports as record
from hub.record import named
from hub.sheets import columns, ics, tables
from hub.sheets.columns import Kind, Wish
from hub.sheets.rows import Meeting, Rows
from hub.sheets.sheet import Unreadable
from hub.store import deliveries, scratch
from hub.store.store import Store

SOURCE = "import"
"""What a source that takes rows of files is called."""

_UNPACKED = 16
_AT_ONCE = 200
_LONGEST_TEXT = 120

Progress = Callable[[int], object]
"""Is told how many rows more are done."""


@dataclass(frozen=True, slots=True)
class File:
    """A file as it was sent."""

    body: bytes = field(repr=False)
    content_type: str = ""


class Row(NamedTuple):
    """What became of a row: ``number`` is the line on which it begins; ``student`` is as the answer of
    its delivery has it; ``text`` is what stands in a row that was refused, so that whoever reads why
    finds it.
    """

    number: int
    outcome: str
    message: str | None
    student: Mapping[str, Any] | None
    delivery: str | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Imported:
    """An import: its delivery (None: a trial), what was taken for what, and its rows."""

    delivery: str | None
    form: str
    columns: Mapping[str, str]
    warnings: Sequence[str]
    rows: Sequence[Row]
    absent: Sequence[Mapping[str, Any]]

    def counts(self) -> Mapping[str, int]:
        """How many rows have each outcome."""
        found = Counter(row.outcome for row in self.rows)
        return {one: found[one] for one in ("created", "changed", "unchanged", "refused")}


class _Entry(NamedTuple):
    """A row before it is written."""

    number: int
    payload: Mapping[str, Any]
    cells: Sequence[str] = ()
    refused: Refused | None = None

    @property
    def text(self) -> str:
        """The row, shortened."""
        return ", ".join(cell for cell in self.cells if cell)[:_LONGEST_TEXT]


class _Read(NamedTuple):
    """A file that was read."""

    form: str
    columns: Mapping[str, str]
    warnings: Sequence[str]
    entries: Sequence[_Entry]


class Imports:
    """Imports files. ``zone`` is the hub's; ``limit`` is in bytes, of a file as it comes."""

    def __init__(
        self,
        store: Store,
        hooks: Hooks,
        endpoints: Sequence[Endpoint],
        webhooks: Webhooks,
        zone: tzinfo,
        limit: int,
    ) -> None:
        self._store = store
        self._hooks = hooks
        self._endpoint = next((one for one in endpoints if one.source.name == SOURCE), None)
        self._writer = RowWriter(store, webhooks)
        self._zone = zone
        self._limit = limit

    def run(
        self,
        kind: Kind,
        file: File,
        *,
        wishes: Sequence[Wish] = (),
        event: str | None = None,
        zone: tzinfo | None = None,
        trial: bool = False,
        by: str | None = None,
        progress: Progress = lambda done: None,
    ) -> Imported:
        """Import a file; a ``trial`` tells what would become of it.

        Raises Refused for a file that cannot be read, NotFound for an unknown event, StoreUnavailable.
        """
        endpoint = self._endpoint
        if endpoint is None:
            raise Refused("This hub imports nothing", "Load the plugin imports")
        if len(file.body) > self._limit:
            raise Unreadable("The file is too large", f"At most {self._limit} bytes")
        meeting = None if event is None else self._meeting(event)
        read = self._read(kind, file, wishes, zone or self._zone, meeting)
        told = {"kind": kind.value, "columns": dict(read.columns), "form": read.form}
        if trial:
            rows = list(self._try(endpoint, read.entries, kind, progress))
            return Imported(None, read.form, read.columns, read.warnings, rows, ())
        started = time.perf_counter()
        identifier = self._keep(told, by)
        rows = []
        for row in self._record(endpoint, read.entries, identifier, by):
            rows.append(row)
            progress(1)
        absent: Sequence[Mapping[str, Any]] = ()
        if kind is Kind.STUDENTS:
            with self._store.reading() as db:
                absent = record.absent(db, identifier, kind.value)
        done = Imported(identifier, read.form, read.columns, read.warnings, rows, absent)
        answer = answers.answer(200, {"import": identifier, "rows": len(rows), **done.counts()})
        with self._store.writing() as tx:
            duration = int((time.perf_counter() - started) * 1_000_000)
            deliveries.set_answer(tx, identifier, answer.body, duration)
        return done

    def _meeting(self, text: str) -> Meeting:
        with self._store.reading() as db:
            found = named.events(db, text)
            if not found:
                raise NotFound(f"Event with identifier {text[:64]} not found")
            roots = record.starts(db, found, text.strip())
            if not roots:
                raise NotFound(f"Event with identifier {text[:64]} is hidden")
        if len(roots) > 1:
            raise Refused(
                f"Several events are named {text[:64]}", "Give the id of the one that is meant"
            )
        return Meeting(*roots[0])

    def _read(
        self,
        kind: Kind,
        file: File,
        wishes: Sequence[Wish],
        zone: tzinfo,
        meeting: Meeting | None,
    ) -> _Read:
        if kind is Kind.EVENTS and ics.is_calendar(file.body, file.content_type):
            events, warnings = ics.read(file.body, zone, utc_now())
            entries = [
                _Entry(number, {"kind": kind.value, "data": dict(one)}, (str(one.get("name", "")),))
                for number, one in enumerate(events, start=1)
            ]
            return _Read("iCalendar", {}, warnings, entries)
        sheet = tables.read(file.body, self._limit * _UNPACKED)
        found = columns.find(sheet, kind, wishes)
        rows = Rows(found, kind, zone, meeting)
        entries = []
        for line in found.rows:
            try:
                entries.append(_Entry(line.number, rows.payload(line), line.cells))
            except Refused as refused:
                unread = sorted(found.headings.values())
                payload = {"kind": kind.value, "data": {"unread": unread}}
                entries.append(_Entry(line.number, payload, line.cells, refused))
        told = {heading: member for member, heading in found.headings.items()}
        return _Read(sheet.form, told, found.warnings, entries)

    def _keep(self, told: Mapping[str, Any], by: str | None) -> str:
        """Keep the delivery of the file. It has nothing of the persons in it: its rows do."""
        identifier = new_delivery_id()
        body = json.dumps({"kind": "file", "data": told}, ensure_ascii=False).encode()
        delivery = Delivery(identifier, SOURCE, utc_now(), {}, body, by)
        answer = answers.answer(200, {"import": identifier})
        with self._store.writing() as tx:
            settlement = Settlement(Outcome.APPLIED, 200, answer.body, 0)
            deliveries.keep(tx, delivery, settlement, None, None)
        return identifier

    def _record(
        self, endpoint: Endpoint, entries: Sequence[_Entry], of: str, by: str | None
    ) -> Iterator[Row]:
        every = iter(entries)
        while some := list(islice(every, _AT_ONCE)):
            ready = [self._prepared(endpoint, entry, of, by) for entry in some]
            written = self._writer.write(endpoint, ready)
            for entry, (row, decision) in zip(some, written, strict=True):
                yield _row(entry, decision, row.delivery.id)

    def _prepared(self, endpoint: Endpoint, entry: _Entry, of: str | None, by: str | None) -> Ready:
        body = json.dumps(entry.payload, ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        delivery = Delivery(
            new_delivery_id(), SOURCE, utc_now(), headers, body, by, of, entry.number
        )
        if entry.refused is not None:
            return Ready(delivery, None, Prepared(refused=entry.refused))
        prepared = prepare(self._hooks, endpoint, delivery)
        return Ready(delivery, derived_key(prepared.own_key), prepared)

    def _try(
        self,
        endpoint: Endpoint,
        entries: Sequence[_Entry],
        kind: Kind,
        progress: Progress,
    ) -> Iterator[Row]:
        """What would become of the rows, in a copy of what they may meet."""
        meant: set[int] = set()
        if kind is Kind.ATTENDANCES:
            texts = {str(one.payload["data"].get("event", "")) for one in entries} - {""}
            with self._store.reading() as db:
                meant = {event for text in texts for event in named.events(db, text)}
        with scratch.opened() as other:
            # Never both in one session: it would have the record's own writers wait.
            for table, rows in record.copied(self._store.reading, sorted(meant)):
                with other.writing() as tx:
                    scratch.insert(tx, table, rows)
            every = iter(entries)
            while some := list(islice(every, _AT_ONCE)):
                ready = [self._prepared(endpoint, entry, None, None) for entry in some]
                keys = [key.stored for _, key, _ in ready if key is not None]
                with self._store.reading() as db:
                    known = record.known(db, SOURCE, keys)
                yield from self._try_some(other, endpoint, some, ready, known)
                progress(len(some))

    def _try_some(
        self,
        other: Store,
        endpoint: Endpoint,
        entries: Sequence[_Entry],
        ready: Sequence[Ready],
        known: Collection[str],
    ) -> list[Row]:
        made = []
        with other.writing() as tx:
            for entry, (delivery, key, prepared) in zip(entries, ready, strict=True):
                if key is not None and key.stored in known:
                    made.append(Row(entry.number, "unchanged", None, None, None))
                    continue
                decision = decide(tx, endpoint, delivery, prepared, key, self._zone)
                made.append(_row(entry, decision, None))
        return made


def _row(entry: _Entry, decision: Decision, delivery: str | None) -> Row:
    number, told = entry.number, json.loads(decision.answer.body)
    student = told.get("student")
    if decision.outcome is Outcome.REPEATED:
        return Row(number, "unchanged", None, student, delivery)
    if decision.outcome is Outcome.IGNORED:
        return Row(number, "unchanged", told.get("details"), student, delivery)
    if decision.outcome is not Outcome.APPLIED:
        message = told["error"]
        if told.get("details"):
            message += f" ({told['details']})"
        elif told.get("errors"):
            message += f" ({told['errors'][0]['pointer']} {told['errors'][0]['message']})"
        return Row(number, "refused", message, student, delivery, entry.text)
    last = decision.results[-1]
    outcome = {Change.CREATED: "created", Change.UPDATED: "changed"}.get(last.change, "unchanged")
    if outcome == "unchanged" and last.attendance is not None and last.is_told:
        outcome = "changed"
    return Row(number, outcome, None, student, delivery)
