"""Tokens: made and revoked."""

from collections.abc import Sequence

from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope, digest, new_token, parse_lifetime
from hub.errors import Contradicted, NotFound, Refused
from hub.store import tokens
from hub.store.store import Store

_LONGEST_NAME = 100


def create(
    store: Store, name: str, scopes: Sequence[str], sources: Sequence[str], expires: str | None
) -> str:
    """Make a token, and tell it: it is kept nowhere. Raises Refused and Contradicted."""
    if not name.strip() or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise Refused(f"A token's name is a line of text, of at most {_LONGEST_NAME} characters")
    try:
        meant = [Scope(scope) for scope in scopes]
    except ValueError:
        raise Refused(f"Unknown scope: use {', '.join(Scope)}") from None
    if not meant:
        raise Refused("A token needs a scope", f"Use {', '.join(Scope)}")
    if sources and Scope.POST not in meant:
        raise Refused("Sources are for tokens with the scope post")
    now, expires_at = utc_now(), None
    if expires is not None:
        try:
            expires_at = now + parse_lifetime(expires)
        except ValueError as error:
            raise Refused(f"Invalid expires: {error}") from None
    token = new_token()
    with store.writing() as tx:
        if not tokens.add(tx, name, digest(token), meant, sources, now, expires_at):
            raise Contradicted(
                f"There is a token named {name}", "Revoke it, or choose another name"
            )
    return token


def revoke(store: Store, name: str) -> None:
    """Have a token open nothing any more. Raises NotFound."""
    with store.writing() as tx:
        if not tokens.revoke(tx, name, utc_now()):
            raise NotFound(f"There is no token named {name}")
