"""``attendance-hub token``: make, list and revoke what lets somebody read the record, or post."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from hub.cli.store import existing_store
from hub.cli.terminal import local
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope, digest, new_token, parse_lifetime
from hub.errors import Refused
from hub.record import tokens
from hub.store import tokens as written


def create(
    settings: Settings,
    name: str,
    scopes: Sequence[str],
    sources: Sequence[str],
    expires: str | None,
) -> str:
    """Make a token, and tell it: it is kept nowhere."""
    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise Refused("A token's name is a line of text, of at most 100 characters")
    meant = [Scope(scope) for scope in scopes]
    if sources and Scope.POST not in meant:
        raise Refused("--source is for tokens with --scope post")
    now, expires_at = utc_now(), None
    if expires is not None:
        try:
            expires_at = now + parse_lifetime(expires)
        except ValueError as error:
            raise Refused(f"Invalid --expires: {error}") from None
    token = new_token()
    with existing_store(settings.database) as store, store.writing() as tx:
        if not written.add(tx, name, digest(token), meant, sources, now, expires_at):
            raise Refused(f"There is a token named {name}; revoke it, or choose another name")
    return token


def listed(settings: Settings) -> Iterator[str]:
    """A line for each token."""
    with existing_store(settings.database) as store, store.reading() as db:
        found = tokens.every(db)
    if not found:
        yield "there is no token"
    zone = settings.time_zone
    now = utc_now()
    for token in found:
        scopes = " ".join(sorted(token.scopes))
        sources = f" (to {', '.join(token.sources)})" if token.sources else ""
        expiry = "never expires"
        if token.expires_at is not None:
            said = "expires" if token.is_valid(now) else "expired"
            expiry = f"{said} {local(token.expires_at, zone)}"
        used = _used(token.last_used_at, zone)
        yield f"{token.name}  {scopes}{sources}  {expiry}  {used}"


def revoke(settings: Settings, name: str) -> None:
    """Have a token open nothing any more. Raises Refused."""
    with existing_store(settings.database) as store, store.writing() as tx:
        if not written.revoke(tx, name, utc_now()):
            raise Refused(f"There is no token named {name}", "See: attendance-hub token list")


def _used(at: datetime | None, zone: tzinfo) -> str:
    return "never used" if at is None else f"last used {local(at, zone)}"
