"""What students and events have alike for those who edit them: identifiers, and that they are hidden."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from hub.errors import Contradicted
from hub.store import changes, deeds
from hub.store.context import Context
from hub.store.transaction import Transaction


class Kind(NamedTuple):
    """What a row is: its table, which is also what a deed calls it, and the changes that are told."""

    what: str
    saved: str
    hidden: str

    @property
    def identifiers(self) -> str:
        """The identifiers of a row."""
        return f"SELECT kind, value, shown FROM {self.what}_identifier WHERE {self.what} = ?"

    @property
    def drop(self) -> str:
        """Take an identifier from a row."""
        return (
            f"DELETE FROM {self.what}_identifier WHERE {self.what} = ? AND kind = ? AND value = ?"
        )

    @property
    def hidden_by(self) -> str:
        """By which delivery a row is hidden, and whether with authority."""
        return (
            f"SELECT hidden_by, hidden_firmly FROM {self.what} "
            "WHERE id = ? AND hidden_at IS NOT NULL"
        )

    @property
    def hide(self) -> str:
        """Hide a row."""
        return (
            f"UPDATE {self.what} SET hidden_at = ?, updated_at = ?, hidden_by = ?, hidden_firmly = ? "
            "WHERE id = ?"
        )

    @property
    def show(self) -> str:
        """Show a row again."""
        return (
            f"UPDATE {self.what} SET hidden_at = NULL, hidden_by = NULL, hidden_firmly = FALSE, "
            "updated_at = ? WHERE id = ?"
        )


STUDENTS = Kind(deeds.STUDENT, changes.STUDENT_SAVED, changes.STUDENT_HIDDEN)
EVENTS = Kind(deeds.EVENT, changes.EVENT_SAVED, changes.EVENT_HIDDEN)
KINDS = {deeds.STUDENT: STUDENTS, deeds.EVENT: EVENTS}


def hidden_by(tx: Transaction, kind: Kind, row: int) -> tuple[str | None, bool] | None:
    """By which delivery a row is hidden, and whether with authority; None where it is shown."""
    found = tx.row(kind.hidden_by, row)
    return None if found is None else (found[0], bool(found[1]))


def set_hidden(
    tx: Transaction, kind: Kind, row: int, by: Sequence[Any] | None, context: Context
) -> None:
    """Hide a row, as it was hidden by a delivery, with authority or without; None: show it. Raises
    Contradicted where it is so already.
    """
    before = hidden_by(tx, kind, row)
    if (before is None) == (by is None):
        raise Contradicted("Not hidden" if by is None else "Already hidden")
    deeds.add(tx, context, kind.what, row, deeds.HIDDEN, before, by)
    now = context.received_at
    if by is None:
        tx.run(kind.show, now, row)
        changes.add(tx, kind.saved, row, context)
    else:
        tx.run(kind.hide, now, now, by[0], bool(by[1]), row)
        changes.add(tx, kind.hidden, row, context)


def identifiers(tx: Transaction, kind: Kind, row: int) -> dict[str, list[list[str]]]:
    """A row's identifiers by the member that a deed calls those of a kind: each as (value, as shown)."""
    found: dict[str, list[list[str]]] = defaultdict(list)
    for name, value, shown in tx.rows(kind.identifiers, row):
        found[deeds.IDENTIFIERS + name].append([value, shown])
    return {name: sorted(own) for name, own in found.items()}


def drop_identifiers(
    tx: Transaction, kind: Kind, row: int, kinds: set[str], own: dict[str, Any]
) -> None:
    """Take the identifiers of some kinds from a row whose members are ``own``."""
    for name in kinds:
        for value, _ in own.get(deeds.IDENTIFIERS + name, ()):
            tx.run(kind.drop, row, name, value)
