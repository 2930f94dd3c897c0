"""``attendance-hub backup``: one file with all that a store has, made while hubs go on."""

import sys
from dataclasses import replace
from pathlib import Path

from hub.cli.rebuild import derived
from hub.cli.terminal import show
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import HubError
from hub.store import backup
from hub.store.store import Store


def back_up(settings: Settings, file: Path, verify: bool) -> None:
    """Make a backup, and say so; with ``verify``, derive its attendances anew. Raises a HubError."""
    store = Store.open(settings.database, create=False)
    try:
        started = utc_now()
        size = backup.back_up(store.address, file)
        show(f"{file}: {size} bytes, in {(utc_now() - started).total_seconds():.1f} s")
        try:
            with store.writing() as tx:
                backup.keep(tx, started, size)
        except HubError as error:
            show(f"warning: that it was made is not kept: {error}", err=True)
    finally:
        store.close()
    if verify:
        with backup.opened(store.address, file) as url:
            sys.exit(0 if _is_same(replace(settings, database=url)) else 1)


def _is_same(copy: Settings) -> bool:
    """Derive the attendances of a copy anew; whether nothing differs."""
    lines, is_same = derived(copy)
    for line in lines:
        show(line)
    return is_same
