"""``attendance-hub restore``: a backup in the place of the store."""

from pathlib import Path

from hub.cli.terminal import show
from hub.config.settings import Settings
from hub.store import backup, migrations, scratch
from hub.store.database import parse_address


def restore(settings: Settings, file: Path, replaces: bool) -> None:
    """Put a backup in the place of the store, and say so. Raises a HubError."""
    address = parse_address(settings.database)
    version, aside = backup.restore(address, file, replaces)
    scratch.discard(scratch.place(address))  # that of the store of before
    if aside is not None:
        show(f"the store of before is {aside}")
    show(f"{address.shown} is the backup {file} from now on")
    if version < migrations.LATEST:
        show(f"its schema version is {version}; run: attendance-hub migrate")
