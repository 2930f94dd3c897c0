"""The project of a new source: a distribution of its own, with its fixtures and its tests."""

import copy
import json
import keyword
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any

from hub.config.settings import Settings
from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import utc_now
from hub.errors import SettingError
from hub.scaffold.inference import infer
from hub.scaffold.invented import Inventor
from hub.scaffold.look import Look, looked_at, looks_secret, rows_of
from hub.scaffold.mapping import Proposal, is_kind, propose, unread_times
from hub.scaffold.members import Member, is_data, members, words
from hub.scaffold.members import Path as Path_
from hub.scaffold.module import Draft, Kind, module_text
from hub.scaffold.recognition import recognise, suspicious
from hub.testing import trial
from hub.testing.fixtures import fixtures
from hub.wire.hmacs import RequestAuthentication, has_keys
from hub.wire.jwt import Jwt
from hub.wire.request import as_written, steps_of
from hub.wire.signatures import OPEN, SHARED_SECRET, Authentication
from hub_plugins import BUILT_INS, OPTIONAL

_TAKEN = frozenset({*BUILT_INS, *OPTIONAL, "attendance", "status"})
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

EXAMPLE = CapturedRequest(
    utc_now(),
    {},
    b'{"badge": "a12345678", "room": "Weekly Meeting", "scanned_at": "2026-03-01T18:02:11Z"}',
)
"""What a source takes as long as nothing is known of its sender."""

_PYPROJECT = Template("""\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "attendance-hub-$name"
version = "0.1.0"
description = "Check-ins of $name for attendance-hub"
requires-python = ">=3.11"
dependencies = ["attendance-hub"]

[project.optional-dependencies]
test = ["mypy", "pytest", "ruff"]

[project.entry-points.attendance_hub]
$module = "$package.$module"

[tool.setuptools]
packages = ["$package"]

[tool.setuptools.package-data]
$package = ["*.json", "py.typed"]

[tool.pytest.ini_options]
testpaths = ["."]

[tool.ruff]
line-length = 160

[tool.ruff.lint]
select = ["B", "E", "F", "I", "RUF", "UP"]

[tool.mypy]
strict = true
files = ["$package", "test_$module.py"]
""")

_TEST = Template('''\
"""What every source must do, and what this one makes of its fixtures."""

from hub.testing import contract_suite, fixture_suite

PLUGIN = "$package/$module.py"

test_contract = contract_suite(PLUGIN, "fixtures")
test_fixtures = fixture_suite(PLUGIN, "fixtures")
''')


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is to be written: its files by path, and what was found out."""

    name: str
    package: str
    module: str
    files: Mapping[str, str]
    draft: Draft
    unread: Sequence[Member]
    unused: Sequence[Path_]


def names_of(name: str) -> tuple[str, str]:
    """The names of the module and of its package. Raises SettingError."""
    module = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(module) or module == "test":
        raise SettingError(
            f"name: {name!r} is not a valid name; use lower-case letters and digits, - or _ between "
            "them, a letter first, and no keyword of Python"
        )
    if name in _TAKEN:
        raise SettingError(
            f"name: the hub has a source {name}, or a path of this name; choose another"
        )
    return module, f"attendance_hub_{module}"


def plan(
    name: str, requests: Sequence[CapturedRequest], secrets: Sequence[str], public_url: str = ""
) -> Project:
    """What a project of this name has in it. Raises SettingError for a request that nothing can be made
    of.
    """
    module, package = names_of(name)
    look = looked_at(requests)
    requests = look.requests
    scheme, is_known = _scheme(requests, secrets, name, public_url)
    payloads = tuple(_without_credential(one, scheme) for one in look.payloads)
    look = replace(look, payloads=payloads)
    if look.rows:
        rows = list(rows_of(look))
        kind = _kind(rows, ())
        told = [row for row in rows if kind is None or _at(row, kind.path) == kind.value]
    else:
        kind = _kind(payloads, requests)
        told = [payload for payload, request in zip(payloads, requests, strict=True)
                if kind is None or _value(kind, payload, request) == kind.value]  # fmt: skip
    found = members(told)
    proposal = propose([one for one in found if not looks_secret(one.path[-1])], kind is not None)
    look, found = _without_unused(look, found, proposal)
    payloads = look.payloads
    told = [_but(one, look) for one in told]
    suspects = suspicious(requests)
    draft = Draft(
        name, module, proposal, scheme, kind, suspects, look, is_known, tuple(_addresses(found))
    )
    schema = infer(told, list(_needed(proposal)), f"A check-in of {name}")
    files = {
        "pyproject.toml": _filled(_PYPROJECT, name, module, package),
        f"test_{module}.py": _filled(_TEST, name, module, package),
        f"{package}/__init__.py": "",
        f"{package}/py.typed": "",
        f"{package}/{module}.py": module_text(draft),
        f"{package}/{module}.schema.json": _json(schema),
    }
    inventor = Inventor(members(list(rows_of(look))), proposal)
    for number, (payload, request) in enumerate(zip(payloads, requests, strict=True), start=1):
        event = "check-in" if look.rows else _event(kind, payload, request)
        variant = "captured" if len(payloads) == 1 else f"captured-{number}"
        fixture = f"fixtures/{event}__{variant}"
        invented = (
            [inventor.payload(one) for one in payload] if look.rows else inventor.payload(payload)
        )
        files[f"{fixture}.json"] = _json(invented)
        if kind is not None and kind.header is not None:
            value = request.headers.get(kind.header.lower())
            if value is not None:
                files[f"{fixture}.headers.json"] = _json({kind.header: value})
    used = {member.path for member in proposal.roles.values()}
    if kind is not None and kind.header is None:
        used.add(kind.path)
    unused = [one.path for one in found if one.path not in used]
    return Project(name, package, module, files, draft, unread_times(found), unused)


def _without_unused(
    look: Look, found: list[Member], proposal: Proposal
) -> tuple[Look, list[Member]]:
    """A look without the members of the query that nothing is made of."""
    used = {member.path[-1] for member in proposal.roles.values()}
    kept = {name: place for name, place in look.members.items() if name in used}
    unused = set(look.members) - set(kept)
    if not unused:
        return look, found
    own = replace(look, members=kept, unused=frozenset(unused))
    payloads = tuple(
        [_but(one, own) for one in payload] if isinstance(payload, list) else _but(payload, own)
        for payload in look.payloads
    )
    return replace(own, payloads=payloads), [one for one in found if one.path[-1] not in unused]


def _but(payload: Any, look: Look) -> Any:
    """A payload without the members that are not used."""
    if not isinstance(payload, dict):
        return payload
    return {name: one for name, one in payload.items() if name not in look.unused}


def _addresses(found: Sequence[Member]) -> Iterator[str]:
    """The members with an address, at which there may be more to fetch."""
    for member in found:
        if member.given and all(str(one).startswith("https://") for one in member.given):
            yield "/".join(member.path)


def write(project: Project, folder: Path) -> list[trial.Tried]:
    """Write the project into a new folder, and try its fixtures: what becomes of them is expected.

    Raises SettingError where the folder is there already, or cannot be made.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise SettingError(f"into: {folder} is there already; name another with --into") from None
    except OSError as error:
        raise SettingError(f"into: {folder} cannot be made: {error.strerror}") from None
    for name, contents in project.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(contents, "utf-8")
    tried = []
    with _no_bytecode():
        for fixture in fixtures(folder / "fixtures"):
            plugin = folder / project.package / f"{project.module}.py"
            # As its tests do: without what is set here.
            done = trial.try_fixture(plugin, None, fixture, Settings())
            fixture.expectation.write_text(trial.written(done.result), "utf-8")
            tried.append(done)
    return tried


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """What is imported in the block leaves no ``__pycache__`` beside it."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _scheme(
    requests: Sequence[CapturedRequest], secrets: Sequence[str], name: str, public_url: str
) -> tuple[Authentication, bool]:
    """The scheme that fits, and whether it is known to. Where something looks like a credential and no
    spelling fits, one that lets nobody in.
    """
    # An editor may have added a line's end to the file of a request.
    for cut in (bytes, lambda body: body.removesuffix(b"\n"), lambda body: body.rstrip(b"\r\n")):
        as_sent = [replace(request, body=cut(request.body)) for request in requests]
        scheme = recognise(as_sent, secrets, name, public_url) if secrets else None
        if scheme is not None:
            return scheme, True
    if (token := _token(requests[0])) is not None:
        return token, False
    return (SHARED_SECRET, False) if secrets or suspicious(requests) else (OPEN, True)


def _without_credential(payload: Any, scheme: Authentication) -> Any:
    """A payload without what stands where the scheme has its credential."""
    if not isinstance(payload, dict) or not isinstance(scheme, RequestAuthentication):
        return payload
    for place in scheme.places:
        if place.kind in ("query", "form"):
            payload = {name: one for name, one in payload.items() if name != place.name}
        elif place.kind == "json":
            *around, last = steps_of(place.name)
            payload = copy.deepcopy(payload)
            inner = _at(payload, tuple(around))
            if isinstance(inner, dict):
                inner.pop(last, None)
    return payload


def _token(request: CapturedRequest) -> Authentication | None:
    """Of a token that a key of the sender's has signed: where those keys may be."""
    if not has_keys():
        return None
    import jwt

    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    for place, text in (
        ("body", request.body.decode("latin-1").strip('" \r\n')),
        ("Authorization", bearer),
    ):
        if not text.startswith("eyJ"):
            continue
        try:
            algorithm = str(jwt.get_unverified_header(text).get("alg", ""))
            keys = "https://keys.example/.well-known/jwks.json"
            return Jwt(place, algorithms=(algorithm,), jwks=keys)
        except (jwt.PyJWTError, ValueError):
            continue
    return None


def _needed(proposal: Proposal) -> Any:
    """The members without which there is no check-in; also where a delivery's id may be absent."""
    return proposal.roles.values()


def _kind(payloads: Sequence[Any], requests: Sequence[CapturedRequest]) -> Kind | None:
    """What says what happened, in a member or in a header; of several, the first payload's outermost."""
    for path, value in sorted(_texts(payloads[0], ()), key=lambda pair: len(pair[0])):
        if is_kind(frozenset(words(path[-1])), value) and all(
            _at(payload, path) is not None for payload in payloads
        ):
            return Kind(path, value, None)
    if not isinstance(payloads[0], dict):
        return None
    for name, value in requests[0].headers.items() if requests else ():
        own = frozenset(words(name))
        if name.startswith("x-") and is_kind(own - frozenset(words(_vendor(name))), value.strip()):
            header = as_written(name)
            kind = Kind(("event",), value.strip(), header)
            return kind if "event" not in payloads[0] else None
    return None


def _texts(value: Any, path: Path_) -> Iterator[tuple[Path_, str]]:
    """The texts in objects, but not far in."""
    if isinstance(value, dict) and len(path) < 3:
        for name, member in value.items():
            if not is_data(name):
                yield from _texts(member, (*path, name))
    elif isinstance(value, str) and path:
        yield path, value


def _at(payload: Any, path: Path_) -> Any:
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload


def _vendor(header: str) -> str:
    """What stands between ``x-`` and the last word of a header."""
    return " ".join(header.split("-")[1:-1])


def _value(kind: Kind, payload: Any, request: CapturedRequest) -> Any:
    if kind.header is None:
        return _at(payload, kind.path)
    return request.headers.get(kind.header.lower(), "").strip()


def _event(kind: Kind | None, payload: Any, request: CapturedRequest) -> str:
    """The part of a fixture's name that tells what happened."""
    if kind is None:
        return "check-in"
    value = _value(kind, payload, request)
    if not isinstance(value, str) or not is_kind(frozenset({"type"}), value):
        return "other"
    return re.sub(r"[^a-z0-9.]+", "-", value.lower())


def _filled(template: Template, name: str, module: str, package: str) -> str:
    return template.substitute(name=name, module=module, package=package)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
