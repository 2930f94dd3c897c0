"""Watching plugins: whoever is slow, or hangs, is named in the log while a request waits for it."""

from __future__ import annotations

import logging
import sys
import threading
import time
from functools import partial
from types import FrameType, TracebackType
from typing import NamedTuple

_log = logging.getLogger(__name__)

SLOW = 0.1
"""Seconds from which a plugin's part in a request is worth a line in the log, once it is done."""

HANGS = 1.0
"""Seconds from which a call is told of while it lasts."""

_LOOK_EVERY = 0.5
_FRAMES = 4
_HUB = __name__.partition(".")[0]


class Hanging(NamedTuple):
    """A call of a plugin that has not come back, for so many seconds; on which delivery ('': none)."""

    plugin: str
    call: str
    delivery: str
    seconds: float


class Watch:
    """The calls into plugins that are under way, by thread, and a thread that looks at them."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}
        self.calling = partial(_Call, self._calls)
        """A context in which a plugin is called: its name, what of it, on which delivery, and whether
        it is alone, so that no request waits for it.
        """
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to look, unless it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._ending.set()

    def hanging(self) -> list[Hanging]:
        """The calls that have taken too long already."""
        now = time.perf_counter()
        return [
            Hanging(call.plugin, call.what, call.delivery, round(now - call.started, 1))
            for call in list(self._calls.values())
            if now - call.started > HANGS
        ]

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            now = time.perf_counter()
            for thread, call in list(self._calls.items()):
                if now - call.started > HANGS and not call.is_told:
                    call.is_told = True
                    _log.warning(
                        "plugin %s: %s has not come back for %.1f s%s; it is at %s",
                        call.plugin,
                        call.what,
                        now - call.started,
                        call.on,
                        _place(sys._current_frames().get(thread)),
                    )


class _Call:
    """One call. Written by hand, since every check-in makes some."""

    __slots__ = (
        "_alone",
        "_calls",
        "_thread",
        "delivery",
        "is_told",
        "plugin",
        "started",
        "what",
    )

    def __init__(
        self,
        calls: dict[int, _Call],
        plugin: str,
        what: str,
        delivery: str = "",
        alone: bool = False,
    ) -> None:
        self._calls = calls
        self._alone = alone
        self.plugin = plugin
        self.what = what
        self.delivery = delivery
        self.is_told = False

    @property
    def on(self) -> str:
        """The delivery, for a line of the log."""
        return f" on delivery {self.delivery}" if self.delivery else ""

    def __enter__(self) -> _Call:
        self._thread = threading.get_ident()
        self.started = time.perf_counter()
        self._calls[self._thread] = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._calls.pop(self._thread, None)
        took = time.perf_counter() - self.started
        if took > SLOW and not self._alone:
            said = "; while it does so for one request, all others wait"
            _log.warning(
                "plugin %s: %s took %.2f s%s%s", self.plugin, self.what, took, self.on, said
            )


def _place(frame: FrameType | None) -> str:
    """Where a thread is, the innermost first, up to where the hub has called the plugin."""
    places: list[str] = []
    while frame is not None and len(places) < _FRAMES:
        if places and frame.f_globals.get("__name__", "").partition(".")[0] == _HUB:
            break
        code = frame.f_code
        places.append(f"{code.co_filename}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(places) or "an unknown place"
