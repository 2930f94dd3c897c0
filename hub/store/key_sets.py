"""The senders' public keys in the store, so that a restart need not wait for their servers."""

from datetime import datetime

from hub.store.transaction import Transaction

KEEP = """
    INSERT INTO key_set (url, document, fetched_at) VALUES (?, ?, ?)
    ON CONFLICT (url) DO UPDATE SET document = excluded.document, fetched_at = excluded.fetched_at"""


def keep(tx: Transaction, url: str, document: str, now: datetime) -> None:
    """Keep the document of a set of keys, in place of the one before."""
    tx.run(KEEP, url, document, now)
