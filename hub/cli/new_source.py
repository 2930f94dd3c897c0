"""``attendance-hub new-source``: write a project for a new source, from nothing or from captures."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from hub.cli.capture import requests_of
from hub.config.settings import Settings
from hub.domain.captures import CapturedRequest
from hub.errors import SettingError
from hub.kit.trial import Tried, told
from hub.receive.signatures import OPEN, STANDARD_WEBHOOKS, HmacSha256
from hub.scaffold.project import EXAMPLE, Project, names_of, plan, write
from hub.scaffold.requests import read_file


def run(
    settings: Settings,
    name: str,
    captures: Sequence[str],
    secrets: Sequence[str],
    folder: Path | None,
) -> None:
    """Write the project, and tell what was found out and what to do next."""
    names_of(name)
    if captures:
        requests = [request for named in captures for request in _requests(settings, named)]
        candidates = [*secrets, *settings.webhook_secret]
        candidates += [one for source in settings.sources.values() for one in source.secrets]
    else:
        requests, candidates = [EXAMPLE], []
    project = plan(name, requests, candidates)
    place = folder or Path(name)
    tried = write(project, place, settings)
    for line in _report(project, place, tried, bool(captures), bool(candidates)):
        click.echo(line)
    if any(one.status >= 500 for one in tried):
        sys.exit(1)


def _requests(settings: Settings, named: str) -> list[CapturedRequest]:
    """What ``named`` means: a capture's id, or a file."""
    if not named.isdigit() or Path(named).exists():
        return [read_file(Path(named))]
    found = requests_of(settings, int(named))
    if not found:
        raise SettingError(f"from-capture: capture {named} has taken no request yet")
    return found


def _report(
    project: Project, folder: Path, tried: Sequence[Tried], is_captured: bool, had_secrets: bool
) -> Iterator[str]:
    draft, module = project.draft, folder / project.package / f"{project.module}.py"
    if is_captured:
        for role, member in draft.proposal.roles.items():
            yield f"{role}: /{'/'.join(member.path)}"
        if draft.kind is not None:
            where = f"header {draft.kind.header}" if draft.kind.header else f"/{draft.kind.member}"
            yield f"check-ins are those where {where} is {draft.kind.value}"
        yield _signature(project, had_secrets)
    for one in tried:
        made = ", ".join(told(operation)["operation"] for operation in one.operations)
        answer = json.dumps(one.answer.get("message") or one.answer.get("error"))
        yield f"{one.fixture.name}: {made or 'nothing'}; answered {one.status} {answer}"
        yield from one.faults
    yield f"written: {', '.join(str(folder / name) for name in project.files if not _is_empty(name))}"
    yield f"look at what normalize makes of a payload, in {module}; then"
    yield f"  attendance-hub try {module} {folder / 'fixtures'}"
    yield f"  python -m pytest {folder}"
    yield f"  attendance-hub serve --plugins {module.parent}"
    if draft.scheme is not OPEN:
        variable = f"HUB_SOURCE_{project.module.upper()}_SECRETS"
        yield f"the source takes signed requests only, once {variable} has its secret"


def _signature(project: Project, had_secrets: bool) -> str:
    scheme, found = project.draft.scheme, ", ".join(project.draft.suspicious)
    if isinstance(scheme, HmacSha256):
        return f"signature: {scheme.header}, HMAC-SHA256 of {scheme.signed}; a secret fits"
    if scheme is STANDARD_WEBHOOKS:
        return "signature: Standard Webhooks; a secret fits"
    if scheme is not OPEN:
        return f"signature: none, but a secret is in {scheme.headers[0]}"
    if not found:
        return "signature: none was found, so anyone who reaches the hub may post"
    if not had_secrets:
        return f"signature: {found} may be one; say --secret, so that it can be recognised"
    return f"signature: none of the secrets fits {found}; anyone who reaches the hub may post"


def _is_empty(name: str) -> bool:
    return name.endswith(("__init__.py", "py.typed"))
