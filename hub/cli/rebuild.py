"""``attendance-hub rebuild``: what the deliveries tell, beside what the record has."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import tzinfo
from functools import partial

import click

from hub.cli.progress import progress
from hub.cli.terminal import local, show
from hub.config.settings import Settings
from hub.hub import Hub
from hub.jobs.rebuild import Difference, Rebuild, Rebuilt
from hub.record import deliveries
from hub.record.deliveries import Wanted
from hub.record.snapshot import Attended, NamedEvent


def rebuild(settings: Settings, apply: bool, sure: bool) -> None:
    """Print the differences; with ``apply``, ask (unless ``sure``), and make the record what was
    derived.
    """

    def is_wanted(rebuilt: Rebuilt) -> bool:
        for line in _report(rebuilt, settings.time_zone):
            show(line)
        question = f"Change {len(rebuilt.differences)} attendances to what was derived?"
        return sure or click.confirm(question, abort=True)

    with _deriving(settings) as derive:
        rebuilt = derive(is_wanted) if apply else derive()
    if rebuilt.applied_by is not None:
        show(f"applied; to take it back: attendance-hub desk undo {rebuilt.applied_by}")
        sys.exit(0)
    for line in _report(rebuilt, settings.time_zone):
        show(line)
    sys.exit(1 if rebuilt.differences or rebuilt.failed else 0)


def derived(settings: Settings) -> tuple[list[str], bool]:
    """What a rebuild of a store would tell, and whether nothing differs. It changes nothing."""
    with _deriving(settings) as derive:
        rebuilt = derive()
    is_same = not (rebuilt.differences or rebuilt.failed)
    return list(_report(rebuilt, settings.time_zone)), is_same


@contextmanager
def _deriving(settings: Settings) -> Iterator[Callable[..., Rebuilt]]:
    """What derives the attendances of a store anew, and is told how far it is."""
    hub = Hub(settings, create_store=False)
    try:
        with hub.store.reading() as db:
            total = deliveries.count(db, Wanted())
        with progress("deriving", total) as looked_at:
            one = Rebuild(hub.store, hub.plugins.hooks, hub.endpoints, settings.time_zone)
            yield partial(one.run, looked_at)
    finally:
        hub.close()


def _report(rebuilt: Rebuilt, zone: tzinfo) -> Iterator[str]:
    for one in rebuilt.differences:
        yield _line(one, zone)
    missing = sum(one.recorded is None for one in rebuilt.differences)
    surplus = sum(one.derived is None for one in rebuilt.differences)
    changed = len(rebuilt.differences) - missing - surplus
    yield f"attendances: {missing} missing, {surplus} too many, {changed} with other times"
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
