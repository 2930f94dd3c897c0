"""``attendance-hub outbox``: what still has to be sent on, and what was given up."""

from collections.abc import Iterator

from hub.cli.store import existing_store
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.plugin.loading import Plugins
from hub.store import outbox
from hub.store.outbox import Waiting
from hub.store.store import Store


def run(settings: Settings, again: str | None, discard: str | None) -> Iterator[str]:
    """Do what is asked for; then a line for each target."""
    known = [target.name for target in Plugins(settings).targets]
    with existing_store(settings.database) as store:
        found = _found(store)
        for named in (again, discard):
            if named is not None and named not in {*known, *found}:
                raise SettingError(f"outbox: there is no target named {named}")
        if again or discard:
            with store.writing() as tx:
                if again:
                    outbox.again(tx, again, utc_now())
                if discard:
                    outbox.discard(tx, discard)
            found = _found(store)
    for name in dict.fromkeys([*known, *found]):
        own = found.get(name)
        counts = f"{own.waiting if own else 0} to be sent, {own.given_up if own else 0} given up"
        yield f"{name}: {counts}{'' if name in known else '; no plugin declares this target now'}"


def _found(store: Store) -> dict[str, Waiting]:
    with store.reading() as reader:
        return {one.target: one for one in outbox.counts(reader)}
