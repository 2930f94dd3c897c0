"""Doubts over HTTP: where the record may be wrong, each with its mend."""

from collections.abc import Iterator, Sequence
from datetime import tzinfo
from functools import partial

from hub.api.access import PRIVATE, Answered, Asked, Door
from hub.api.files import FORMS
from hub.api.listing import OF_FILES, PAGED, worked_out
from hub.api.route import Route
from hub.domain.timestamps import format_utc
from hub.domain.tokens import Scope
from hub.errors import Refused
from hub.export.table import columns
from hub.intake.tokens import Tokens
from hub.record import doubts
from hub.record.doubts import Doubt, Kind, Sources
from hub.record.objects import Object, Objects
from hub.record.views import Attendance, Meeting, Person
from hub.store.store import Entities, Store

COLUMNS = (
    "id", "kind", "message", "at", "attendance.id", "student.id", "student.name", "other.id",
    "event.id", "event.name", "delivery", "mend",
)  # fmt: skip


class Doubts:
    """The doubts as objects, for the API and for the commands. ``zone`` is the hub's."""

    def __init__(self, sources: Sources, zone: tzinfo) -> None:
        self._sources = sources
        self._zone = zone
        self._objects = Objects(zone)

    def every(self, db: Entities, kind: str | None) -> list[Object]:
        """All of a kind, or of any. Raises Refused."""
        try:
            kinds: Sequence[Kind] = tuple(Kind) if kind is None else (Kind(kind),)
        except ValueError:
            raise Refused(f"Invalid kind: use {', '.join(Kind)}") from None
        return [self._shown(one) for one in doubts.every(db, self._sources, self._zone, kinds)]

    def _shown(self, doubt: Doubt) -> Object:
        about = doubt.about
        told: Object = {}
        if isinstance(about, Attendance):
            told = {
                "attendance": self._objects.attendance(about),
                "student": self._objects.person(about.student),
                "event": self._objects.meeting(about.event),
            }
        else:
            both: Sequence[Person | Meeting] = about
            for number, one in enumerate(both):
                if isinstance(one, Meeting):
                    told["other" if number else "event"] = self._objects.meeting(one)
                else:
                    told["other" if number else "student"] = self._objects.person(one)
        if doubt.delivery is not None:
            told["delivery"] = doubt.delivery
        settle = {"action": "settle", "data": {"doubt": doubt.id}, "reason": "it is right"}
        return {
            "id": doubt.id,
            "kind": doubt.kind,
            "message": doubt.message,
            "at": format_utc(doubt.at),
            **told,
            "mend": [*doubt.mend, settle],
        }


class DoubtsApi:
    """The doubts, as JSON and as files."""

    def __init__(
        self, store: Store, tokens: Tokens, sources: Sources, zone: tzinfo, public_url: str
    ) -> None:
        self._store = store
        self._door = Door(tokens, PRIVATE)
        self._doubts = Doubts(sources, zone)
        self._zone = zone
        self._public_url = public_url

    def routes(self) -> Iterator[Route]:
        """The listing and its files."""
        for ending in ("", *FORMS):
            parameters = ("kind", *OF_FILES) if ending else ("kind", *PAGED, *OF_FILES)
            what = partial(self._listed, form=ending or None)
            path = "/api/doubts" + (f".{ending}" if ending else "")
            yield self._door.route("GET", path, what, Scope.READ, parameters, lane="reports")

    def _listed(self, asked: Asked, form: str | None) -> Answered:
        with self._store.reading() as db:
            rows = self._doubts.every(db, asked.query.get("kind"))
        shown = columns(COLUMNS, ("at",), self._zone)
        return worked_out(
            asked, form, self._public_url, "doubts", rows, shown, "doubts", lambda row: row["id"]
        )
