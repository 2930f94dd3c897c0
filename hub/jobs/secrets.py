"""Secret files: read again when they change, and when the hub is told to, without a restart."""

import logging
import os
import threading
from collections.abc import Sequence

from hub.errors import FAULTS, SettingError
from hub.intake.endpoint import Endpoint
from hub.log import log_fault

_log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0

_State = tuple[int, ...] | None


class SecretFiles:
    """The files with the secrets of the endpoints, and a thread that looks at them every second."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._of_files = [endpoint for endpoint in endpoints if endpoint.secret.file]
        self._seen = {path: _state(path) for path in self._paths()}
        self._wake = threading.Event()
        self._told = False
        self._ending = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, unless it has begun, or there is no file."""
        if self._of_files and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="secrets", daemon=True)
            self._thread.start()

    def read_again(self) -> None:
        """Have all files read again. Never waits: a signal's handler may call it."""
        self._told = True
        self._wake.set()

    def close(self, seconds: float) -> None:
        """End the thread, waiting for it at most ``seconds``."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def look(self) -> None:
        """Read the files again that have changed since the last time; all, if it was told to."""
        told, self._told = self._told, False
        for path in self._paths():
            state = _state(path)
            if told or state != self._seen[path]:
                self._seen[path] = state
                self._read(path)

    def _paths(self) -> list[str]:
        return list(dict.fromkeys(endpoint.secret.file for endpoint in self._of_files))

    def _read(self, path: str) -> None:
        own = [endpoint for endpoint in self._of_files if endpoint.secret.file == path]
        try:
            # All before any is taken over: half of a file is no secret file.
            found = [endpoint.secret.in_file() for endpoint in own]
        except SettingError as error:
            _log.error("%s; the secrets before it stay in force", error)
            return
        names = []
        for endpoint, secrets in zip(own, found, strict=True):
            if secrets != endpoint.secrets:
                endpoint.secret.now = secrets
                names.append(endpoint.source.name)
        _log.info("secrets are read again from %s; new for: %s", path, ", ".join(names) or "none")

    def _run(self) -> None:
        while not self._ending:
            self._wake.wait(_LOOK_EVERY)
            self._wake.clear()
            try:
                self.look()
            except FAULTS as error:
                log_fault("the secret files cannot be looked at", error)


def _state(path: str) -> _State:
    """What tells a file from the same one before it was changed; None where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
