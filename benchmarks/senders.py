"""What a check-in costs in each form of request, beside JSON with the guide's signature.

``python benchmarks/senders.py [--reps 9] [--count 2048]``, with attendance-hub[keys] installed. Every
form goes through the application in batches, in turns, over a store of its own on the disk; what is
printed are medians of the CPU a check-in, and their ratios. ``--start`` measures what each source of
the catalogue adds to a start.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from hub.config.load import load
from hub.http.batch import Request as Sent
from hub.http.batch import run
from hub.testing.memory import MemoryHub, _environ
from hub_plugins import CATALOGUE

_BATCH = 64
FORMS = {
    "JSON, signed as the guide has it": "authenticate=WEBHOOK_SIGNATURE",
    "JSON, open": "authenticate=OPEN",
    "form": "authenticate=OPEN, body=FORM",
    "query by GET": 'authenticate=OPEN, body=QUERY, methods=("GET",)',
    "JSON, signed t=,v1=": 'authenticate=Hmac("x", "X-Sig", value="t={t},v1={sig}", signed="{t}.{body}")',
    "form, signed over it": 'body=FORM, authenticate=Hmac("x", "X-Sig", signed="{url}{form:sorted}")',
    "form in parts, secret in the query": 'authenticate=SecretIn("query:token"), body=MULTIPART',
}
SOURCE = """
from hub import *
from hub import hookimpl

def normalize(payload):
    yield CheckIn(student=payload["student"], event=payload["event"])

@hookimpl
def register_sources():
    yield Source(
        name="x", path="x", normalize=normalize,
        schema={{"type": "object", "required": ["student", "event"],
                "properties": {{"student": {{"type": "string"}}, "event": {{"type": "string"}}}}}},
        {options},
    )
"""


def one(folder: Path, options: str, count: int) -> float:
    """The CPU of a check-in, in microseconds."""
    file = folder / "x.py"
    file.write_text(SOURCE.format(options=options))
    hub = MemoryHub(
        file,
        load(
            {}, None, {"HUB_SOURCE_X_SECRETS": "a secret"} if "OPEN" not in options else {}
        ).settings,
    )
    try:
        for event in range(count // 100 + 1):
            hub.know(event=f"Meeting {event}")
        for student in range(100):
            hub.know(student=f"a{student:08}")
        sent = []
        for number in range(count):
            payload = {"student": f"a{number % 100:08}", "event": f"Meeting {number // 100}"}
            request = hub.with_payload(None, payload)
            request = hub.signed(hub.endpoint(), request)
            request = replace(request, headers={**request.headers, "user-agent": "bench/1.0"})
            sent.append(Sent(_environ(request), request.body))
        started = time.process_time()
        for at in range(0, count, _BATCH):
            for response in run(hub._application, sent[at : at + _BATCH]):
                assert response.status == 201, response
        return (time.process_time() - started) / count * 1e6
    finally:
        hub.close()


def starts(reps: int) -> None:
    """What each source of the catalogue adds to the CPU of a start: median of runs side by side."""
    code = (
        "import time; t = time.process_time();"
        "from hub.config.load import load; from hub.testing.memory import MemoryHub;"
        "from hub.config.settings import Settings; from hub.plugin.loading import Plugins;"
        "from hub.intake.endpoint import endpoints; import sys, logging; logging.disable();"
        "s = load({}, None, {'HUB_ENABLE': sys.argv[1]} if sys.argv[1] else {}).settings;"
        "from hub.hub import Hub; from hub.http.app import Application; from dataclasses import replace;"
        "from hub.store.database import MEMORY_URL;"
        "h = Hub(replace(s, database=MEMORY_URL)); Application(h.routes, h.store, h.settings);"
        "print(time.process_time() - t)"
    )
    found: dict[str, list[float]] = {"": [], ",".join(CATALOGUE): []}
    for _ in range(reps):
        for names in found:
            done = subprocess.run(
                [sys.executable, "-c", code, names],
                capture_output=True,
                text=True,
                check=True,
            )
            found[names].append(float(done.stdout))
    own, more = found.values()
    added = statistics.median(b - a for a, b in zip(own, more, strict=True)) / len(CATALOGUE)
    print(f"start {statistics.median(own) * 1000:.0f} ms, with all of the catalogue "
          f"{statistics.median(more) * 1000:.0f} ms: {added * 1000:.2f} ms a source")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reps", type=int, default=9)
    parser.add_argument("--count", type=int, default=2048)
    parser.add_argument("--start", action="store_true")
    arguments = parser.parse_args()
    if arguments.start:
        starts(arguments.reps)
        return
    found: dict[str, list[float]] = {name: [] for name in FORMS}
    with tempfile.TemporaryDirectory(prefix="attendance-hub-senders-") as folder:
        for _ in range(arguments.reps):
            for name, options in FORMS.items():
                found[name].append(one(Path(folder), options, arguments.count))
    usual = next(iter(found.values()))
    for name, each in found.items():
        ratio = statistics.median(mine / own for mine, own in zip(each, usual, strict=True))
        print(f"{name}: {statistics.median(each):.0f} us, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
