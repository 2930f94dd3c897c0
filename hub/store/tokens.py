"""Tokens in the store: made, revoked, marked as used. What is kept of one is its digest."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from hub.domain.tokens import Scope
from hub.store.transaction import Transaction

ADD = """
    INSERT INTO token (name, digest, scopes, sources, created_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id"""
REVOKE = "UPDATE token SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL RETURNING id"
USED = "UPDATE token SET last_used_at = ? WHERE id = ?"


def add(
    tx: Transaction,
    name: str,
    digest: str,
    scopes: Iterable[Scope],
    sources: Sequence[str],
    now: datetime,
    expires_at: datetime | None,
) -> bool:
    """Keep a new token; whether no other one of that name is valid."""
    told = " ".join(sorted(scopes)), " ".join(sources)
    return tx.row(ADD, name, digest, *told, now, expires_at) is not None


def revoke(tx: Transaction, name: str, now: datetime) -> bool:
    """Have a token open nothing any more; whether there was one of that name."""
    return tx.row(REVOKE, now, name) is not None


def used(tx: Transaction, identifier: int, at: datetime) -> None:
    """Keep when a token was used last."""
    tx.run(USED, at, identifier)
