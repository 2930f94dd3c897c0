"""``attendance-hub rebuild``: what the deliveries tell, beside what the record has."""

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import tzinfo
from pathlib import Path

import click

from hub.cli.progress import progress
from hub.cli.terminal import local, show
from hub.config.described import described
from hub.config.settings import Settings
from hub.hub import Hub
from hub.jobs.rebuild import Difference, Rebuild, Rebuilt
from hub.record import deliveries
from hub.record.deliveries import Wanted
from hub.record.snapshot import Attended, NamedEvent
from hub.store import scratch
from hub.store.database import parse_address


def rebuild(settings: Settings, apply: bool, sure: bool) -> None:
    """Print the differences; with ``apply``, ask (unless ``sure``), and make the record what was
    derived.
    """
    with _deriving(settings, scratch.place(parse_address(settings.database))) as rebuilt:
        for line in _report(rebuilt, settings.time_zone):
            show(line)
        differences = rebuilt.missing + rebuilt.surplus + rebuilt.changed
        if apply and differences:
            question = f"Change {differences} attendances to what was derived?"
            if not sure:
                click.confirm(question, abort=True)
            applied_by = rebuilt.apply()
            show(f"applied; to take it back: attendance-hub desk undo {applied_by}")
            return
    sys.exit(0 if rebuilt.is_same else 1)


def derived(settings: Settings) -> tuple[list[str], bool]:
    """What a rebuild of a store would tell, and whether nothing differs. It changes nothing."""
    with _deriving(settings, None) as rebuilt:
        return list(_report(rebuilt, settings.time_zone)), rebuilt.is_same


@contextmanager
def _deriving(settings: Settings, folder: Path | None) -> Iterator[Rebuilt]:
    """What is derived of a store, as long as the block takes."""
    hub = Hub(settings, create_store=False)
    try:
        with hub.store.reading() as db:
            total = deliveries.count(db, Wanted())
        mark = " ".join(f"{name}={value}" for name, value, _ in described(settings, {}, ""))
        one = Rebuild(
            hub.store,
            hub.plugins.hooks,
            hub.endpoints,
            settings.time_zone,
            mark=hashlib.sha256(mark.encode()).hexdigest(),
            folder=folder,
            helpers=len(os.sched_getaffinity(0)),
        )
        with ExitStack() as stack:
            with progress("deriving", total) as looked_at:
                rebuilt = stack.enter_context(one.derived(looked_at))
            yield rebuilt
    finally:
        hub.close()


def _report(rebuilt: Rebuilt, zone: tzinfo) -> Iterator[str]:
    if rebuilt.applied_by is not None:
        yield f"an earlier rebuild was ended while delivery {rebuilt.applied_by} applied it; left are:"
    for one in rebuilt.differences():
        yield _line(one, zone)
    yield (
        f"attendances: {rebuilt.missing} missing, {rebuilt.surplus} too many, {rebuilt.changed} with "
        "other times"
    )
    if rebuilt.meanwhile:
        yield f"{rebuilt.meanwhile} more were changed meanwhile, and are left out; run it again"
    if rebuilt.earlier:
        yield f"went on after {rebuilt.earlier} deliveries of a rebuild that was ended"
    yield (
        f"deliveries: {rebuilt.derived} derived, {rebuilt.underivable} without body or plugin, whose "
        f"attendances are taken as they stand, {rebuilt.failed} failed"
    )


def _line(one: Difference, zone: tzinfo) -> str:
    what = f"{one.student}  {_label(one.event, zone)}"
    recorded, derived = one.recorded, one.derived
    if recorded is None and derived is not None:
        return f"+ {what}  {_times(derived, zone)}  delivery {derived.delivery}"
    if derived is None and recorded is not None:
        return f"- {what}  {_times(recorded, zone)}  delivery {recorded.delivery}"
    assert recorded is not None
    assert derived is not None
    changed = f"{_times(recorded, zone)} -> {_times(derived, zone)}"
    return f"~ {what}  {changed}  delivery {derived.delivery}"


def _label(event: NamedEvent, zone: tzinfo) -> str:
    return f"{event.name} ({local(event.starts_at, zone)})"


def _times(attended: Attended, zone: tzinfo) -> str:
    # To the last digit: two times that differ must not look the same.
    left = (
        f" to {local(attended.checked_out_at, zone, exact=True)}" if attended.checked_out_at else ""
    )
    return local(attended.checked_in_at, zone, exact=True) + left
