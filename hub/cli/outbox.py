"""``attendance-hub outbox``: what still has to be sent on, and what was given up."""

from collections.abc import Iterator, Mapping

from hub.cli.store import existing_store
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.plugin.loading import Plugins
from hub.record.pending import Waiting, counts
from hub.store import outbox
from hub.store.store import Store


def run(settings: Settings, again: str | None, discard: str | None) -> Iterator[str]:
    """Do what is asked for; then a line for each target."""
    known = [target.name for target in Plugins(settings).targets]
    with existing_store(settings.database) as store:
        found = _counts(store)
        for named in (again, discard):
            if named is not None and named not in {*known, *found}:
                raise SettingError(f"outbox: there is no target named {named}")
        if again or discard:
            with store.writing() as tx:
                if again:
                    outbox.again(tx, again, utc_now())
                if discard:
                    outbox.discard(tx, discard)
            found = _counts(store)
    if not known and not found:
        yield "no targets"
    for name in dict.fromkeys([*known, *found]):
        own = found.get(name, Waiting())
        undeclared = "" if name in known else "; no plugin declares this target now"
        yield f"{name}: {own.waiting} to be sent, {own.given_up} given up{undeclared}"


def _counts(store: Store) -> Mapping[str, Waiting]:
    with store.reading() as db:
        return counts(db)
