"""The code of plugins as a short text, to tell whether it is still the same."""

import hashlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from hub.plugin.source import Source
from hub.version import __version__


def digest(sources: Iterable[Source]) -> str:
    """A digest (SHA-256, hexadecimal) of the hub's version, and of the modules in the packages that these
    sources come from.
    """
    found = hashlib.sha256(__version__.encode())
    packages = {_package(source.normalize) for source in sources}
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in packages:
            found.update(name.encode())
            with suppress(OSError, TypeError):
                found.update(Path(getattr(module, "__file__", None) or "").read_bytes())
    return found.hexdigest()


def _package(function: object) -> str:
    module = getattr(function, "__module__", None) or type(function).__module__
    return str(module).partition(".")[0]
