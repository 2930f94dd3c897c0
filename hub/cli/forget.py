"""``attendance-hub forget``: ask, and remove a person's data."""

import click

from hub.cli.progress import progress
from hub.cli.store import existing_store
from hub.config.settings import Settings
from hub.jobs.forget import forget as forget_student
from hub.record import deliveries
from hub.record.deliveries import Wanted


def forget(settings: Settings, student: str, sure: bool) -> None:
    """Remove the person's data from the store, for good."""
    if not sure:
        click.confirm(f"Remove all that tells of {student}, for good?", abort=True)
    with existing_store(settings.database) as store:
        with store.reading() as db:
            total = deliveries.count(db, Wanted())
        with progress("looking", total) as looked_at:
            done = forget_student(store, student, looked_at)
    click.echo(
        f"forgotten; {done.attendances} attendances stay counted, "
        f"{done.deliveries} deliveries were emptied"
    )
