"""``attendance-hub bench``: how many check-ins a second a hub on this machine takes, and how fast.

The load is closed: each connection posts its next check-in when the last one is answered. All check-ins
are of students and events that the bench has made itself, each pair once.
"""

import asyncio
import json
import math
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hub.cli.address import parse
from hub.errors import SettingError
from hub.wire.loopback import is_loopback

_PATH = "/api/webhook/unified/"
_STUDENTS = 500
_TIMEOUT = 30
_BARS = 12
_WIDTH = 40


@dataclass(frozen=True, slots=True)
class Measured:
    """What a bench has seen: seconds it took, statuses, and latencies of answers in seconds, sorted."""

    seconds: float
    statuses: Counter[int]
    errors: int
    latencies: list[float]

    @property
    def throughput(self) -> float:
        """Check-ins recorded (201) a second."""
        return self.statuses[201] / self.seconds

    def percentile(self, per_cent: float) -> float:
        """The latency, in seconds, that ``per_cent`` of the answers stayed within."""
        if not self.latencies:
            return math.nan
        position = math.ceil(len(self.latencies) * per_cent / 100) - 1
        return self.latencies[max(0, position)]


def run(url: str, connections: int, seconds: float, allow_remote: bool = False) -> Measured:
    """Drive the hub at ``url``. Raises SettingError for what is not a URL, or not on this machine."""
    host, port = _address(url, allow_remote)
    return asyncio.run(_Bench(host, port).run(connections, seconds))


@contextmanager
def throw_away_hub(*options: str) -> Iterator[str]:
    """A hub of the bench's own, over a new SQLite store that is removed afterwards; its URL.

    ``options`` are more of those that ``serve`` takes.
    """
    with tempfile.TemporaryDirectory(prefix="attendance-hub-bench-") as folder:
        store = Path(folder) / "bench.db"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("HUB_")}
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "hub",
                "serve",
                "--port",
                "0",
                "--database",
                f"sqlite:///{store}",
                *options,
            ],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                first = process.stdout.readline()
                if " on http://" not in first:
                    raise SettingError("bench: the throw-away hub did not start")
                yield first.split(" on ")[1].strip()
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate()


def report(measured: Measured) -> Iterator[str]:
    """The lines of a report."""
    yield f"{measured.throughput:.0f} check-ins a second, for {measured.seconds:.1f} s"
    marks = ", ".join(f"p{mark} {measured.percentile(mark) * 1000:.1f} ms" for mark in (50, 90, 99))
    yield f"latency: {marks}"
    others = {status: count for status, count in measured.statuses.items() if status != 201}
    told = ", ".join(f"{count} x {status}" for status, count in sorted(others.items()))
    yield f"errors: {measured.errors} without an answer" + (f", {told}" if told else "")
    yield from _histogram(measured.latencies)


def _histogram(latencies: list[float]) -> Iterator[str]:
    """A bar for each step of latency; each step is twice as long as the one before."""
    if not latencies:
        return
    counts = Counter(
        min(_BARS - 1, max(0, math.ceil(math.log2(latency * 1000)))) for latency in latencies
    )
    most = max(counts.values())
    for step in range(min(counts), max(counts) + 1):
        bar = "#" * math.ceil(counts[step] / most * _WIDTH)
        yield f"{'<=' if step < _BARS - 1 else '> '} {2**step:5d} ms {counts[step]:8d} {bar}"


def _address(url: str, allow_remote: bool) -> tuple[str, int]:
    parts = parse(url, "url", ("http",))
    host, port = parts.hostname or "", parts.port or 80
    if not allow_remote and not is_loopback(host):
        raise SettingError(f"url: {host} is not this machine; say --allow-remote if you mean it")
    return host, port


class _Bench:
    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._own = f"bench-{secrets.token_hex(6)}"
        self._statuses: Counter[int] = Counter()
        self._latencies: list[float] = []
        self._errors = 0
        self._next = 0

    async def run(self, connections: int, seconds: float) -> Measured:
        try:
            await self._prepare()
        except (OSError, EOFError, TimeoutError) as error:
            raise SettingError(
                f"url: no hub answers at {self._host}:{self._port}: {error}"
            ) from None
        started = time.perf_counter()
        end = started + seconds
        await asyncio.gather(*(self._connection(end) for _ in range(connections)))
        took = time.perf_counter() - started
        return Measured(took, self._statuses, self._errors, sorted(self._latencies))

    async def _prepare(self) -> None:
        """Make the students, and the first event."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            for number in range(_STUDENTS):
                name = f"{self._own}-{number}"
                data = {
                    "student_identifier": name,
                    "email": f"{name}@example.com",
                    "first_name": "Bench",
                    "last_name": "Example",
                }
                status = await _post(reader, writer, {"type": "student", "data": data})
                if status != 201:
                    raise SettingError(f"url: the hub answered {status} to a new student")
            await _post(reader, writer, self._event(0))
        finally:
            writer.close()

    def _event(self, number: int) -> dict[str, object]:
        data = {"event_name": f"{self._own} {number}", "event_date": "2024-01-15T10:00:00Z"}
        return {"type": "event", "data": data}

    async def _connection(self, end: float) -> None:
        while time.perf_counter() < end:
            try:
                async with asyncio.timeout(_TIMEOUT):
                    reader, writer = await asyncio.open_connection(self._host, self._port)
                try:
                    while time.perf_counter() < end:
                        await self._check_in(reader, writer)
                finally:
                    writer.close()
            except (OSError, EOFError, TimeoutError):
                self._errors += 1
                await asyncio.sleep(0.05)

    async def _check_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        event, student = divmod(self._next, _STUDENTS)
        self._next += 1
        if student == 0:
            # In good time, so that no check-in comes before its event.
            await _post(reader, writer, self._event(event + 1))
        data = {
            "student_identifier": f"{self._own}-{student}",
            "event_identifier": f"{self._own} {event}",
        }
        started = time.perf_counter()
        async with asyncio.timeout(_TIMEOUT):
            status = await _post(reader, writer, {"type": "attendance", "data": data})
        self._latencies.append(time.perf_counter() - started)
        self._statuses[status] += 1


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, payload: dict[str, object]
) -> int:
    """Post to the unified endpoint on an open connection; the status."""
    body = json.dumps(payload).encode()
    writer.write(
        f"POST {_PATH} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").lower().split("\r\n")
    length = next((int(line[15:]) for line in lines if line.startswith("content-length:")), 0)
    await reader.readexactly(length)
    if "connection: close" in lines:
        raise EOFError
    return int(lines[0].split()[1])
