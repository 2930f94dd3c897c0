"""The senders' public keys, as they were fetched last."""

from collections.abc import Mapping

from pony.orm import select

from hub.store.store import Entities


def every(db: Entities) -> Mapping[str, str]:
    """The documents by address."""
    return dict(select((one.url, one.document) for one in db.KeySet))
