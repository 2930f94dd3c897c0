"""``attendance-hub forget``: show whom it means, ask, and remove a person's data."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from hub.cli.progress import progress
from hub.cli.store import existing_store
from hub.cli.terminal import local, plain, show
from hub.config.settings import Settings
from hub.errors import StoreUnavailable
from hub.jobs import traces
from hub.jobs.forget import Meant, ask, complete, look_up
from hub.jobs.traces import Traces
from hub.record import deliveries, forgettings
from hub.record.deliveries import Wanted
from hub.store.store import Store

_ELSEWHERE = "another process goes on with it; see: attendance-hub forget --list"
_NOT_COMPLETE = (
    "not complete: a hub that serves goes on with it in a minute, "
    "or: attendance-hub forget --resume"
)


def forget(settings: Settings, student: str, sure: bool) -> None:
    """Remove the person's data from the store, for good."""
    with existing_store(settings.database) as store:
        meant = look_up(store, student)
        if meant.student is not None or not sure:
            for line in _shown(student, meant):
                show(line)
        if not sure:
            click.confirm(f"Remove all that tells of {plain(student)}, for good?", abort=True)
        asked = ask(store, student, meant)
        with _completing(store) as looked_at:
            done = complete(store, student, asked, looked_at)
    if done is None:
        show(_ELSEWHERE)
        return
    if not done.student:
        show("nobody has this identifier, and what tells of it is removed")
    for line in _told(done.found, f"{done.attendances} attendances stay counted, "):
        show(line)


def resume(settings: Settings) -> None:
    """Go on at once with every request that was not ended."""
    with existing_store(settings.database) as store:
        with store.reading() as db:
            unfinished = forgettings.unfinished(db)
        if not unfinished:
            show("every request is complete")
        for request in unfinished:
            claim = traces.claim(store, request.id, at_once=True)
            found = None
            if claim is not None:
                with _completing(store) as looked_at:
                    found = traces.search(store, claim, looked_at, lambda: True)
            lines = [_ELSEWHERE] if found is None else _told(found, f"request {request.id}, ")
            for line in lines:
                show(line)


def listed(settings: Settings) -> None:
    """Show the requests, without saying whom they are about."""
    with existing_store(settings.database) as store, store.reading() as db:
        for request in forgettings.every(db):
            columns = [str(request.id), local(request.asked_at, settings.time_zone)]
            if request.ended_at is None:
                looked_at = deliveries.count(db, Wanted(upto=request.looked_upto))
                total = deliveries.count(db, Wanted(upto=request.upto))
                columns.append(f"not complete, {looked_at} of {total} deliveries looked at")
            else:
                columns.append("complete")
            show("  ".join([*columns, f"{request.emptied} emptied"]))


@contextmanager
def _completing(store: Store) -> Iterator[traces.Progress]:
    """What is told of the search; where it breaks off, who goes on with it."""
    with store.reading() as db:
        total = deliveries.count(db, Wanted())
    try:
        with progress("looking", total) as looked_at:
            yield looked_at
    except (StoreUnavailable, KeyboardInterrupt):
        show(_NOT_COMPLETE, err=True)
        raise


def _shown(student: str, meant: Meant) -> Iterator[str]:
    """Whom it is about."""
    if meant.student is None:
        yield f"nobody has the identifier {student}"
    else:
        yield f"name: {meant.first_name} {meant.last_name}".rstrip()
        for kind, text in meant.identifiers:
            yield f"{kind}: {text}"
        yield f"attendances: {meant.attendances}"
    yield f"deliveries with an identifier of theirs: {meant.deliveries}"


def _told(found: Traces, before: str) -> Iterator[str]:
    """What was done."""
    yield f"complete: {before}{found.deliveries} deliveries were emptied"
    if found.captured:
        yield f"{found.captured} captured requests were removed"
    if found.metadata:
        yield f"the metadata of {found.metadata} students, events and attendances was removed"
    if found.events:
        ids = ", ".join(map(str, found.events))
        yield f"{len(found.events)} events mention the person; edit their texts: {ids}"
