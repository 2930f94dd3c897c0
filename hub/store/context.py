"""What an operation needs to know of its delivery while it is applied."""

import json
from collections.abc import Callable
from datetime import datetime, tzinfo
from typing import Any, NamedTuple

from hub.domain.nearness import Nearness
from hub.domain.operations import Operation
from hub.domain.records import Change, EventRecord, Result, StudentRecord


class Context(NamedTuple):
    """One delivery: its id, when it came (naive, UTC), its source's label, the hub's time zone, and how
    near an event must be; its plugin source (``via``), whether that one's word stands above sightings
    (``firm``), whether the desk may take back what it does (``undoable``), its idempotency key, and what
    attempts another delivery inside of this one (``again``; None: nothing does); and the student and the
    event that its operations have saved so far.
    """

    delivery: str
    received_at: datetime
    label: str
    zone: tzinfo
    nearness: Nearness = Nearness()
    via: str = ""
    firm: bool = False
    undoable: bool = False
    again: "Callable[[str], tuple[Result, ...]] | None" = None
    key: str | None = None
    student: StudentRecord | None = None
    event: EventRecord | None = None

    def after(self, result: Result) -> "Context":
        """The context of the operation that follows."""
        return self._replace(
            student=result.student or self.student, event=result.event or self.event
        )

    def source_of(self, operation: Operation) -> str:
        """The source to keep and to echo."""
        return operation.source or self.label

    def metadata_of(self, operation: Operation) -> str:
        """The sender's extra data, as JSON."""
        return json.dumps(operation.metadata, ensure_ascii=False) if operation.metadata else "{}"

    def result(self, operation: Operation, change: Change, **records: Any) -> Result:
        """The result of an operation."""
        return Result(
            operation=operation, change=change, source=self.source_of(operation), **records
        )

    def ignored(self, operation: Operation, reason: str, awaits: str | None = None) -> Result:
        """The result of an operation that had nothing to do."""
        return self.result(operation, Change.IGNORED, reason=reason, awaits=awaits)
