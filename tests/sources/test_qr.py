"""The source ``qr``: ids, and tokens that the hub has issued."""

import sys
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from click.testing import CliRunner
from hubtest import Calls, Client

from hub.cli import main
from hub.config.load import load
from hub.config.settings import Settings
from hub.plugin.loading import Plugins
from hub_plugins.qr import issue

PATH = "/api/webhook/qr/"
SECRET = "a-secret-of-the-scanners"
KEY = "0123456789abcdef0123456789abcdef"
IDS = {"student_id": "a1", "event_id": "Chess"}
HOUR = timedelta(hours=1)


@pytest.fixture
def start(make_hub):
    def start(**environment):
        environment = {"HUB_SOURCE_QR_SECRETS": SECRET, **environment}
        found = load({}, None, environment).settings
        return make_hub(enable=("qr",), sources=found.sources, plugin=found.plugin)

    return start


@pytest.fixture
def post(start):
    client = Client(start(HUB_PLUGIN_QR_KEY=KEY))
    Calls(client).student("a1")
    Calls(client).event("Chess", "2026-03-01T18:00:00Z")
    return lambda payload: client.post(PATH, payload, headers={"X-Webhook-Secret": SECRET})


def token(student=None, event=None, lifetime=HOUR, key=KEY):
    return issue(key, student, event, datetime.now(UTC), lifetime)


def signed(claims):
    """A token with claims that no library would write."""
    return jwt.PyJWS().encode(claims.encode(), KEY, "HS256")


def test_ids_check_in_once(post):
    assert post({**IDS, "time": 1772388131}).json["checked_in_at"] == "2026-03-01T18:02:11Z"
    assert post(IDS).status == 200


@pytest.mark.parametrize(
    ("named", "beside"),
    [
        ({"student": "a1"}, {"event_id": "Chess"}),
        ({"event": "Chess"}, {"student_id": "A1"}),
        ({"event": "1"}, {"student_id": "a1@example.edu"}),
        ({"student": "a1", "event": "Chess"}, {}),
        ({"student": "a1", "event": "Chess"}, {"student_id": "a2", "event_id": 99}),
    ],
)
def test_a_token_names_the_student_the_event_or_both(post, named, beside):
    assert post({"token": token(**named), **beside}).status == 201


@pytest.mark.parametrize(
    ("payload", "status", "said"),
    [
        ({}, 400, "student_id is required"),
        ({"student_id": "a1", "event_id": " "}, 400, "event_id is required"),
        ({"token": token("a1")}, 400, "event_id is required"),
        ({"token": token(event="Chess")}, 400, "student_id is required"),
        ({"token": token("a1", "Chess", -HOUR)}, 400, "The token is out of date; show a new one"),
        ({"token": token("a1", "Chess", key=KEY[::-1])}, 401, "Invalid token"),
        ({"token": "nonsense"}, 401, "Invalid token"),
        ({"token": jwt.encode({"sub": "a1", "exp": 4e9}, KEY, "HS256")}, 401, "Invalid token"),
        (
            {"token": jwt.encode({"sub": "a1", "aud": "attendance-hub"}, KEY, "HS256")},
            401,
            "Invalid token",
        ),
        (
            {"token": jwt.encode({"aud": "attendance-hub", "exp": "x"}, KEY, "HS256")},
            401,
            "Invalid token",
        ),
        ({"token": jwt.encode({"sub": "a1"}, None, "none")}, 401, "Invalid token"),
        *(
            (
                {"token": signed(f'{{"sub": "a1", "aud": "attendance-hub", {claims}}}')},
                401,
                "Invalid token",
            )
            for claims in (
                '"exp": 1e400',
                '"exp": -1e400',
                '"exp": NaN',
                '"exp": 4e9, "nbf": 1e400',
            )
        ),
    ],
)
def test_what_is_wrong_is_refused(post, payload, status, said):
    reply = post({"event_id": "Chess", **payload} if status == 401 else payload)
    assert (reply.status, reply.json["error"]) == (status, said)


def test_without_a_key_there_are_no_tokens(start):
    client = Client(start())
    headers = {"X-Webhook-Secret": SECRET}
    reply = client.post(PATH, {"token": token("a1", "Chess")}, headers=headers)
    assert (reply.status, reply.json["error"]) == (503, "Tokens are not configured")
    assert client.post(PATH, IDS, headers=headers).status == 404


def test_a_short_key_disables_it(start):
    (failed,) = start(HUB_PLUGIN_QR_KEY="short").plugins.failed
    assert "plugin.qr.key: it must have 32 characters at least" in failed.reason
    assert "short" not in failed.reason


class TestTheCommand:
    def run(self, *arguments, key=KEY, **environment):
        environment = {"HUB_ENABLE": "qr", "HUB_PLUGIN_QR_KEY": key, **environment}
        return CliRunner().invoke(main, ["qr", *arguments], env=environment)

    def test_issues_what_the_source_takes(self, post, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        done = self.run("--student", "a1", "--minutes", "2")
        assert post({"token": done.output.strip(), "event_id": "Chess"}).status == 201

    def test_says_what_is_missing(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "name a student or an event" in self.run().output
        assert "set HUB_PLUGIN_QR_KEY" in self.run("--event", "x", key=None).output
        assert self.run("--event", "x", HUB_ENABLE="").exit_code == 2


def test_without_its_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    monkeypatch.delitem(sys.modules, "hub_plugins.qr")
    (failed,) = Plugins(Settings(enable=("qr",))).failed
    assert failed.reason.startswith("ImportError: it needs PyJWT; pip install 'pyjwt>=2.13'")
