"""A plugin that hangs: it is named, others are told, and the hub ends in time."""

import socket
import time

import pytest
import requests
from hubtest import STATUS, UNIFIED
from serving import eventually

CODE = """
import pathlib, time
import hub

RELEASE = pathlib.Path({release!r})

def wait():
    while not RELEASE.exists():
        time.sleep(0.05)

class Slow:
    scheme = "slow"
    headers = ("x-slow",)

    def check_secret(self, secret): pass

    def verify(self, headers, body, secrets, now):
        if "x-slow" not in headers:
            raise hub.Unauthenticated("No")
        if {where!r} == "authenticate":
            wait()

def kind(payload):
    if {where!r} == "kind":
        wait()
    return "all"

def normalize(payload):
    if {where!r} == "normalize":
        wait()
    yield hub.SaveEvent(identifiers=(), name="E", starts_at=hub.parse_timestamp("2024-01-15T10:00Z"))

def answer(payload, results):
    if {where!r} == "answer":
        wait()

def delivery_key(payload):
    if {where!r} == "delivery_key":
        wait()

@hub.hookimpl
def register_sources():
    return [hub.Source(name="slow", path="slow", authenticate=Slow(), kind=kind,
        schema={{"all": {{}}}}, normalize=normalize, answer=answer, delivery_key=delivery_key)]
"""
HOOK = """
@hub.hookimpl
def {where}({arguments}):
    wait()
"""
ARGUMENTS = {
    "veto_delivery": "delivery",
    "amend_operations": "delivery",
    "delivery_committed": "delivery",
    "status_section": "",
}
ON_THE_WAY = (
    "authenticate",
    "kind",
    "normalize",
    "answer",
    "delivery_key",
    "veto_delivery",
    "amend_operations",
)


@pytest.fixture
def hang(serve_http, tmp_path):
    """Serves a hub with a plugin that hangs in one place; has it hang, on the connection returned."""

    def hang(where, *options, post=True):
        folder = tmp_path / "plugins"
        folder.mkdir()
        code = CODE.format(where=where, release=str(tmp_path / "release"))
        if where in ARGUMENTS:
            code += HOOK.format(where=where, arguments=ARGUMENTS[where])
        (folder / "tar.py").write_text(code)
        server = serve_http("--plugins", str(folder), *options)
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        if post:
            connection.sendall(
                b"POST /api/webhook/slow/ HTTP/1.1\r\nHost: x\r\nX-Slow: 1\r\nContent-Length: 2\r\n\r\n{}"
            )
        return server, connection

    yield hang
    (tmp_path / "release").touch()


def lines_that_tell(server, where):
    return [line for line in server.lines if f"plugin tar: {where} has not come back" in line]


@pytest.mark.parametrize("where", ON_THE_WAY)
def test_it_is_named_while_it_hangs_and_others_are_told(hang, tmp_path, where):
    server, connection = hang(where)
    eventually(lambda: lines_that_tell(server, where), seconds=5)
    (line,) = lines_that_tell(server, where)
    assert " on delivery 0" in line
    assert "tar.py:" in line
    assert " wait" in line
    eventually(lambda: is_told(server, where), seconds=10)
    reply = requests.post(server.url + UNIFIED, json={}, timeout=5)
    assert (reply.status_code, reply.json()["error"]) == (503, "Temporarily unavailable")
    assert reply.json()["details"] == "Nothing was recorded; send the same delivery again"
    ready = requests.get(f"{server.url}/readyz", timeout=5)
    assert (ready.status_code, ready.json()["reason"]) == (503, "a plugin holds the check-ins up")
    assert requests.get(f"{server.url}/livez", timeout=5).status_code == 503
    (tmp_path / "release").touch()
    assert b" 201 " in connection.recv(65536)
    connection.close()
    eventually(lambda: taken(server), seconds=10)
    assert requests.get(server.url + STATUS, timeout=5).json()["hanging"] == []


def is_told(server, where):
    try:
        shown = requests.get(server.url + STATUS, timeout=2)
    except requests.RequestException:
        return False
    told = shown.json()["hanging"]
    if not told:
        return False
    assert (told[0]["plugin"], told[0]["call"]) == ("tar", where)
    assert len(told[0]["delivery"]) == 28
    assert told[0]["seconds"] >= 1
    return True


def taken(server):
    try:
        return requests.post(server.url + UNIFIED, json={}, timeout=2).status_code == 400
    except requests.RequestException:
        return False


@pytest.mark.parametrize("where", [*ON_THE_WAY, "delivery_committed", "status_section"])
def test_the_hub_ends_in_time(hang, where):
    server, connection = hang(where, "--drain-timeout", "1")
    if where == "status_section":
        requests.get(server.url + STATUS, timeout=5)
    eventually(lambda: lines_that_tell(server, where), seconds=5)
    started = time.monotonic()
    server.terminate()
    assert server.process.wait(20) == 0
    # drain_timeout and a second, and some for a machine that is busy.
    assert time.monotonic() - started < 4
    connection.close()


def test_an_observer_or_a_section_that_hangs_keeps_nobody_waiting(hang):
    server, connection = hang("status_section")
    for _ in range(3):
        shown = requests.get(server.url + STATUS, timeout=5).json()
        assert shown["sections"] == {}
    eventually(lambda: lines_that_tell(server, "status_section"), seconds=5)
    assert requests.get(server.url + STATUS, timeout=5).json()["hanging"][0]["plugin"] == "tar"
    assert requests.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
    connection.close()
