"""A page: what a plugin adds to the console, on the record's read-only side."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hub.record.reader import Record

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Html:
    """What a page shows: a Jinja template, whose values are escaped."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Table:
    """What a page shows: a heading for each column, and rows of texts and numbers."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class PageView:
    """What a page is made of: the parameters of its address, and the record, which is only read."""

    query: Mapping[str, str]
    record: "Record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the console. Whoever may read the record may see it.

    name: a part of its address, ``/console/p/<plugin>/<name>``.
    title: what it is called in the menu.
    show: makes it, on the thread of the pages: quickly.
    """

    name: str
    title: str
    show: Callable[[PageView], Html | Table]

    def __post_init__(self) -> None:
        if not callable(self.show):
            raise TypeError(f"page {self.name}: show is no function")
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"page name {self.name!r}: use lower-case letters, digits, '-' and '_', beginning with "
                "a letter"
            )
        if not self.title.strip():
            raise ValueError(f"page {self.name}: title is empty")
