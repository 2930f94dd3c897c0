"""``attendance-hub rebuild``: what the deliveries tell, beside what the record has."""

import sys
from collections.abc import Iterator

import click

from hub.cli.progress import progress
from hub.config.settings import Settings
from hub.domain.timestamps import format_utc
from hub.hub import Hub
from hub.jobs.rebuild import Difference, Rebuild, Rebuilt
from hub.record import deliveries
from hub.record.deliveries import Wanted
from hub.record.snapshot import Attended


def rebuild(settings: Settings) -> None:
    """Print the differences."""
    hub = Hub(settings, create_store=False)
    try:
        with hub.store.reading() as db:
            total = deliveries.count(db, Wanted())
        with progress("deriving", total) as looked_at:
            derive = Rebuild(hub.store, hub.plugins.hooks, hub.endpoints, settings.time_zone)
            rebuilt = derive.run(looked_at)
    finally:
        hub.close()
    for line in _report(rebuilt):
        click.echo(line)
    sys.exit(1 if rebuilt.differences or rebuilt.failed else 0)


def _report(rebuilt: Rebuilt) -> Iterator[str]:
    for one in rebuilt.differences:
        yield _line(one)
    missing = sum(one.recorded is None for one in rebuilt.differences)
    surplus = sum(one.derived is None for one in rebuilt.differences)
    changed = len(rebuilt.differences) - missing - surplus
    yield f"attendances: {missing} missing, {surplus} too many, {changed} with other times"
    yield (
        f"deliveries: {rebuilt.derived} derived, {rebuilt.underivable} without body or plugin, whose "
        f"attendances are taken as they stand, {rebuilt.failed} failed"
    )


def _line(one: Difference) -> str:
    what = f"{one.student}  {one.event}"
    if one.recorded is None and one.derived is not None:
        return f"+ {what}  {_times(one.derived)}  delivery {one.derived.delivery}"
    if one.derived is None and one.recorded is not None:
        return f"- {what}  {_times(one.recorded)}  delivery {one.recorded.delivery}"
    assert one.recorded is not None
    assert one.derived is not None
    return f"~ {what}  {_times(one.recorded)} -> {_times(one.derived)}  delivery {one.derived.delivery}"


def _times(attended: Attended) -> str:
    left = f" to {format_utc(attended.checked_out_at)}" if attended.checked_out_at else ""
    return format_utc(attended.checked_in_at) + left
