"""What a rebuild takes: deliveries a second, memory, and what it costs the check-ins beside it.

``python benchmarks/rebuilding.py [--fill 40] [--reps 5] [--seconds 4]``, with attendance-hub installed.
A hub of the benchmark's own is filled with check-ins for so many seconds. Then it is rebuilt, alone and
beside check-ins, which are measured with and without, in turns. What is printed are medians, their
ratios, and the bounds that are meant to hold.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from hub.cli.bench import run

CONNECTIONS = 32
_DERIVED = re.compile(r"deliveries: (\d+) derived")


class Rebuilt(NamedTuple):
    """How many deliveries were derived, in how many seconds, with so many MiB in its largest process."""

    deliveries: int
    seconds: float
    memory: float

    @property
    def rate(self) -> float:
        """Deliveries a second, the start of the process among them."""
        return self.deliveries / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fill", type=float, default=40)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, hub(Path(folder)) as (url, store):
        run(url, CONNECTIONS, given.fill)
        alone = [rebuilt(store) for _ in range(given.reps)]
        rates: dict[str, list[float]] = {"alone": [], "beside": []}
        for _ in range(given.reps):
            rates["alone"].append(run(url, CONNECTIONS, given.seconds).throughput)
            with rebuilding(store):
                rates["beside"].append(run(url, CONNECTIONS, given.seconds).throughput)
        rate = statistics.median(one.rate for one in alone)
        print(f"rebuild: {rate:.0f} deliveries a second ({min(one.rate for one in alone):.0f} to "
              f"{max(one.rate for one in alone):.0f}) of {alone[0].deliveries}; meant to be 20,000 or "
              f"more; {max(one.memory for one in alone):.0f} MiB")  # fmt: skip
        ratios = [b / a for a, b in zip(rates["alone"], rates["beside"], strict=True)]
        print(f"check-ins a second: {statistics.median(rates['alone']):.0f}, beside a rebuild "
              f"{statistics.median(rates['beside']):.0f}, ratio {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, str]]:
    """A hub that serves: its URL, and its store's."""
    store = f"sqlite:///{folder / 'hub.db'}"
    command = [sys.executable, "-m", "hub", "serve", "--port", "0", "--database", store]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split(" on ")[1].strip(), store
        finally:
            process.terminate()


def rebuilt(store: str) -> Rebuilt:
    """One rebuild, by the command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "hub", "rebuild", "--dry-run", "--database", store]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        _, _, used = os.wait4(process.pid, 0)
    found = _DERIVED.search(told)
    assert found is not None, told
    return Rebuilt(int(found[1]), time.perf_counter() - began, used.ru_maxrss / 1024)


@contextmanager
def rebuilding(store: str) -> Iterator[None]:
    """Rebuild again and again, as long as the block takes."""
    has_ended = threading.Event()

    def again() -> None:
        while not has_ended.is_set():
            rebuilt(store)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        has_ended.set()
        thread.join()


if __name__ == "__main__":
    main()
