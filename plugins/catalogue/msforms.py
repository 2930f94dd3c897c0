"""Microsoft Forms by Power Automate: a flow posts each response as JSON, by the titles of the questions.

Format: learn.microsoft.com, "Microsoft Forms" and "HTTP" of Power Automate; the flow's author writes
the body.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from hub import SHARED_SECRET, Operation, Source, hookimpl, setting
from hub_plugins.columns import Row, require_columns


@dataclass(frozen=True)
class Settings:
    columns: Mapping[str, str] = setting(
        "Member of the body by what it means: student (A-number), email, first_name, last_name, "
        "event, time",
        {"student": "student", "email": "responder", "event": "event", "time": "submitDate"},
    )
    event: str = setting("The event of a form that has no question for it", "")
    time_format: str = setting(
        "How the time is written, if not in ISO 8601", "%m/%d/%Y %I:%M:%S %p"
    )


def normalize(settings: Settings, payload: Mapping[str, Any]) -> Iterator[Operation]:
    # "anonymous" is what Forms says of a responder whom it does not know.
    cells = {name: None if one == "anonymous" else one for name, one in payload.items()}
    row = Row(settings.columns, cells, settings.event)
    yield from row.operations(row.moment(settings.time_format))


@hookimpl
def register_sources(settings: Settings) -> Iterable[Source]:
    require_columns("msforms", settings.columns, settings.event)
    cell = {"type": ["string", "number", "null"], "maxLength": 1000}
    cells = dict.fromkeys(settings.columns.values(), cell)
    yield Source(
        name="msforms",
        path="msforms",
        authenticate=SHARED_SECRET,
        schema={"type": "object", "properties": cells},
        normalize=partial(normalize, settings),
    )
