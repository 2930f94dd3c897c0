"""``attendance-hub new-source``: what it writes works untouched, and tells of nobody who was captured."""

import ast
import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from hubtest import Client
from standardwebhooks.webhooks import Webhook

import hub
from hub.cli import main
from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import utc_now
from hub.receive.signatures import SCHEMES, HmacSha256, SharedSecret
from hub.scaffold.members import members
from hub.scaffold.recognition import recognise

ONCE = pytest.mark.skipif(
    os.environ.get("HUB_TEST_STORE") == "postgres", reason="it has no part of the store"
)
CAPTURES = Path(__file__).parent / "captures"
SECRET = "It's a Secret to Everybody"
REAL = (
    "Grete", "Musterfrau", "grete.musterfrau", "Linus", "a20394857", "20394857", "88213", "797-1000",
    "2001-02-03", "sess_771", "evt_9f8a7", "dev-1", "msg-77", "Compilers", "Old Main", "41.74", "vip",
    "04:A2:B9", "front-door", "7319002", "Math", "Muster", "4411", "Baking", "17:02", "2026-11-23",
)  # fmt: skip


def signed(contents, made):
    """A capture's file with its signature; made over ``made`` of its body."""
    head, _, body = contents.partition(b"\n\n")
    digest = hmac.new(SECRET.encode(), made(body), hashlib.sha256).hexdigest()
    return head.replace(b"{signature}", b"v1=" + digest.encode()) + b"\n\n" + body


@pytest.fixture
def new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def new(name, *arguments, status=0):
        done = CliRunner().invoke(main, ["new-source", name, *arguments])
        assert done.exit_code == status, (done.output, done.exception)
        return done.output

    return new


@pytest.fixture
def capture(tmp_path):
    def capture(name):
        contents = (CAPTURES / name).read_bytes()
        file = tmp_path / name
        file.write_bytes(signed(contents, lambda body: b"1772388131." + body))
        return str(file)

    return capture


def module_of(folder):
    (path,) = (one for one in folder.glob("attendance_hub_*/*.py") if one.name != "__init__.py")
    return path


@ONCE
@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.iterdir()))
def test_what_it_writes_passes_its_own_tests_and_tells_of_nobody(new, capture, tmp_path, name):
    new("gate", "--from-capture", capture(name), "--secret", SECRET)
    texts = {path: path.read_text() for path in (tmp_path / "gate").rglob("*") if path.is_file()}
    for path, text in texts.items():
        assert not [real for real in REAL if real in text], path
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path / "gate", capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    passed = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert passed, done.stdout[-2000:]
    assert int(passed[1]) >= 16


@ONCE
@pytest.mark.parametrize("name", [*sorted(path.name for path in CAPTURES.iterdir()), None])
def test_what_it_writes_is_formatted_linted_and_typed(new, capture, tmp_path, name):
    new("gate", *(["--from-capture", capture(name)] if name else []), "--secret", SECRET)
    # Beside a checkout that is not installed, mypy is told where the hub's types are.
    root = Path(hub.__file__).parents[1]
    is_installed = "site-packages" in str(root)
    environment = {**os.environ, **({} if is_installed else {"MYPYPATH": str(root)})}
    mypy = ["mypy"] if is_installed else ["mypy", "--follow-imports=silent"]
    for command in (["ruff", "check"], ["ruff", "format", "--check"], mypy):
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=tmp_path / "gate", env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_without_a_capture_it_is_an_example_that_works(new, make_hub, tmp_path):
    output = new("front-gate", "--into", "there/front")
    assert "attendance-hub serve --plugins there/front/attendance_hub_front_gate" in output
    folder = tmp_path / "there/front"
    client = Client(make_hub(plugins=str(folder / "attendance_hub_front_gate")))
    payload = json.loads((folder / "fixtures/check-in__captured.json").read_text())
    assert client.post("/api/webhook/front-gate/", payload).status == 404
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["attendance_hub"] == {
        "front_gate": "attendance_hub_front_gate.front_gate"
    }


def test_it_is_a_distribution_that_the_hub_finds(new, tmp_path):
    new("gate")
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation",
            "--no-index", "--target", str(tmp_path / "site"), str(tmp_path / "gate"),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(
        [sys.executable, "-m", "hub", "plugins"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "gate 0.1.0 (attendance-hub-gate)\n" in done.stdout
    assert "  source gate: /api/webhook/gate/  open\n" in done.stdout


class TestTheProposal:
    def told(self, output):
        return dict(re.findall(r"^([a-z' -]+): (/\S+)$", output, re.MULTILINE))

    def test_of_a_badge_platform(self, new, capture, tmp_path):
        output = new("gate", "--from-capture", capture("badge-platform.http"), "--secret", SECRET)
        assert self.told(output) == {
            "student": "/data/attendee/student_id",
            "student's e-mail": "/data/attendee/email",
            "student's id there": "/data/attendee/id",
            "first name": "/data/attendee/first_name",
            "last name": "/data/attendee/last_name",
            "event": "/data/session/title",
            "event's id there": "/data/session/id",
            "event's start": "/data/session/starts_at",
            "time": "/data/scanned_at",
        }
        assert "check-ins are those where /event is badge.scanned\n" in output
        assert "HMAC-SHA256 of timestamp.body; a secret fits\n" in output
        assert "SaveStudent, SaveEvent, CheckIn; answered 201" in output
        assert SECRET not in output
        schema = json.loads((module_of(tmp_path / "gate").parent / "gate.schema.json").read_text())
        data = schema["properties"]["data"]
        assert data["required"] == ["attendee", "session", "scanned_at"]
        assert data["properties"]["scanned_at"] == {"type": "string", "format": "date-time"}
        assert data["properties"]["note"] == {}

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("card-reader.json", {"student's id there": "/uid", "event": "/reader", "time": "/ts"}),
            (
                "batch.json",
                {"student": "/scans/[]/badgeNumber", "time": "/scans/[]/scanTime", "event": "/className"},
            ),
            (
                "form.json",
                {"student's e-mail": "/email", "name": "/name", "event": "/meeting",
                 "time": "/checkInTime"},
            ),
            (
                "header-event.http",
                {"student": "/studentNumber", "event": "/courseName", "event's id there": "/courseId",
                 "time": "/at"},
            ),
            ("nothing-known.json", {}),
        ],
    )  # fmt: skip
    def test_of_others(self, new, capture, name, expected):
        assert self.told(new("gate", "--from-capture", capture(name))) == expected

    def test_of_several_captures_requires_what_all_have(self, new, tmp_path):
        for number, extra in enumerate(({"email": "ada@example.edu"}, {}, {"email": None})):
            payload = {"student_id": f"a1000000{number}", "event": "Chess", **extra}
            (tmp_path / f"{number}.json").write_text(json.dumps(payload))
        files = [word for number in range(3) for word in ("--from-capture", f"{number}.json")]
        output = new("gate", *files)
        assert self.told(output) == {"student": "/student_id", "event": "/event"}
        schema = json.loads((module_of(tmp_path / "gate").parent / "gate.schema.json").read_text())
        assert schema["required"] == ["student_id", "event"]
        assert schema["properties"]["email"] == {"type": ["string", "null"]}
        invented = [path.name for path in (tmp_path / "gate/fixtures").glob("*captured-?.json")]
        assert len(invented) == 3

    def test_another_kind_of_event_is_ignored(self, new, tmp_path):
        scan = {"type": "scan.created", "student_id": "a10000001", "event": "Chess"}
        (tmp_path / "1.json").write_text(json.dumps(scan))
        (tmp_path / "2.json").write_text('{"type": "device.online", "serial": "X-77123"}')
        output = new("gate", "--from-capture", "1.json", "--from-capture", "2.json")
        assert "scan.created__captured-1: CheckIn; answered 201" in output
        assert "device.online__captured-2: Ignore; answered 200" in output
        fixture = (tmp_path / "gate/fixtures/device.online__captured-2.json").read_text()
        assert "77123" not in fixture

    def test_members_that_are_not_in_every_item_are_not_always_there(self):
        (one, other) = members([{"a": [{"b": 1}, {"b": 2, "c": 3}]}])
        assert (one.path, one.always) == (("a", "[]", "b"), True)
        assert (other.path, other.always) == (("a", "[]", "c"), False)


BODY = b'{"a": 1}'


def request(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return CapturedRequest(utc_now(), {"content-type": "application/json", **named}, BODY)


class TestTheSignature:
    @pytest.mark.parametrize("scheme", [one for one in SCHEMES.values() if one.scheme != "none"])
    def test_of_each_of_the_hubs_schemes(self, scheme):
        secret = "whsec_" + base64.b64encode(SECRET.encode()).decode()
        headers = scheme.sign(BODY, secret, utc_now(), "msg_1")
        found = recognise(
            [request(**{name.lower(): value for name, value in headers.items()})],
            ["x", secret],
            "gate",
        )
        assert (found.headers, type(found)) == (scheme.headers, type(scheme))

    @pytest.mark.parametrize("encoding", ["hex", "base64"])
    @pytest.mark.parametrize("signed", ["body", "timestamp.body", "id.timestamp.body"])
    @pytest.mark.parametrize("prefix", ["", "sha256=", "v1,"])
    def test_of_any_header_made_over_anything(self, encoding, signed, prefix):
        scheme = HmacSha256(
            "gate", "X-Gate-Sign", "X-Gate-Time", "X-Gate-Id", signed, encoding, prefix
        )
        headers = scheme.sign(BODY, SECRET, utc_now(), "msg_1")
        sent = request(**{name.lower(): value for name, value in headers.items()}, x_other="7")
        found = recognise([sent], ["another", SECRET], "gate")
        assert (found.signed, found.encoding, found.prefix) == (signed, encoding, prefix)
        found.verify(sent.headers, BODY, [SECRET], utc_now())
        assert recognise([sent], ["another"], "gate") is None

    @pytest.mark.parametrize("stamp", ["1772388131", "1772388131000", "2026-03-01T18:02:11Z"])
    def test_made_long_ago(self, stamp):
        made = hmac.new(SECRET.encode(), stamp.encode() + b"." + BODY, hashlib.sha256).hexdigest()
        found = recognise([request(x_sign=made, x_time=stamp)], [SECRET], "gate")
        assert (found.signed, found.timestamp_header) == ("timestamp.body", "X-Time")

    def test_standard_webhooks_of_long_ago(self):
        secret = "whsec_" + base64.b64encode(b"of the standard kind").decode()
        from datetime import UTC, datetime

        sent = datetime(2026, 3, 1, tzinfo=UTC)
        signature = Webhook(secret).sign("msg_1", sent, BODY.decode())
        headers = {"webhook_id": "msg_1", "webhook_timestamp": str(int(sent.timestamp()))}
        found = recognise([request(**headers, webhook_signature=signature)], [secret], "gate")
        assert found.scheme == "standard-webhooks"

    def test_the_secret_itself(self):
        found = recognise([request(authorization=f"Bearer {SECRET}")], [SECRET], "gate")
        assert found == SharedSecret("Authorization", prefix="Bearer ")
        assert recognise([request(x_api_key=SECRET)], [SECRET], "gate") == SharedSecret("X-Api-Key")

    def test_that_fits_one_request_only_is_none(self):
        made = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
        requests = [request(x_sign=made), request(x_sign="0" * 64)]
        assert recognise(requests, [SECRET], "gate") is None

    def test_that_nothing_fits_is_told(self, new, capture, tmp_path):
        output = new(
            "gate", "--from-capture", capture("badge-platform.http"), "--secret", "another"
        )
        assert "signature: none of the secrets fits X-Acme-Signature; anyone" in output
        text = module_of(tmp_path / "gate").read_text()
        assert "# These look like credentials: X-Acme-Signature." in text
        ast.parse(text)
        output = new("gate", "--from-capture", capture("badge-platform.http"), "--into", "other")
        assert "signature: X-Acme-Signature may be one; say --secret" in output


class TestFromTheHub:
    @pytest.fixture
    def captured(self, hub, client, url, monkeypatch):
        output = CliRunner().invoke(main, ["capture", "--database", url]).output
        path = re.search(r"(/api/capture/\S+)", output)[1]
        return lambda payload, **headers: client.post(path, payload, headers=headers)

    def test_a_captures_id(self, new, captured, url, make_hub, tmp_path):
        made = hmac.new(SECRET.encode(), b'{"badge": "a20394857", "room": "Chess"}', hashlib.sha256)
        payload = {"badge": "a20394857", "room": "Chess"}
        assert (
            captured(payload, **{"X-Hub-Signature-256": f"sha256={made.hexdigest()}"}).status == 202
        )
        output = new("gate", "--from-capture", "1", "--secret", SECRET, "--database", url)
        assert "signature: X-Hub-Signature-256, HMAC-SHA256 of body; a secret fits" in output
        text = module_of(tmp_path / "gate").read_text()
        assert "authenticate=GITHUB_SIGNATURE," in text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--from-capture", "1"], "from-capture: capture 1 has taken no request yet"),
            (["--from-capture", "7"], "capture: there is none with the id 7"),
            (
                ["--from-capture", "gone.json"],
                "from-capture: gone.json cannot be read: No such file",
            ),
            (
                ["--from-capture", "text"],
                "the body of request 1 cannot be a payload: Expecting value",
            ),
            (["--into", "."], "into: . is there already; name another with --into"),
            (["--into", "text/below"], "into: text/below cannot be made: Not a directory"),
        ],
    )
    def test_what_cannot_be_is_one_line(self, new, captured, url, tmp_path, arguments, said):
        (tmp_path / "text").write_text("a=1&b=2")
        output = new("gate", *arguments, "--database", url, status=2)
        assert said in output
        assert output.count("\n") == 1

    @pytest.mark.parametrize("name", ["Gate", "1a", "import", "a--b", "../x", "test"])
    def test_a_name_that_is_none(self, new, name):
        assert "cannot be one; use lower-case letters" in new(name, status=2)
