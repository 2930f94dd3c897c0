"""Secrets that a hub keeps for itself."""

from hub.store.store import Entities


def is_there(db: Entities, name: str) -> bool:
    """Whether there is one of this name."""
    return bool(db.Secret.exists(lambda s: s.name == name))
