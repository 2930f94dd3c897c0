"""Plots as SVG, made here: bars over a course of time. Each is shown with a table of the same."""

from collections.abc import Mapping, Sequence
from typing import Any

_WIDTH, _HEIGHT, _FOOT, _WIDEST = 640, 160, 26, 44


def bars(rows: Sequence[tuple[str, int]], about: str) -> Any:
    """A bar for each row: a label and a number. ``about`` is what a screen reader says."""
    return stacked([(label, {"bar": number}) for label, number in rows], about)


def stacked(rows: Sequence[tuple[str, Mapping[str, int]]], about: str) -> Any:
    """A bar for each row, of parts by class."""
    from markupsafe import Markup, escape

    most = max((sum(parts.values()) for _, parts in rows), default=0) or 1
    step = _WIDTH / max(len(rows), 1)
    width = min(max(step * 0.8, 1), _WIDEST)
    every = max(1, -(-len(rows) // 8))
    pieces = [
        f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img" '
        f'aria-label="{escape(about)}">',
        f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>',
        f'<text class="most" x="0" y="12">{most}</text>',
    ]
    for number, (label, parts) in enumerate(rows):
        x, top = number * step + (step - width) / 2, float(_HEIGHT)
        for kind, value in parts.items():
            height = (_HEIGHT - 18) * value / most
            top -= height
            if value:
                pieces.append(
                    f'<rect class="{escape(kind)}" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" '
                    f'height="{height:.1f}"><title>{escape(label)}: {value}</title></rect>'
                )
        if number % every == 0:
            pieces.append(
                f'<text class="label" x="{number * step + step / 2:.1f}" y="{_HEIGHT + 19}" '
                f'text-anchor="middle">{escape(label)}</text>'
            )
    pieces.append("</svg>")
    return Markup("".join(pieces))  # noqa: S704 - every text in it was escaped
