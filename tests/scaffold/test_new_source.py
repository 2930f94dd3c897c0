"""``attendance-hub new-source``: what it writes works untouched, and tells of nobody who was captured."""

import base64
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hubtest import Client
from standardwebhooks.webhooks import Webhook

import hub
from hub.cli import main
from hub.domain.captures import CapturedRequest
from hub.domain.timestamps import utc_now
from hub.scaffold.members import members
from hub.scaffold.recognition import recognise
from hub.wire.signatures import SCHEMES, HmacSha256, SharedSecret

CAPTURES = Path(__file__).parent / "captures"
SECRET = "It's a Secret to Everybody"
REAL = (
    "Grete", "Musterfrau", "grete.musterfrau", "Linus", "a20394857", "20394857", "88213", "797-1000",
    "2001-02-03", "sess_771", "evt_9f8a7", "dev-1", "msg-77", "Compilers", "Old Main", "41.74", "vip",
    "04:A2:B9", "front-door", "7319002", "Math", "Muster", "4411", "Baking", "17:02", "2026-11-23",
    "7f0c1d52", "0942", "BK-99120", "H-55310", "2026-02-11",
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


def capture_of(name, folder, secret=SECRET):
    """The options for a capture, signed where it has a place for a signature."""
    contents = (CAPTURES / name).read_bytes()
    file = folder / name
    file.write_bytes(signed(contents, lambda body: b"1772388131." + body))
    is_signed = secret and b"{signature}" in contents
    return ["--from-capture", str(file), *(["--secret", secret] if is_signed else [])]


@pytest.fixture
def capture(tmp_path):
    return lambda name, secret=SECRET: capture_of(name, tmp_path, secret)


def module_of(folder):
    (path,) = (one for one in folder.glob("attendance_hub_*/*.py") if one.name != "__init__.py")
    return path


@pytest.fixture(scope="session")
def projects(tmp_path_factory):
    """A folder with a project for each capture, named after it, and one that is made without any."""
    folder = tmp_path_factory.mktemp("projects")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for file in sorted(CAPTURES.iterdir()):
            name = file.stem
            done = CliRunner().invoke(main, ["new-source", name, *capture_of(file.name, folder)])
            assert done.exit_code == 0, (done.output, done.exception)
        assert CliRunner().invoke(main, ["new-source", "example"]).exit_code == 0
    return folder


def made(projects):
    return sorted(file.parent for file in projects.glob("*/pyproject.toml"))


def run(*command, folder, environment=None):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.xdist_group("projects")
class TestWhatItWrites:
    """Whatever was captured, nobody has to change a line."""

    def test_it_tells_of_nobody(self, projects):
        for project in made(projects):
            for path in project.rglob("*"):
                if path.is_file():
                    assert path.suffix in (".py", ".json", ".toml", ".typed")
                    text = path.read_text()
                    assert not [real for real in REAL if real in text], path

    def test_it_passes_its_own_tests(self, projects):
        done = run(
            "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist",
            "--junit-xml=report.xml", folder=projects,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
        # Also inside of a checkout whose own settings of pytest would not do.
        (projects / "tox.ini").write_text("[pytest]\naddopts = --unknown\n")
        done = run("pytest", "example", "-q", "-p", "no:cacheprovider", folder=projects)
        (projects / "tox.ini").unlink()
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        report = ElementTree.parse(projects / "report.xml")
        passed = Counter(case.get("classname").split(".")[0] for case in report.iter("testcase"))
        assert set(passed) == {project.name for project in made(projects)}
        assert min(passed.values()) >= 16

    @pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]], ids=" ".join)
    def test_it_is_formatted_and_linted(self, projects, arguments):
        done = run("ruff", *arguments, folder=projects)
        assert done.returncode == 0, done.stdout + done.stderr

    def test_it_is_typed(self, projects):
        folders = made(projects)
        # Each says the same to mypy but its own files, so one run checks them all.
        texts = [(project / "pyproject.toml").read_text() for project in folders]
        settings = {re.sub(r"files = .*", "", text.partition("[tool.mypy]")[2]) for text in texts}
        assert settings == {"\nstrict = true\n\n"}
        # Beside a checkout that is not installed, mypy is told where the hub's types are.
        root = Path(hub.__file__).parents[1]
        is_installed = "site-packages" in str(root)
        environment = {} if is_installed else {"MYPYPATH": str(root)}
        done = run(
            "mypy", f"--cache-dir={projects / 'mypy'}", f"--config-file={folders[0] / 'pyproject.toml'}",
            *([] if is_installed else ["--follow-imports=silent"]),
            *[str(path) for project in folders for path in project.rglob("*.py")],
            folder=projects, environment=environment,
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
        told = dict(re.findall(r"^([a-z' -]+): (/\S+)$", output, re.MULTILINE))
        return {role: place for role, place in told.items() if role != "not used"}

    def test_of_a_badge_platform(self, new, capture, tmp_path):
        output = new("gate", *capture("badge-platform.http"))
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
        assert "HMAC-SHA256 of timestamp.body; the secret fits\n" in output
        assert (
            "not used: /id, /created_at, /data/attendee/phone, /data/attendee/birthday, " in output
        )
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
            (
                "turnstile.http",
                {"student": "/access/holder/campusNumber", "student's e-mail": "/access/holder/mail",
                 "student's id there": "/access/holder/ref", "name": "/access/holder/displayName",
                 "event": "/access/booking/activity", "event's start": "/access/booking/begins",
                 "time": "/access/grantedAt", "direction": "/access/direction"},
            ),
            ("nothing-known.json", {}),
        ],
    )  # fmt: skip
    def test_of_others(self, new, capture, name, expected):
        assert self.told(new("gate", *capture(name))) == expected

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

    def test_of_captures_of_different_shapes(self, new, tmp_path, hub_with):
        shapes = (
            {"student_id": "a10000001", "event": "Chess", "x": 1, "y": [1, {"z": "q"}], "at": 1772388131,
             "people": {"a10000009": 1}},
            {"student_id": 10000002, "event": "Chess", "x": "one", "y": {}, "at": 1772388131.5,
             "people": {}},
            {"student_id": "a10000003", "event": "Chess", "x": 1.5, "y": None, "at": 1772388132},
        )  # fmt: skip
        for number, shape in enumerate(shapes):
            (tmp_path / f"{number}.json").write_text(json.dumps(shape))
        files = [word for number in range(3) for word in ("--from-capture", f"{number}.json")]
        assert self.told(new("gate", *files))["time"] == "/at"
        schema = json.loads((module_of(tmp_path / "gate").parent / "gate.schema.json").read_text())
        properties = schema["properties"]
        assert properties["student_id"]["type"] == ["integer", "string"]
        assert properties["at"] == {"type": "number", "format": "date-time"}
        assert properties["x"] == {"type": ["number", "string", "null"]}
        assert "properties" not in properties["people"]
        hub = hub_with(module_of(tmp_path / "gate"))
        for shape in shapes:
            hub.know(student=str(shape["student_id"]), event="Chess")
            assert hub.post("gate", shape).status == 201

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
    @pytest.mark.parametrize(
        "scheme", [one for one in SCHEMES.values() if one.scheme not in ("none", "token")]
    )
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

    def test_of_a_file_that_an_editor_ended(self, new, capture, tmp_path):
        arguments = capture("badge-platform.http")
        file = Path(arguments[1])
        file.write_bytes(file.read_bytes() + b"\n")
        assert "HMAC-SHA256 of timestamp.body; the secret fits" in new("gate", *arguments)

    @pytest.mark.parametrize(
        ("secret", "said"),
        [("another", "no secret fits it"), (None, "it is not checked")],
    )
    def test_that_is_not_known_lets_nobody_in(self, new, capture, tmp_path, hub_with, secret, said):
        output = new("gate", *capture("badge-platform.http", secret))
        assert f"signature: X-Acme-Signature may be one, {said}, so nobody gets in; " in output
        text = module_of(tmp_path / "gate").read_text()
        assert "# ? no spelling of a signature is known to fit, so nobody gets in." in text
        assert "# These look like credentials: X-Acme-Signature." in text
        assert "another" not in text
        hub = hub_with(module_of(tmp_path / "gate"))
        assert hub.post("gate", {}, {"X-Acme-Signature": "v1=00"}, sign=False).status == 401


class TestWhatItMakes:
    """Of the turnstile: two sessions of one name on a day, and who goes out."""

    @pytest.fixture
    def post(self, new, capture, tmp_path, hub_with):
        new("gate", *capture("turnstile.http"))
        folder = tmp_path / "gate"
        file = folder / "fixtures/access.granted__captured.json"
        hub = hub_with(module_of(folder))
        headers = {"X-Turnstile-Topic": "access.granted"}

        def post(**changes):
            payload = json.loads(file.read_text())
            for name, value in changes.items():
                where = payload["access"]["booking"] if name == "begins" else payload["access"]
                where[name] = value
            return hub.post("gate", json.dumps(payload).encode(), headers)

        post.rows, post.file = hub.rows, file
        return post

    def test_two_sessions_on_a_day_are_two(self, post):
        first = post()
        second = post(begins="2026-03-01T21:00:00+01:00", grantedAt="2026-03-01T21:01:00+01:00")
        assert (first.status, second.status) == (201, 201)
        assert first.json["event"]["id"] != second.json["event"]["id"]
        assert post(begins="2026-03-01T20:00:00Z").json["event"] == second.json["event"]
        assert len(post.rows("attendance")) == 2

    def test_who_goes_out_does_not_come_in(self, post):
        posted = post(direction="OUT")
        assert (posted.status, posted.json["details"]) == (200, "Only who comes in is recorded")
        assert post.rows("attendance") == []

    def test_moments_keep_their_distances_where_they_are_near(self, post):
        access = json.loads(post.file.read_text())["access"]
        assert access["direction"] == "IN"
        assert access["grantedAt"] == "2026-03-01T19:02:11.000+01:00"
        assert access["booking"]["begins"] == "2026-03-01T18:56:30+01:00"
        assert access["holder"]["born"] == "2026-03-01T18:02:11Z"


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"student_id": "a1", "event": "x", "time": "03/01/2026 06:02 PM"},
         "read as %m/%d/%Y %I:%M %p; it could also be %d/%m/%Y %I:%M %p"),
        ({"student_id": "a1", "event": "x", "time": "03/01/2026 06:02 PM"}, "in the hub's time_zone"),
        ({"student_id": "a1", "event": "x", "time": "the 3rd at 6"}, "not understood: /time looks like"),
        ({"card": "0012AB", "room": "x"}, "a card's number: give it to a student with"),
        ({"user": {"id": 7}, "room": "x"}, "no student has an identifier of the kind gate_person yet"),
    ],
)  # fmt: skip
def test_what_it_is_not_sure_of_it_says(new, tmp_path, payload, said):
    (tmp_path / "one.json").write_text(json.dumps(payload))
    assert said in new("gate", "--from-capture", "one.json")


def test_a_day_that_is_no_month_is_read(new, tmp_path):
    payload = {"student_id": "a1", "event": "x", "time": "13/01/2026 06:02 PM"}
    (tmp_path / "one.json").write_text(json.dumps(payload))
    assert "time: /time" in new("gate", "--from-capture", "one.json")
    assert '"%d/%m/%Y %I:%M %p"' in module_of(tmp_path / "gate").read_text()


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
        assert "signature: X-Hub-Signature-256, HMAC-SHA256 of body; the secret fits" in output
        text = module_of(tmp_path / "gate").read_text()
        assert "authenticate=GITHUB_SIGNATURE," in text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["--from-capture", "1"], "from-capture: capture 1 has taken no request yet"),
            (["--from-capture", "7"], "capture: there is no capture with the id 7"),
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
        (tmp_path / "text").write_text("Content-Type: application/json\n\na=1&b=2")
        output = new("gate", *arguments, "--database", url, status=2)
        assert said in output
        assert output.count("\n") == 1

    @pytest.mark.parametrize("name", ["Gate", "1a", "import", "a--b", "../x", "test"])
    def test_a_name_that_is_none(self, new, name):
        assert "is not a valid name; use lower-case letters" in new(name, status=2)

    @pytest.mark.parametrize("name", ["onetap", "attendance", "status", "cards"])
    def test_a_name_that_the_hub_has(self, new, name):
        assert f"name: the hub has a source {name}, or a path of this name" in new(name, status=2)


class TestWhatMustNotBeWritten:
    """Of what was captured, nothing real stands in a project."""

    def written(self, new, tmp_path, payload, *arguments, headers=""):
        file = tmp_path / "one.http"
        file.write_text(f"Content-Type: application/json\n{headers}\n{json.dumps(payload)}")
        output = new("gate", "--from-capture", str(file), *arguments)
        paths = [path for path in (tmp_path / "gate").rglob("*") if path.is_file()]
        return output, "".join(path.name + path.read_text() for path in paths)

    @pytest.mark.parametrize(
        ("payload", "real"),
        [
            ({"attendance": {"Grete Musterfrau": "present"}}, "Grete"),
            ({"scores": {"4711": 3, "4712": 4}}, "4711"),
            ({"user": 42, "age": 23, "event": "Chess"}, "42"),
            ({"user": 42, "age": 23, "event": "Chess"}, "23"),
            ({"source": "gmusterfrau", "event": "Chess"}, "gmusterfrau"),
            ({"status": "grete", "state": "bavaria", "type": "musterfrau"}, "grete"),
            ({"status": "grete", "state": "bavaria", "type": "musterfrau"}, "bavaria"),
            ({"event": "Muster-Lab/Grete", "student_id": "a1"}, "Grete"),
            ({"event": "Muster-Lab/Grete", "student_id": "a1"}, "muster-lab"),
        ],
    )
    def test_persons_in_unusual_places(self, new, tmp_path, payload, real):
        _, text = self.written(new, tmp_path, payload)
        assert real not in text.replace("strict = true", "")

    @pytest.mark.parametrize(
        "headers",
        [
            "Cookie: session=REALSESSION; key=S3cret-of-it\n",
            "X-Token: REAL-PART.S3cret-of-it\n",
            "Authorization: Basic REALREAL S3cret-of-it\n",
        ],
    )
    def test_credentials_that_stand_before_the_secret(self, new, tmp_path, headers):
        file = tmp_path / "one.http"
        file.write_text(f"{headers}\n{{}}")
        said = new("gate", "--from-capture", str(file), "--secret", "S3cret-of-it")
        assert "so nobody gets in" in said
        paths = [path for path in (tmp_path / "gate").rglob("*") if path.is_file()]
        text = said + "".join(path.read_text() for path in paths)
        assert "REAL" not in text
        assert "S3cret" not in text

    def test_a_blank_secret_is_no_secret(self, new, tmp_path):
        (tmp_path / "one.http").write_text("Authorization: Bearer REAL\n\n{}")
        output = new("gate", "--from-capture", "one.http", "--secret", " ", status=2)
        assert "secret: it is blank; is the variable set that it comes from?" in output


class TestOddPayloads:
    @pytest.mark.parametrize(
        "payload",
        [
            {}, {"": 1}, {"a": []}, {"a": [[]]}, {"a": [[{"email": "ada@example.edu"}]]},
            {"sessions": [{"name": "x", "attendees": [{"email": "ada@example.edu"}]}]},
            {"strs": [{"student_id": 20394857, "event": "x"}]},
            {"datetimes": [{"student_id": "a1", "event": "x", "at": "03/01/2026 06:02 PM"}]},
            {"[]": "a1", "student_id": "a1", "event": "x"},
            {"stu\"dent\\id\n": 1, "student_id": "a1", "ev'ent": {"na\"me": "x"}},
            {"student_id": "a1", "event": {"name": "x", "start": "13.01.2026 18:02"},
             "at": "03/01/2026 06:02 PM"},
            {"begins": [True, {"student_id": "a1"}]},
        ],
        ids=str,
    )  # fmt: skip
    def test_none_makes_a_module_that_fails(self, new, tmp_path, payload):
        (tmp_path / "one.json").write_text(json.dumps(payload))
        output = new("gate", "--from-capture", "one.json")
        assert re.search(r"__captured: .*; answered (200|201|400) ", output)
        for command in (["check", "-q"], ["format", "--check", "-q"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *command], cwd=tmp_path / "gate", capture_output=True
            )
            assert done.returncode == 0, done.stdout

    def test_one_who_goes_out_is_not_recorded_though_nobody_came_in(self, new, tmp_path, hub_with):
        payload = {"student_id": "a1", "event": "Chess", "direction": "out"}
        (tmp_path / "one.json").write_text(json.dumps(payload))
        new("gate", "--from-capture", "one.json")
        hub = hub_with(module_of(tmp_path / "gate"))
        hub.know(student="a1", event="Chess")
        assert hub.post("gate", payload).json["details"] == "Only who comes in is recorded"
        assert hub.post("gate", {**payload, "direction": "in"}).status == 201
