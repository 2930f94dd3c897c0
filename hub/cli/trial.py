"""``attendance-hub try``: what a plugin makes of its fixtures."""

import json
from collections.abc import Iterator
from pathlib import Path

from hub.cli.terminal import show
from hub.config.settings import Settings
from hub.testing import trial
from hub.testing.fixtures import fixtures as read
from hub.testing.trial import Tried


def run(plugin: str, fixtures: Path, source: str | None, accept: bool, settings: Settings) -> bool:
    """Try the fixtures and print what became of each; whether all passed. With ``accept``, what became
    of them is what will be expected.
    """
    passed = True
    for fixture in read(fixtures):
        tried = trial.try_fixture(plugin, source, fixture, settings)
        if accept:
            fixture.expectation.write_text(trial.written(tried.result), "utf-8")
        for line in _lines(tried, accept):
            show(line)
        passed = passed and (accept or tried.passed)
    return passed


def _lines(tried: Tried, accepted: bool) -> Iterator[str]:
    yield f"{tried.fixture.file.name}: {tried.status} in {tried.milliseconds:.1f} ms"
    for operation in tried.operations:
        members = trial.told(operation)
        name = members.pop("operation")
        yield f"  {name} {json.dumps(members, ensure_ascii=False)}"
    yield f"  {json.dumps(tried.answer, ensure_ascii=False)}"
    expectation = tried.fixture.expectation.name
    if accepted:
        yield f"  written to {expectation}"
    elif tried.differences:
        yield f"  not as in {expectation}:"
        yield from (f"    {line}" for line in tried.differences)
    elif tried.fixture.expected is not None:
        yield f"  as in {expectation}"
    for line in tried.faults:
        yield f"  {line}"
