"""Hubs as processes of their own, on free ports, for tests over HTTP."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from http.server import ThreadingHTTPServer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def http_server(handler):
    """A server on a free port, each of whose requests is answered by a handler on a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def eventually(condition, seconds=20):
    """Wait until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


class Server:
    """``attendance-hub serve``, or another command that serves a hub on ``port``."""

    def __init__(self, database, *options, command=None, cwd=None, environment=None):
        self.database = database
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = command or [sys.executable, "-m", "hub", "serve", "--port", "{port}", *options]
        self.process = subprocess.Popen(
            [part.format(port=self.port) for part in command],
            cwd=cwd,
            # Without the tests' own variables, which are no settings.
            env={
                **{name: one for name, one in os.environ.items() if not name.startswith("HUB_")},
                "HUB_DATABASE": database,
                "HUB_DRAIN_DELAY": "0",
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._wait()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def _wait(self):
        for _ in range(600):
            if self.process.poll() is not None:
                self.close()
                raise RuntimeError(f"ended with {self.process.returncode}: {self.lines}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/webhook/status/", timeout=5):
                    return
            except urllib.error.HTTPError as error:
                error.close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"did not answer: {self.lines}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self.close()

    def stop(self):
        """End it; its exit status."""
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(30)
        finally:
            self.close()

    def close(self):
        self._reader.join(10)
        self.process.stdout.close()
