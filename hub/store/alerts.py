"""The alerts that are on, in the store: a restart tells nobody again."""

from hub.domain.alerts import Alert
from hub.store.transaction import Transaction

KEEP = """
    INSERT INTO alert (name, text, began_at, ended_at, begun, ended) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET text = excluded.text, began_at = excluded.began_at,
        ended_at = excluded.ended_at, begun = excluded.begun, ended = excluded.ended"""
REMOVE = "DELETE FROM alert WHERE name = ?"


def keep(tx: Transaction, alert: Alert) -> None:
    """Keep an alert as it is now."""
    channels = [" ".join(sorted(one)) for one in (alert.begun, alert.ended)]
    tx.run(KEEP, alert.name, alert.text, alert.began_at, alert.ended_at, *channels)


def remove(tx: Transaction, name: str) -> None:
    """It has ended, and everybody knows."""
    tx.run(REMOVE, name)
