"""Captures: a secret URL that keeps what is posted there, for a while."""

import hashlib
import hmac
import json
import re
from datetime import timedelta

import pytest
import requests
from click.testing import CliRunner
from hubtest import UNIFIED, Client

from hub.api import capture as http
from hub.cli import main
from hub.domain import captures as domain
from hub.domain.timestamps import utc_now
from hub.errors import StoreUnavailable
from hub.jobs.forget import forget
from hub.record import captures


@pytest.fixture
def command(url):
    def command(*arguments, status=0):
        done = CliRunner().invoke(main, ["capture", "--database", url, *arguments])
        assert done.exit_code == status, (done.output, done.exception)
        return done.output

    return command


@pytest.fixture
def opened(hub, command):
    """The path of a capture, and its id."""
    output = command("--url", "https://hub.example.edu/")
    url = re.search(r"https://hub\.example\.edu(/api/capture/[\w-]{32}/)\n", output)
    return url[1], int(re.match(r"capture (\d+), open until", output)[1])


def taken(hub, identifier):
    with hub.store.reading() as db:
        return captures.requests(db, identifier)


def test_what_is_posted_is_kept_as_it_came(hub, client, rows, opened, command, caplog):
    path, identifier = opened
    headers = {"X-Acme-Signature": "sha256=00", "Cookie": "id=1"}
    reply = client.post(path, body=b"\xff no json", headers=headers, content_type="text/plain")
    assert reply.status == 202
    assert reply.json["message"] == "Captured; nothing was recorded"
    assert reply.json["capture"] == identifier
    (request,) = taken(hub, identifier)
    assert request.body == b"\xff no json"
    assert request.headers["x-acme-signature"] == "sha256=00"
    assert request.headers["cookie"] == "id=1"
    assert request.headers["content-type"] == "text/plain"
    assert rows("Delivery") == []
    output = command("--show", str(identifier))
    assert "x-acme-signature: sha256=00\n" in output
    assert "\\xff no json\n" in output
    assert f"{identifier}: open until " in command("--list")
    assert path.split("/")[3] not in caplog.text
    assert path.split("/")[3] not in repr(rows("Capture"))


def test_without_the_token_there_is_nothing(client, opened):
    path, _ = opened
    for wrong in (path[:-2], "/api/capture/x/", "/api/capture/%C3%BC/"):
        reply = client.post(wrong, {})
        assert (reply.status, reply.error) == (404, "Not found")


def test_any_method_path_and_query_is_kept(hub, client, opened, command):
    path, identifier = opened
    for method, more, query in (
        ("GET", "", "uid=04A2&x=%C3%A9"),
        ("PUT", "iclock/cdata", "SN=A1"),
        ("DELETE", "", ""),
    ):
        assert client.request(method, path + more, b"", query=query).status == 202
    assert client.request("HEAD", path).status == 200
    found = taken(hub, identifier)
    assert [(one.method, one.query) for one in found] == [
        ("GET", "uid=04A2&x=%C3%A9"), ("PUT", "SN=A1"), ("DELETE", ""),
    ]  # fmt: skip
    assert found[1].path == f"{path}iclock/cdata"
    assert all(not name.startswith(":") for one in found for name in one.headers)
    assert f"PUT {path}iclock/cdata?SN=A1\n" in command("--show", str(identifier))


@pytest.mark.parametrize(
    ("payload", "query", "answer"),
    [
        ({"type": "url_verification", "challenge": "abc"}, "", {"challenge": "abc"}),
        ({"type": 1}, "", {"type": 1}),
        ({}, "validationToken=a%20b", "a b"),
        ({}, "validationToken=%3Cscript%3E", "<script>"),
        ([{"data": {"validationCode": "7"}}], "", {"validationResponse": "7"}),
    ],
)
def test_a_known_handshake_is_answered_so_that_the_url_is_taken(
    hub, client, opened, payload, query, answer
):
    path, identifier = opened
    headers = {"Aeg-Event-Type": "SubscriptionValidation"} if isinstance(payload, list) else {}
    body = json.dumps(payload).encode()
    reply = client.request("POST", path, body, headers, "application/json", query)
    assert reply.status == 200
    assert reply.headers["x-content-type-options"] == "nosniff"
    if isinstance(answer, str):
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        assert reply.body.decode() == answer
    else:
        assert reply.json == answer
    assert len(taken(hub, identifier)) == 1


def test_a_handshake_with_a_secret(make_hub, command):
    client = Client(make_hub(capture_secret=("s3cret",)))
    path = re.search(r"(/api/capture/\S+)", command())[1]
    body = {"event": "endpoint.url_validation", "payload": {"plainToken": "q"}}
    digest = hmac.new(b"s3cret", b"q", hashlib.sha256).hexdigest()
    assert client.post(path, body).json == {"plainToken": "q", "encryptedToken": digest}
    query = "hub.mode=subscribe&hub.challenge=77&hub.verify_token="
    assert client.request("GET", path, query=query + "s3cret").body == b"77"
    assert client.request("GET", path, query=query + "wrong").status == 403


def test_a_store_that_cannot_take_it_now_is_503(hub, client, opened, monkeypatch):
    path, identifier = opened

    def writing():
        raise StoreUnavailable("it is full")

    with monkeypatch.context() as patch:
        patch.setattr(hub.store, "writing", writing)
        reply = client.post(path, {})
        assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert taken(hub, identifier) == []


def test_it_ends(hub, client, opened, monkeypatch):
    path, identifier = opened
    later = utc_now() + timedelta(minutes=61)
    monkeypatch.setattr(http, "utc_now", lambda: later)
    assert client.post(path, {}).status == 404
    assert taken(hub, identifier) == []


def test_it_takes_so_many_and_no_large_body(make_hub, command, monkeypatch):
    from hubtest import Client

    client = Client(make_hub(body_limit=10))
    path = re.search(r"(/api/capture/\S+)", command())[1]
    monkeypatch.setattr(http, "MOST_REQUESTS", 2)
    assert [client.post(path, {}).status for _ in range(3)] == [202, 202, 429]
    assert client.post(path, body=b"x" * 11).status == 413
    monkeypatch.undo()
    assert client.post(path, body=b"x" * 11).status == 413
    assert client.post(path, {}).status == 202


def test_what_was_captured_goes_a_day_after_its_end(hub, client, opened, rows, monkeypatch):
    path, _ = opened
    client.post(path, {"name": "Ada"})
    hub.upkeep._retention()
    assert len(rows("CapturedRequest")) == 1
    monkeypatch.setattr("hub.jobs.upkeep.KEPT_FOR", timedelta(hours=-2))
    hub.upkeep._retention()
    assert rows("CapturedRequest") == rows("Capture") == []
    assert timedelta(days=1) == domain.KEPT_FOR


def test_forgetting_a_student_removes_it(hub, client, calls, opened, rows):
    path, _ = opened
    calls.student("a1", email="ada@example.edu")
    client.post(path, {"who": "ADA@example.edu"})
    client.post(path, {"who": "bo@example.edu"})
    client.post(path, body=b"mail=ada%40example.edu&name=Ada")
    client.post(path, body="ada@example.edu".encode("utf-16"))
    forget(hub.store, "ada@example.edu")
    (left,) = rows("CapturedRequest")
    assert b"bo@" in left["body"]


def test_the_captures_of_a_store_that_is_not_there(tmp_path):
    done = CliRunner().invoke(main, ["capture", "--database", f"sqlite:///{tmp_path}/no.db"])
    assert (done.exit_code, "there is no store at" in done.output) == (2, True)


def test_one_that_is_not_there_is_named(hub, command):
    assert "capture: there is no capture with the id 7" in command("--show", "7", status=2)


def test_with_a_running_hub(serve, url):
    server = serve()
    arguments = ["capture", "--database", url, "--port", str(server.port)]
    output = CliRunner().invoke(main, arguments).output
    address = re.search(r"http://127\.0\.0\.1:\d+/api/capture/\S+", output)[0]
    assert requests.post(address, json={"a": 1}).status_code == 202
    assert requests.post(server.url + UNIFIED, json={}).status_code == 400
