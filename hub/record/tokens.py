"""The tokens that are not revoked."""

from pony.orm import select

from hub.domain.tokens import Scope, Token
from hub.store.store import Entities


def every(db: Entities) -> list[Token]:
    """All of them, the oldest first."""
    found = select(
        (
            t.id,
            t.name,
            t.digest,
            t.scopes,
            t.sources,
            t.created_at,
            t.expires_at,
            t.last_used_at,
        )
        for t in db.Token
        if t.revoked_at is None
    ).order_by(1)
    return [
        Token(
            identifier,
            name,
            digest,
            frozenset(map(Scope, scopes.split())),
            tuple(sources.split()),
            *moments,
        )
        for identifier, name, digest, scopes, sources, *moments in found
    ]
