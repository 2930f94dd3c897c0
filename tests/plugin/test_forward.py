"""The plugin ``forward``: check-ins are posted on, signed, from the outbox."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from hubtest import UNIFIED, Calls, Client
from serving import eventually, free_port
from standardwebhooks.webhooks import Webhook

from hub.config.load import load

SECRET = "whsec_" + base64.b64encode(b"a secret of the club's website").decode()


class Receiver:
    """A system that takes webhooks: what came, and what it answers."""

    def __init__(self, port=0):
        self.status, self.headers, self.messages, self.refused = 204, {}, [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                Webhook(SECRET).verify(body, dict(self.headers.items()))
                (outer.messages if outer.status < 300 else outer.refused).append(
                    (self.headers["webhook-id"], json.loads(body))
                )
                self.send_response(outer.status)
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(port=0):
    receiver = Receiver(port)
    try:
        yield receiver
    finally:
        receiver.close()


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def environment(port):
    return {
        "HUB_ENABLE": "forward",
        "HUB_PLUGIN_FORWARD_URLS": f"club=http://127.0.0.1:{port}/hook",
        "HUB_PLUGIN_FORWARD_SECRETS": f"club={SECRET}",
    }


@pytest.fixture
def forwarding(make_hub):
    def forwarding(port):
        settings = load({}, None, environment(port)).settings
        hub = make_hub(enable=("forward",), plugin=settings.plugin)
        assert hub.plugins.failed == []
        calls = Calls(Client(hub))
        calls.student("a1")
        calls.event()
        calls.attend("a1", check_in_time="2024-01-15T10:05:00Z")
        (sender,) = hub.senders._senders
        return sender

    return forwarding


def test_a_check_in_is_posted_signed(forwarding, receiver):
    assert forwarding(receiver.port).do_what_is_due() == 0.0
    ((identifier, message),) = receiver.messages
    assert identifier.startswith("msg_")
    assert message["type"] == "attendance.created"
    assert message["timestamp"] == "2024-01-15T10:05:00Z"
    data = message["data"]
    assert data["student"] == {
        "id": 1, "identifier": "a1", "email": "a1@example.edu", "name": "Ada Example",
    }  # fmt: skip
    assert data["event"]["name"] == "Weekly Meeting"
    assert data["source"] == "unified_webhook"


@pytest.mark.parametrize(("status", "retry_after"), [(500, "7"), (404, None), (302, "soon")])
def test_anything_but_2xx_is_not_delivered(forwarding, receiver, caplog, status, retry_after):
    receiver.status = status
    receiver.headers = {
        "Location": "/elsewhere",
        **({"Retry-After": retry_after} if retry_after else {}),
    }
    sender = forwarding(receiver.port)
    assert sender.do_what_is_due() == 1.0
    assert f"attempt 1: it answered {status}" in caplog.text
    assert len(receiver.refused) == 1
    assert receiver.messages == []


def test_what_a_receiver_says_beside_2xx_does_not_matter(forwarding, receiver):
    receiver.status = 200
    receiver.headers = {"Content-Length": "1000"}  # of which nothing comes
    assert forwarding(receiver.port).do_what_is_due() == 0.0
    assert len(receiver.messages) == 1


def test_a_url_that_is_not_there(forwarding, caplog):
    assert forwarding(free_port()).do_what_is_due() == 1.0
    assert "attempt 1: it cannot be reached: ConnectionRefusedError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"HUB_PLUGIN_FORWARD_URLS": None}, "plugin.forward.urls is not set"),
        ({"HUB_PLUGIN_FORWARD_URLS": "club=ftp://x"}, "club: it is no http:// or https:// URL"),
        (
            {"HUB_PLUGIN_FORWARD_URLS": "club=http://x:abc/"},
            "club: it is no http:// or https:// URL",
        ),
        (
            {"HUB_PLUGIN_FORWARD_URLS": "club=http://me:pw@x/"},
            "club: it is no http:// or https:// URL",
        ),
        (
            {"HUB_PLUGIN_FORWARD_URLS": "club=http://x/päth"},
            "club: it is no http:// or https:// URL",
        ),
        (
            {"HUB_PLUGIN_FORWARD_SECRETS": None},
            "plugin.forward.secrets: there is no secret for club",
        ),
        ({"HUB_PLUGIN_FORWARD_SECRETS": "club=$$$"}, "club: a Standard Webhooks secret is Base64"),
        (
            {"HUB_PLUGIN_FORWARD_SECRETS": "club=abcd"},
            "club: it has less than 24 bytes; make one with",
        ),
        ({"HUB_PLUGIN_FORWARD_SECRETS": f"x={SECRET}"}, "x is the name of no URL"),
    ],
)
def test_a_wrong_configuration_disables_it_and_says_why(make_hub, changes, said):
    given = {name: one for name, one in {**environment(1), **changes}.items() if one is not None}
    hub = make_hub(enable=("forward",), plugin=load({}, None, given).settings.plugin)
    (failed,) = hub.plugins.failed
    assert said in failed.reason
    assert SECRET not in failed.reason


def test_nothing_is_lost_when_the_hub_is_killed_while_the_receiver_is_down(serve):
    port = free_port()
    server = serve(environment=environment(port))
    post = requests.Session().post

    def unified(type_, **data):
        payload = {"type": type_, "action": "create", "data": data}
        return post(server.url + UNIFIED, json=payload, timeout=10).json()

    unified("event", event_name="Chess", event_date="2024-01-15T10:00:00Z")
    recorded = set()
    for number in range(30):
        names = {"first_name": "Ada", "last_name": "Example"}
        student = f"a{number}"
        unified("student", student_identifier=student, email=f"{student}@example.edu", **names)
        made = unified("attendance", student_identifier=student, event_identifier="Chess")
        recorded.add(made["attendance_id"])
    server.kill()
    with receiving(port) as receiver:
        server = serve(environment=environment(port))
        eventually(lambda: len({identifier for identifier, _ in receiver.messages}) == 30)
        assert {message["data"]["attendance_id"] for _, message in receiver.messages} == recorded
        page = requests.get(server.url + "/api/webhook/status/", timeout=10).json()
        eventually(lambda: page["targets"]["club"]["given_up"] == 0)
        assert server.stop() == 0
