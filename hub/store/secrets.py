"""Secrets that a hub makes for itself, and that all hubs over one store share."""

from hub.store.transaction import Transaction

ADD = "INSERT INTO secret (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING"
FIND = "SELECT value FROM secret WHERE name = ?"
FORGET = "DELETE FROM secret WHERE name LIKE ? AND CAST(value AS BIGINT) < ?"


def take(tx: Transaction, name: str, fresh: str) -> str:
    """The secret of this name; ``fresh``, from now on, where there was none."""
    row = tx.row(FIND, name)
    if row is None:
        tx.run(ADD, name, fresh)
        row = tx.row(FIND, name)
        assert row is not None
    return str(row[0])


def end(tx: Transaction, name: str, now: int, before: int) -> None:
    """Keep that something ended ``now`` (seconds since 1970); what did ``before`` is forgotten."""
    kind = name.rpartition(" ")[0]
    tx.run(FORGET, f"{kind} %", before)
    tx.run(ADD, name, str(now))
