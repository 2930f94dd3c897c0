"""Whether a hub with many sources starts and answers as fast as one with its own four.

``python benchmarks/sources.py [--sources 64] [--reps 5] [--seconds 3]``, with attendance-hub installed.
Both hubs run side by side in turns; what is printed are the medians, and their ratios.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from hub.cli.bench import run, throw_away_hub

OWN = 4
SOURCE = """
from hub import OPEN, CheckIn, Source, hookimpl

SCHEMA = {{
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["badge", "room"],
    "properties": {{
        "badge": {{"$ref": "https://attendance-hub.example/schemas/common.json#/$defs/studentIdentifier"}},
        "room": {{"type": "string", "maxLength": 255}},
        "at": {{"type": "string", "format": "date-time"}},
    }},
}}


def normalize(payload):
    yield CheckIn(student=payload["badge"], event=payload["room"])


@hookimpl
def register_sources():
    yield Source(
        name="{name}", path="{name}", authenticate=OPEN, schema=SCHEMA, normalize=normalize
    )
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=64)
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="attendance-hub-sources-") as folder:
        for number in range(arguments.sources - OWN):
            name = f"source{number:03}"
            (Path(folder) / f"{name}.py").write_text(SOURCE.format(name=name))
        starts: dict[int, list[float]] = {OWN: [], arguments.sources: []}
        rates: dict[int, list[float]] = {OWN: [], arguments.sources: []}
        for _ in range(arguments.reps):
            for count, options in ((OWN, ()), (arguments.sources, ("--plugins", folder))):
                started = time.perf_counter()
                with throw_away_hub(*options) as url:
                    starts[count].append(time.perf_counter() - started)
                    rates[count].append(run(url, 16, arguments.seconds).throughput)
    for what, found, unit in (("start", starts, "s"), ("check-ins a second", rates, "")):
        own, many = (statistics.median(found[count]) for count in (OWN, arguments.sources))
        print(
            f"{what}: {OWN} sources {own:.3g}{unit}, {arguments.sources} sources {many:.3g}{unit}, "
            f"ratio {many / own:.2f} (each: {[round(one, 3) for one in found[arguments.sources]]})"
        )


if __name__ == "__main__":
    main()
