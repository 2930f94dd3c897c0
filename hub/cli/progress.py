"""A progress bar on standard error, for runs that are long and that somebody looks at."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

_WORTH_A_BAR = 20


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """What is to be told how many more are done."""
    if total < _WORTH_A_BAR or not _is_watched():
        yield lambda done: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


def _is_watched() -> bool:
    return sys.stderr.isatty()
