"""The standby, by itself: what becomes of connections at its end."""

import socket
import threading
from dataclasses import replace

import pytest
from serving import eventually

from hub.http import standby
from hub.http.app import Application
from hub.http.lanes import Lanes
from hub.http.server import listen
from hub.http.standby import Standby

ASK = b"GET /api/webhook/nowhere/ HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def serving(hub, monkeypatch):
    monkeypatch.setattr(standby, "_LAST_SECONDS", 20.0)
    application = Application(hub.routes, hub.store, hub.settings)
    with listen("127.0.0.1", 0) as listener:
        settings = replace(hub.settings, port=listener.getsockname()[1])
        made = Standby(application, Lanes(application.routes), listener, settings)
        made.start()
        yield made, listener
        made.close()


def test_a_connection_that_it_took_is_answered_at_its_end(serving):
    made, listener = serving
    address = listener.getsockname()
    late = socket.create_connection(address, timeout=30)
    # Whoever is answered came after the other one: both are taken by now.
    with socket.create_connection(address, timeout=30) as asked:
        asked.sendall(ASK)
        assert asked.recv(65536).startswith(b"HTTP/1.1 503 ")
    going_on = threading.Event()

    def goes_on():
        while not going_on.wait(0.1):
            made.beat()

    beating = threading.Thread(target=goes_on)
    beating.start()
    try:
        eventually(lambda: is_taken_by_nobody(listener), seconds=20)
        late.sendall(ASK)
        assert late.recv(65536).startswith(b"HTTP/1.1 503 ")
        eventually(lambda: late.recv(65536) == b"", seconds=20)
    finally:
        going_on.set()
        beating.join()
        late.close()


def is_taken_by_nobody(listener):
    """Whether a new connection stays in the listener: then the standby takes none any more."""
    with socket.create_connection(listener.getsockname(), timeout=1) as asked:
        asked.sendall(ASK)
        try:
            asked.recv(65536)
        except TimeoutError:
            return True
    return False
