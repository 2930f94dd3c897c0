"""Tables and bars that fit a terminal."""

import shutil
import unicodedata
from collections.abc import Iterator, Sequence

from hub.log import plain

_GAP = "  "
_NARROWEST = 6
_BAR = "█"
_PARTS = " ▏▎▍▌▋▊▉"


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], width: int = 0) -> Iterator[str]:
    """The lines of a table, ``width`` columns wide at most (0: as wide as the terminal). What is too long
    is cut off, in the widest columns first.
    """
    shown = [tuple(plain(cell) for cell in row) for row in (heading, *rows)]
    widths = [max(map(columns, cells)) for cells in zip(*shown, strict=True)]
    room = (width or terminal()) - len(_GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    for number, row in enumerate(shown):
        yield _GAP.join(map(_fitted, row, widths)).rstrip()
        if number == 0:
            yield _GAP.join("-" * one for one in widths)


def bars(rows: Sequence[tuple[str, int]], width: int = 0) -> Iterator[str]:
    """A bar for each number, with its label before and the number behind."""
    if not rows:
        return
    labels = max(columns(plain(label)) for label, _ in rows)
    labels = min(labels, 30)
    most = max(number for _, number in rows) or 1
    room = max(10, (width or terminal()) - labels - len(str(most)) - 2 * len(_GAP))
    for label, number in rows:
        eighths = round(number * room * 8 / most)
        bar = _BAR * (eighths // 8) + (_PARTS[eighths % 8] if eighths % 8 else "")
        yield f"{_fitted(plain(label), labels)}{_GAP}{bar}{_GAP if bar else ''}{number}"


def terminal() -> int:
    """How many columns the terminal has."""
    return shutil.get_terminal_size((100, 24)).columns


def columns(text: str) -> int:
    """How many columns a text takes (Unicode Standard Annex 11)."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fitted(text: str, width: int) -> str:
    """A text that takes so many columns."""
    if columns(text) > width:
        kept, taken = "", 0
        for character in text:
            if taken + _columns(character) > width - 1:
                break
            kept += character
            taken += _columns(character)
        text = f"{kept}…"
    return text + " " * (width - columns(text))
