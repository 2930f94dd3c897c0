"""Running the tests of projects that new-source wrote, as their authors would."""

import subprocess
import sys

TAKES_ALL = sys.version_info >= (3, 13)
"""Whether this Python runs them: they take long, and are of no Python's own."""


def require_passing(folder, *projects):
    """Fail unless the tests of the projects in a folder pass."""
    if not TAKES_ALL:
        return
    command = ["pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist", *projects]
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
