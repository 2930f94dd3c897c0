"""Many ids, asked for a few at a time: a statement may not have any number of values."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

CHUNK = 500
"""Ids that a query is given at once."""

Id = TypeVar("Id", int, str)
Found = TypeVar("Found")


def chunks(identifiers: Sequence[Id]) -> Iterator[list[Id]]:
    """Ids in lists that a query may have."""
    for start in range(0, len(identifiers), CHUNK):
        yield list(identifiers[start : start + CHUNK])


def first(
    identifiers: Sequence[Id], limit: int, read: Callable[[list[Id], int], Iterable[Found]]
) -> list[Found]:
    """The first ``limit`` of what ``read`` finds of some of the ids, and at most so many."""
    found: list[Found] = []
    for some in chunks(identifiers):
        found += read(some, limit - len(found))
        if len(found) == limit:
            break
    return found
