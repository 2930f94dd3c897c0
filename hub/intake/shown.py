"""What a delivery made of the record, as the API shows it: read inside of its transaction."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

from hub.domain.delivery import Delivery
from hub.domain.records import Change, Result
from hub.domain.timestamps import format_utc
from hub.record import attendances, roster
from hub.record.objects import Object, Objects
from hub.store.store import Store


class ShownObjects:
    """Reads what results tell of. ``zone`` is the hub's."""

    def __init__(self, store: Store, zone: tzinfo) -> None:
        self._store = store
        self._objects = Objects(zone)

    def of(self, results: Sequence[Result], delivery: Delivery) -> Object:
        """The attendance, student or event of the last result that did something, by its name."""
        done = [result for result in results if result.change is not Change.IGNORED]
        if not done:
            return {}
        last = done[-1]
        with self._store.reading() as db:
            if last.attendance is not None:
                found = attendances.of_ids(db, [last.attendance.id], evidence=True)
                shown = [self._objects.attendance(one) for one in found.values()]
                return {"attendance": _received(shown[0], delivery)} if shown else {}
            if last.student is not None:
                students = roster.students_of(db, [last.student.id])
                return {"student": self._objects.student(students[0])} if students else {}
            if last.event is not None:
                events = roster.events_of(db, [last.event.id])
                return {"event": self._objects.event(events[0])} if events else {}
        return {}


def _received(shown: dict[str, Any], delivery: Delivery) -> Object:
    """An attendance with what is known of a delivery that is not kept yet."""
    for one in shown["evidence"]:
        if one["delivery"] == delivery.id:
            one["received_at"] = format_utc(delivery.received_at)
            one["by"] = delivery.sent_by
    withdrawn = shown["withdrawn"]
    if withdrawn is not None and withdrawn["delivery"] == delivery.id:
        shown["withdrawn"] = {**withdrawn, "by": delivery.sent_by}
    return shown
