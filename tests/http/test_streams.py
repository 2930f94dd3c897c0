"""Streams over HTTP: parts of pages that are sent again when they are others."""

import http.client
import re
import socket
import threading
from contextlib import suppress
from urllib.parse import urlencode

import pytest
from console.evening import post
from hubtest import UNIFIED
from serving import eventually

TOKEN = "0123456789abcdef0123"
ENVIRONMENT = {"HUB_ADMIN_TOKEN": TOKEN}


@pytest.fixture
def server(serve_http):
    def start(*options):
        server = serve_http(*options, environment=ENVIRONMENT)
        student = {"student_identifier": "a1", "email": "a1@example.edu"}
        unified(server, "student", **student, first_name="Ada", last_name="Example")
        return server

    return start


def unified(server, kind, **data):
    payload = {"type": kind, "action": "create", "data": data}
    status, told = post(server.url, UNIFIED, payload)
    assert status == 201, told


def log_in(server, token=TOKEN):
    """The cookie of who is logged in."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/console/login", urlencode({"token": token}), form)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.headers["Set-Cookie"].partition(";")[0]


class Reader:
    """Reads a stream on a thread of its own."""

    def __init__(self, server, cookie, path="students"):
        self.text = ""
        self.ended = False
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.socket.sendall(
            f"GET /console/live/{path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Cookie: {cookie}\r\n\r\n".encode()
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            while piece := self.socket.recv(65536):
                self.text += piece.decode("utf-8", "replace")
        except OSError:
            pass
        self.ended = True

    def close(self):
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self._thread.join(10)


def test_what_is_new_is_sent_and_nothing_else(server):
    server = server()
    cookie = log_in(server)
    unified(server, "event", event_name="Lab", event_date=_now())
    reader = Reader(server, cookie, "tonight")
    eventually(lambda: "Lab" in reader.text)
    assert "content-type: text/event-stream" in reader.text.lower()
    before = reader.text.count("\n\n")
    unified(server, "attendance", student_identifier="a1", event_identifier="Lab")
    eventually(lambda: "Ada Example" in reader.text)
    assert reader.text.count("\n\n") == before + 1
    reader.close()


def test_what_the_desk_does_is_sent_too(server):
    server = server()
    cookie = log_in(server)
    unified(server, "event", event_name="Lab", event_date=_now())
    reader = Reader(server, cookie, "events/1")
    eventually(lambda: "Nobody is found" in reader.text)
    payload = {"action": "check_in", "data": {"student": "a1", "event": "1"}}
    post(server.url, "/api/webhook/desk/", payload, TOKEN)
    eventually(lambda: "Ada Example" in reader.text)
    reader.close()


def test_what_another_hub_writes_is_sent_too(server, serve_http):
    first = server()
    other = serve_http(environment=ENVIRONMENT)
    reader = Reader(first, log_in(first), "tonight")
    unified(other, "event", event_name="Lab", event_date=_now())
    eventually(lambda: "Lab" in reader.text)
    reader.close()


def test_it_ends_with_the_token(server):
    server = server()
    _, made = post(server.url, "/api/tokens/", {"name": "wall", "scopes": ["counts"]}, TOKEN)
    reader = Reader(server, log_in(server, made["token"]), "tonight")
    eventually(lambda: "No event" in reader.text)
    assert not reader.ended
    post(server.url, "/api/tokens/revoke/", {"name": "wall"}, TOKEN)
    eventually(lambda: reader.ended)
    reader.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("students", 404), ("events/99", 404), ("nothing", 404), ("door/1", 404)],
)
def test_what_has_no_live_part_is_no_stream(server, path, status):
    server = server()
    reader = Reader(server, log_in(server), path)
    eventually(lambda: reader.text)
    assert reader.text.startswith(f"HTTP/1.1 {status}")
    reader.close()


def test_nobody_reads_it_who_is_not_logged_in(server):
    server = server()
    reader = Reader(server, "a=b", "tonight")
    eventually(lambda: reader.text)
    assert reader.text.startswith("HTTP/1.1 401")
    reader.close()


def test_the_server_ends_with_streams_open(server):
    server = server()
    cookie = log_in(server)
    readers = [Reader(server, cookie, path) for path in ("tonight", "waiting", "tonight")]
    eventually(lambda: all("data:" in reader.text for reader in readers))
    assert server.stop() == 0
    for reader in readers:
        reader.close()
        assert reader.text.endswith("0\r\n\r\n")
    assert not re.search("Traceback|ERROR", "\n".join(server.lines))


def test_streams_take_no_place_of_senders(server):
    server = server("--connection-limit", "10")
    cookie = log_in(server)
    readers = []
    for _ in range(30):
        reader = Reader(server, cookie, "tonight")
        readers.append(reader)
        eventually(lambda: "data:" in reader.text)  # noqa: B023
    unified(server, "event", event_name="Lab", event_date=_now())
    eventually(lambda: all("Lab" in reader.text for reader in readers))
    for reader in readers:
        reader.close()
    unified(server, "event", event_name="Other", event_date=_now())


def test_one_who_reads_nothing_keeps_nobody_waiting(server):
    server = server()
    cookie = log_in(server)
    lazy = socket.create_connection(("127.0.0.1", server.port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    lazy.sendall(
        f"GET /console/live/tonight HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
    )
    reader = Reader(server, cookie, "tonight")
    for number in range(20):
        unified(server, "event", event_name=f"Lab {number}", event_date=_now())
    eventually(lambda: "Lab 19" in reader.text)
    lazy.close()
    reader.close()
    assert server.stop() == 0


def _now():
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
