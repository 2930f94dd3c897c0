"""``attendance-hub token``: made, listed, revoked."""

from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from hub.cli.store import existing_store
from hub.cli.terminal import local
from hub.config.settings import Settings
from hub.domain.timestamps import utc_now
from hub.jobs import tokens as jobs
from hub.record import tokens


def create(
    settings: Settings,
    name: str,
    scopes: Sequence[str],
    sources: Sequence[str],
    expires: str | None,
) -> str:
    """Make a token, and tell it: it is kept nowhere."""
    with existing_store(settings.database) as store:
        return jobs.create(store, name, scopes, sources, expires)


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
    """Have a token open nothing any more. Raises NotFound."""
    with existing_store(settings.database) as store:
        jobs.revoke(store, name)


def _used(at: datetime | None, zone: tzinfo) -> str:
    return "never used" if at is None else f"last used {local(at, zone)}"
