"""What the console costs the door: check-ins with and without open consoles, and pages beside check-ins.

``python benchmarks/console.py [--consoles 50] [--reps 5] [--seconds 4]``, with attendance-hub installed.
Two hubs over stores of their own take turns; one has the consoles open. What is printed are medians,
their ratio, and the bounds that are meant to hold.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from hub.cli.bench import run

TOKEN = "token-of-a-benchmark"
CONNECTIONS = 16
PAGES = ("/console/", "/console/events/1", "/console/students", "/console/waiting")
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--consoles", type=int, default=50)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    with ExitStack() as stack:
        plain, watched = (stack.enter_context(hub()) for _ in range(2))
        for one in (plain, watched):
            one.seed()
        consoles = [stack.enter_context(console(watched)) for _ in range(given.consoles)]
        costs: dict[str, list[float]] = {"plain": [], "watched": []}
        rates: dict[str, list[float]] = {"plain": [], "watched": []}
        for _ in range(given.reps):
            for name, one in (("plain", plain), ("watched", watched)):
                before = one.cpu()
                measured = run(one.url, CONNECTIONS, given.seconds)
                costs[name].append((one.cpu() - before) / measured.statuses[201])
                rates[name].append(measured.throughput)
        told = sum(one.told for one in consoles) / len(consoles)
        ratios = [b / a for a, b in zip(costs["plain"], costs["watched"], strict=True)]
        micro = {name: statistics.median(one) * 1e6 for name, one in costs.items()}
        print(f"CPU a check-in: {micro['plain']:.0f} us, with {given.consoles} consoles open "
              f"{micro['watched']:.0f} us, ratio {statistics.median(ratios):.3f} "
              f"({min(ratios):.3f} to {max(ratios):.3f}); meant to be at most 1.05")  # fmt: skip
        rate = {name: statistics.median(one) for name, one in rates.items()}
        print(f"check-ins a second: {rate['plain']:.0f}, with consoles {rate['watched']:.0f}; "
              f"each console was told {told:.0f} times")  # fmt: skip
        for path in PAGES:
            quiet = watched.page(path, 20)
            load = threading.Thread(target=run, args=(watched.url, CONNECTIONS, given.seconds))
            load.start()
            time.sleep(0.5)
            busy = watched.page(path, 20, given.seconds - 1)
            load.join()
            print(f"{path}: {quiet * 1000:.0f} ms, beside check-ins {busy * 1000:.0f} ms at the "
                  f"median; meant to be at most 100")  # fmt: skip


class Hub:
    """A hub of the benchmark's own."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.url = url
        self._pid = process.pid
        self._port = int(url.rpartition(":")[2])
        self.cookie = self._log_in()

    def seed(self) -> None:
        """An event of today, at which everybody of the benchmark is not."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        data = {"event_name": "Tonight", "event_date": now}
        self._post("event", data)
        for number in range(40):
            data = {"student_identifier": f"c{number}", "email": f"c{number}@example.edu",
                    "first_name": "Ada", "last_name": f"Example {number}"}  # fmt: skip
            self._post("student", data)
            about = {"student_identifier": f"c{number}", "event_identifier": "Tonight"}
            self._post("attendance", about)

    def cpu(self) -> float:
        """Seconds of CPU that the process has used."""
        fields = Path(f"/proc/{self._pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def page(self, path: str, times: int, seconds: float = 30) -> float:
        """The median of seconds that a page takes."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        took, end = [], time.perf_counter() + seconds
        while len(took) < times and time.perf_counter() < end:
            started = time.perf_counter()
            connection.request("GET", path, headers={"Cookie": self.cookie})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append(time.perf_counter() - started)
        connection.close()
        return statistics.median(took)

    def stream(self) -> socket.socket:
        """An open console: its stream."""
        opened = socket.create_connection(("127.0.0.1", self._port))
        head = f"GET /console/live/tonight HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        opened.sendall(f"{head}Cookie: {self.cookie}\r\n\r\n".encode())
        return opened

    def _log_in(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/console/login", urlencode({"token": TOKEN}), form)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.headers["Set-Cookie"].partition(";")[0]

    def _post(self, kind: str, data: dict[str, str]) -> None:
        body = json.dumps({"type": kind, "action": "create", "data": data})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        json_ = {"Content-Type": "application/json"}
        connection.request("POST", "/api/webhook/unified/", body, json_)
        answer = connection.getresponse()
        assert answer.status == 201, answer.read()
        answer.read()
        connection.close()


class Console:
    """Reads a stream, and counts what it is told."""

    def __init__(self, opened: socket.socket) -> None:
        self.told = 0
        self._opened = opened
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while piece := self._opened.recv(1 << 16):
                self.told += piece.count(b"\n\n")
        except OSError:
            pass


@contextmanager
def console(watched: Hub) -> Iterator[Console]:
    with watched.stream() as opened:
        yield Console(opened)


@contextmanager
def hub() -> Iterator[Hub]:
    with tempfile.TemporaryDirectory(prefix="attendance-hub-bench-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "hub", "serve", "--port", "0"],
            cwd=folder,
            env={
                **{name: one for name, one in os.environ.items() if not name.startswith("HUB_")},
                "HUB_DATABASE": f"sqlite:///{folder}/bench.db",
                "HUB_ADMIN_TOKEN": TOKEN,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                url = process.stdout.readline().split(" on ")[1].strip()
                yield Hub(process, url)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
