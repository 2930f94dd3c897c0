"""``new-source`` of each fixture of the catalogue, from its request alone: right, or asked about."""

import hmac
import json
import re
import subprocess
import sys
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from catalogue import CATALOGUE, FOLDER, settings
from click.testing import CliRunner
from own_tests import require_passing

from hub.cli import main
from hub.testing.fixtures import fixtures
from hub.testing.memory import SECRET, MemoryHub

TRUE = {
    "zoom": {
        "student": "participant/email",
        "event": "object/topic",
        "time": "join_time leave_time",
    },
    "slack": {"student": "user_id", "event": "text"},
    "jotform": {"student": "q5_studentId q4_email", "event": "q6_event"},
    "twilio": {"student": "From", "event": "Body"},
    "eventbrite": {},
    "zkteco": {"student": "column_1", "event": "SN", "time": "column_2"},
    "canvas": {
        "student": "user_sis_id user_id",
        "event": "quiz_id",
        "time": "event_time submitted_at",
    },
    "readers": {"student": "card_uid", "event": "reader"},
    "typeform": {"event": "hidden/event", "time": "submitted_at"},
    "msforms": {"student": "student responder", "event": "event", "time": "submitDate"},
    "calendly": {"student": "email", "event": "scheduled_event", "time": ""},
    "pretix": {"event": "event"},
    "luma": {"student": "user_email", "event": "data/event", "time": "checked_in_at"},
    "discord": {"student": "member/user/id", "event": "value"},
    "unifi": {"student": "actor/id", "event": "location"},
}
"""What the members of a check-in are that each system means: a part of the path of each."""

PROJECTS = [
    pytest.param(name, one, id=f"{name}-{one.name}")
    for name in CATALOGUE
    for one in fixtures(FOLDER / name)
]


def raw(name, fixture):
    """The fixture as HTTP has it, signed with ``SECRET`` as its sender would sign."""
    hub = MemoryHub(name, settings(name))
    try:
        request = hub.of_fixture(name, fixture)
        if name not in ("discord", "canvas"):
            endpoint = hub.endpoint(name)
            request = hub.signed(endpoint, request)
        elif name == "canvas":
            request = hub.signed(hub.endpoint(name), request)
        else:
            headers = {"x-signature-ed25519": "ab" * 64, "x-signature-timestamp": "1773165731"}
            request = replace(request, headers={**request.headers, **headers})
    finally:
        hub.close()
    target = request.path + (f"?{request.query}" if request.query else "")
    headers = {**request.headers, "host": "hub.example.edu"}
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{k}: {one}" for k, one in headers.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + request.body


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The project of a fixture, and what the command said; made once."""
    folder, made = tmp_path_factory.mktemp("written"), {}

    def written(name, fixture):
        key = f"{name}-{fixture.name}".lower().replace("_", "-").replace(".", "-")
        key = re.sub("-+", "-", key)
        if key not in made:
            file = folder / f"{key}.http"
            file.write_bytes(raw(name, fixture))
            options = [] if name in ("zkteco", "discord", "canvas") else ["--secret", SECRET]
            done = CliRunner().invoke(
                main, ["new-source", f"x{len(made)}", "--from-capture", str(file), *options,
                       "--into", str(folder / key)],
            )  # fmt: skip
            assert done.exit_code == 0, (done.output, done.exception)
            (module,) = (folder / key).glob("attendance_hub_*/x*.py")
            made[key] = folder / key, module.read_text(), done.output
        return made[key]

    return written


@pytest.mark.xdist_group("written")
@pytest.mark.parametrize(("name", "fixture"), PROJECTS)
class TestEach:
    def test_each_member_is_right_or_asked_about(self, written, name, fixture):
        _, text, said = written(name, fixture)
        told = dict(re.findall(r"^([a-z' -]+): (/\S+)$", said, re.MULTILINE))
        # Only what is asked about may be wrong.
        for role, ours in (("student", ("student", "student's e-mail", "student's id there")),
                           ("event", ("event", "event's id there")), ("time", ("time",))):  # fmt: skip
            true = TRUE[name].get(role, "").split()
            for one in ours:
                if one not in told or any(part in told[one] for part in true):
                    continue
                assert is_asked(text, one, told[one]), (one, told[one], text)
        if "yield CheckIn(" not in text:
            assert "# ? no member looks like a student" in text

    def test_its_signature_is_found(self, written, name, fixture):
        folder, text, said = written(name, fixture)
        if name in ("zkteco", "canvas", "discord"):
            assert "# ?" in text
        else:
            assert "so nobody gets in" not in said, said
        assert SECRET not in said
        for path in folder.rglob("*"):
            assert not path.is_file() or SECRET not in path.read_text()

    def test_what_happened_is_no_event(self, written, name, fixture):
        _, text, _ = written(name, fixture)
        for line in text.splitlines():
            if "event=" in line or "name=" in line:
                assert '"action"' not in line
                assert '["event"],' not in line or name in (
                    "jotform",
                    "msforms",
                    "pretix",
                    "typeform",
                ), line
        for own in ("webhook_id", "notification_id", "event_id", "webhookURL"):
            for line in text.splitlines():
                if f'"{own}"' in line and "authenticate" not in line:
                    assert "delivery_key" not in line, line


def is_asked(text, role, path):
    last = path.rpartition("/")[2]
    return any(f'["{last}"]' in line and "# ?" in line for line in text.splitlines()) or not any(
        f'["{last}"]' in line for line in text.splitlines()
    )


@pytest.mark.xdist_group("written")
def test_they_pass_their_own_tests_lint_and_types(written, tmp_path):
    folders = [written(*one.values)[0] for one in PROJECTS]
    root = folders[0].parent
    for command in (
        ["ruff", "check", "--isolated", "--line-length", "160", "--select", "B,E,F,I,RUF,UP"],
        ["ruff", "format", "--check", "--isolated", "--line-length", "160"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    require_passing(root)


@pytest.mark.parametrize(
    "contents",
    [
        b"POST /x HTTP/1.1\r\nContent-Type: multipart/form-data\r\n\r\nnonsense",
        b"POST /x HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b",
        b"POST /x HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=%ff",
        b"POST /x HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\na=1&a=2&=",
        b"POST /x HTTP/1.1\r\nContent-Type: application/jwt\r\n\r\neyJ.eyJ.x",
        b"POST /x HTTP/1.1\r\n\r\n",
        b"GET /x HTTP/1.1\r\n\r\n",
        b"GET /x?a=1&a=2 HTTP/1.1\r\n\r\n",
        b"GET /x?%ff HTTP/1.1\r\n\r\n",
        b"PROPFIND /x HTTP/1.1\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n\xff\xfe",
        b"POST /x HTTP/1.1\r\nContent-Type: text/plain\r\n\r\na\tb\n",
        b"POST /x HTTP/1.1\r\nContent-Type: text/csv\r\n\r\nName,When\nAda,2026-03-10T18:02:11Z\n",
        b"POST /x HTTP/1.1\r\nContent-Type: image/png\r\n\r\n\x89PNG",
        b"[]", b"[1, [2]]", b"[{}]", b"null", b'"a"', b"7", b"\xff", b"",
        b'[{"student_id": "a1", "event": "x"}, {"student_id": "a2"}]',
        b'{"type": "event_callback", "challenge": "x"}',
        b'{"token": "x", "challenge": "abc", "type": "url_verification"}',
        b'{"event": {"type": "a.b"}, "data": [{"type": "c.d"}]}',
        b'{"a": {"b": {"c": {"d": {"event": "x.y"}}}}}',
        b'{"' + b"x" * 500 + b'": 1}',
        b'{"event": "a.joined", "event_id": "1", "webhook_id": "2", "id": 3, "created_at": "2026-03-10"}',
    ],
    ids=range(29),
)  # fmt: skip
@pytest.mark.parametrize("secret", [None, "a secret of some length"])
def test_no_request_ends_in_a_traceback(tmp_path, monkeypatch, contents, secret):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.http").write_bytes(contents)
    options = ["--secret", secret] if secret else []
    done = CliRunner().invoke(main, ["new-source", "gate", "--from-capture", "one.http", *options])
    assert done.exit_code in (0, 2), (done.output, done.exception)
    if done.exit_code:
        assert done.output.count("\n") == 1
        assert "from-capture: " in done.output


def digest(algorithm, content, secret=b"a secret of some length"):
    return hmac.new(secret, content, algorithm)


def form(**members):
    return urlencode(members).encode()


FORM = "application/x-www-form-urlencoded"
PERSON = {"student_id": "a12345678", "event": "Chess"}
FILE = (
    b'--b\r\nContent-Disposition: form-data; name="data"; filename="d.json"\r\n'
    b'Content-Type: application/json\r\n\r\n{"student_id": "a12345678", "event": "Chess"}\r\n'
    b'--b\r\nContent-Disposition: form-data; name="photo"; filename="p.jpg"\r\n'
    b"Content-Type: image/jpeg\r\n\r\n\xff\xd8\r\n--b--\r\n"
)
SIGNED = [
    ("form:sig, URL", FORM, "", form(**PERSON, sig="@"), "sha1", b"https://h.example/x", "form:sig"),
    ("form:token", FORM, "", form(**PERSON, token="a secret of some length"), None, b"", "form:token"),
    ("json:/sig", "application/json", "", json.dumps({**PERSON, "sig": "@"}).encode(), "sha256",
     b"https://h.example/x", "json:/sig"),
    ("query:apikey", "multipart/form-data; boundary=b", "?apikey=a+secret+of+some+length", FILE,
     None, b"", "query:apikey"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content_type", "query", "body", "algorithm", "content", "place"),
    [one[1:] for one in SIGNED],
    ids=[one[0] for one in SIGNED],
)
def test_a_credential_in_a_body_or_a_query(
    tmp_path, monkeypatch, content_type, query, body, algorithm, content, place
):
    monkeypatch.chdir(tmp_path)
    if algorithm:
        made = digest(algorithm, content).hexdigest().encode()
        body = body.replace(b"%40", made).replace(b"@", made)
    head = f"POST /x{query} HTTP/1.1\r\nHost: h.example\r\nContent-Type: {content_type}\r\n\r\n"
    (tmp_path / "one.http").write_bytes(head.encode() + body)
    options = ["--from-capture", "one.http", "--secret", "a secret of some length"]
    done = CliRunner().invoke(main, ["new-source", "gate", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    assert place in done.output
    assert "CheckIn; answered 201" in done.output, done.output
    assert "refuses" not in done.output
    require_passing(tmp_path, "gate")


def test_the_address_of_the_hub_may_be_signed_and_its_zone_does_not_matter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hub.toml").write_text(
        'public_url = "https://hub.example.edu"\ntime_zone = "America/Denver"\n'
    )
    body = form(**PERSON, scanned_at="2026-03-01 18:02:11")
    made = digest("sha1", b"https://hub.example.edu/x" + body).hexdigest()
    head = (
        f"POST /x HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nX-Sig: {made}\r\nContent-Type: {FORM}\r\n\r\n"
    )
    (tmp_path / "one.http").write_bytes(head.encode() + body)
    options = ["--from-capture", "one.http", "--secret", "a secret of some length"]
    output = CliRunner().invoke(main, ["new-source", "gate", *options]).output
    assert "signature: X-Sig, HMAC (sha1) of {url}{body}; the secret fits" in output
    (expected,) = (tmp_path / "gate" / "fixtures").glob("*.expected.json")
    assert "2026-03-01T18:02:11Z" in expected.read_text()
