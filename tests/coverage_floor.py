"""Exit with 1 if a file's coverage is below a floor in per cent: ``coverage_floor.py 90``."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    floor = float(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "-q", "--fail-under=0", "-o", report]
        subprocess.run(command, check=True)
        files = json.loads(report.read_text())["files"]
    low = {
        name: data["summary"]["percent_covered"]
        for name, data in files.items()
        if data["summary"]["percent_covered"] < floor
    }
    for name, per_cent in sorted(low.items()):
        print(f"{name}: {per_cent:.0f} %, below {floor:.0f} %")
    sys.exit(1 if low else 0)


main()
