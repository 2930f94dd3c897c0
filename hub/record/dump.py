"""The tables as they are: whole rows, for those who test a plugin."""

from operator import itemgetter
from typing import Any

from hub.store.store import Entities


def names(db: Entities) -> list[str]:
    """The tables that there are."""
    return [entity._table_ for entity in db.entities.values()]


def rows(db: Entities, table: str) -> list[dict[str, Any]]:
    """All the rows of a table by column, sorted by their keys. Raises KeyError for an unknown table."""
    entities = {entity._table_: entity for entity in db.entities.values()}
    entity = entities[table]
    key = itemgetter(*(attribute.name for attribute in entity._pk_attrs_))
    return sorted((row.to_dict() for row in entity.select()), key=key)
