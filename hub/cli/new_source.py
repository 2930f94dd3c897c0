"""``attendance-hub new-source``: write a project for a new source, from nothing or from captures."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from hub.cli.capture import requests_of
from hub.cli.terminal import show
from hub.config.settings import Settings
from hub.domain.captures import CapturedRequest
from hub.errors import SettingError
from hub.scaffold.mapping import Role, is_card
from hub.scaffold.project import EXAMPLE, Project, names_of, plan, write
from hub.scaffold.requests import read_file
from hub.testing.trial import Tried, told
from hub.wire.credentials import SecretIn
from hub.wire.hmacs import Ed25519, Hmac
from hub.wire.signatures import OPEN, STANDARD_WEBHOOKS, HmacSha256


def run(
    settings: Settings,
    name: str,
    captures: Sequence[str],
    secrets: Sequence[str],
    folder: Path | None,
) -> None:
    """Write the project, and tell what was found out and what to do next."""
    names_of(name)
    if not all(secret.strip() for secret in secrets):
        raise SettingError("secret: it is blank; is the variable set that it comes from?")
    if captures:
        requests = [request for named in captures for request in _requests(settings, named)]
        configured = [one for source in settings.sources.values() for one in source.secrets]
        candidates = secrets or [*settings.webhook_secret, *configured]
    else:
        requests, candidates = [EXAMPLE], []
    project = plan(name, requests, candidates, settings.public_url)
    place = folder or Path(name)
    tried = write(project, place)
    for line in _report(project, place, tried, bool(captures), bool(candidates)):
        show(line)
    if any(one.status >= 500 for one in tried):
        sys.exit(1)


def _requests(settings: Settings, named: str) -> list[CapturedRequest]:
    """What ``named`` means: a capture's id, or a file."""
    is_id = named.isascii() and named.isdigit() and len(named) < 10
    if not is_id or Path(named).exists():
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
        yield from _understood(project)
        yield _signature(project, had_secrets)
    for one in tried:
        made = ", ".join(told(operation)["operation"] for operation in one.operations)
        answer = json.dumps(one.answer.get("message") or one.answer.get("error"))
        yield f"{one.fixture.name}: {made or 'nothing'}; answered {one.status} {answer}"
        yield from one.faults
    if any(400 <= one.status < 500 for one in tried):
        yield "the source refuses what was captured; its tests fail until that is mended"
    yield f"written: {folder}/, with the module, its schema, fixtures, tests and packaging"
    yield f"look at what normalize makes of a payload, in {module}; then"
    yield f"  attendance-hub try {module} {folder / 'fixtures'}"
    yield f"  python -m pytest {folder}"
    yield f"  attendance-hub serve --plugins {module.parent}"
    if draft.scheme is not OPEN:
        variable = f"HUB_SOURCE_{project.module.upper()}_SECRETS"
        yield f"the source takes signed requests only; give the hub its secret as {variable}"


def _understood(project: Project) -> Iterator[str]:
    """What its members were taken for, and what of it may be wrong."""
    draft, roles = project.draft, project.draft.proposal.roles
    for role, member in roles.items():
        yield f"{role}: /{'/'.join(member.path)}"
        if role in (Role.TIME, Role.EVENT_START):
            if (form := member.moment or "") and member.other_form:
                yield f"  read as {form}; it could also be {member.other_form}"
            if not member.has_zone:
                yield "  without an offset, so it is in the hub's time_zone"
    if draft.kind is not None:
        own = f"/{'/'.join(draft.kind.path)}"
        where = f"header {draft.kind.header}" if draft.kind.header else own
        yield f"check-ins are those where {where} is {draft.kind.value}"
    if project.unused:
        yield f"not used: {', '.join('/' + '/'.join(path) for path in project.unused)}"
    for member in project.unread:
        yield f"not understood: /{'/'.join(member.path)} looks like a time; read it in normalize"
    known = {Role.A_NUMBER, Role.EMAIL} & set(roles)
    if Role.PERSON_ID in roles and not known and not {Role.FULL_NAME, Role.FIRST_NAME} & set(roles):
        if is_card(roles[Role.PERSON_ID]):
            yield (
                "a card's number: give it to a student with attendance-hub desk save-student STUDENT "
                "--identifier card=NUMBER, or with the source cards (docs/built-ins.md)"
            )
        else:
            kind = f"{project.module}_person"
            yield (
                f"no student has an identifier of the kind {kind} yet; until one has, every check-in is "
                "answered 404"
            )


def _signature(project: Project, had_secrets: bool) -> str:
    draft = project.draft
    scheme, found = draft.scheme, ", ".join(draft.suspicious)
    if not draft.is_scheme_known:
        what = f"{found} may be one" if found else "none is known to fit"
        said = "no secret fits it" if had_secrets else "it is not checked"
        mend = "is the secret the system's, and is the body byte by byte what was sent?"
        return f"signature: {what}, {said}, so nobody gets in; {mend if had_secrets else 'use --secret'}"
    if isinstance(scheme, HmacSha256):
        return f"signature: {scheme.header}, HMAC-SHA256 of {scheme.signed}; the secret fits"
    if isinstance(scheme, Hmac | Ed25519):
        kind = f"HMAC ({scheme.algorithm})" if isinstance(scheme, Hmac) else "Ed25519"
        return f"signature: {scheme.place}, {kind} of {scheme.signed}; the secret fits"
    if scheme is STANDARD_WEBHOOKS:
        return "signature: Standard Webhooks; the secret fits"
    if isinstance(scheme, SecretIn):
        return f"signature: none, but a secret is in {scheme.place}"
    if scheme is not OPEN:
        return f"signature: none, but a secret is in {scheme.headers[0]}"
    return "signature: none was found, so anyone who reaches the hub may post"
