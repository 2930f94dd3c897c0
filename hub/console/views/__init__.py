"""What the console shows, a module for each subject."""

from collections.abc import Iterator

from hub.console.views import (
    attendances,
    deliveries,
    desk,
    door,
    doubts,
    events,
    imports,
    pictures,
    reference,
    reports,
    setup,
    sources,
    students,
    tonight,
    waiting,
)
from hub.console.visit import View


def every() -> Iterator[View]:
    """The views, in the order in which their paths are tried."""
    for module in (
        tonight, pictures, events, students, attendances, waiting, doubts, deliveries, imports,
        reports, sources, setup, reference, door, desk,
    ):  # fmt: skip
        yield from module.VIEWS
