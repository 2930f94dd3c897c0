"""What one hostile client, or a thousand connections of it, can do to the others: not much."""

import json
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests
from hubtest import STATUS, UNIFIED
from serving import eventually

HEAD = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
GET = f"GET {STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def connected(server):
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def memory(server, what="VmRSS"):
    """Mebibytes of the server's process."""
    with open(f"/proc/{server.process.pid}/status") as file:
        (line,) = [line for line in file if line.startswith(what)]
    return int(line.split()[1]) / 1024


def answer(connection):
    """Everything that comes until the connection is closed."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def is_well(server):
    return requests.get(server.url + STATUS, timeout=5).status_code == 200


ENDLESS = {
    "headers": (HEAD.encode(), b"A: b\r\n"),
    "headers of a second request": (GET + HEAD.encode(), b"A: b\r\n"),
    "a header": (HEAD.encode() + b"A: ", b"x"),
    "a target": (b"GET /", b"x"),
    "a target of a second request": (GET + b"GET /", b"x"),
    "trailers": (f"{HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n".encode(), b"A: b\r\n"),
    "an extension of a chunk": (f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5;".encode(), b"x"),
    "chunks of a byte": (f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\nx\r\n"),
    "chunks": (
        f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode(),
        b"ff\r\n" + b"x" * 255 + b"\r\n",
    ),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_never_ends_is_ended(shared, what):
    server = shared()
    before, again = ENDLESS[what]
    block = again * (65536 // len(again))
    with connected(server) as connection:
        connection.sendall(before)
        sent = 0
        with pytest.raises((ConnectionError, TimeoutError)):
            while sent < 100 * 1024 * 1024:
                sent += connection.send(block)
    # What the system has taken on both sides counts too.
    assert sent < 40 * 1024 * 1024
    assert is_well(server)


def test_many_held_bodies_do_not_fill_the_memory(serve_http):
    server = serve_http()
    before = memory(server)
    head = f"{HEAD}Content-Length: 1048576\r\n\r\n".encode()
    held = []
    for _ in range(150):
        connection = connected(server)
        connection.settimeout(2)
        with suppress(OSError):
            connection.sendall(head + b" " * 1_000_000)
        held.append(connection)
    assert memory(server) - before < 100
    # A check-in is small, and is always taken.
    assert requests.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
    for connection in held:
        connection.close()
    eventually(lambda: memory(server) - before < 60)


def test_idle_connections_make_room_the_longest_first(serve_http):
    server = serve_http("--connection-limit", "5")
    idle = [connected(server) for _ in range(5)]
    time.sleep(0.1)
    with requests.Session() as session:
        assert session.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
        assert answer(idle[0]) == b""
        for connection in idle[1:]:
            connection.settimeout(0.1)
            with pytest.raises(TimeoutError):
                connection.recv(1)
        # Half a head is no request yet.
        idle[1].sendall(b"POST /")
        assert requests.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
        assert session.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
    for connection in idle:
        connection.close()


def test_where_all_are_at_work_a_new_one_is_503(serve_http):
    server = serve_http("--connection-limit", "3")
    busy = []
    eventually(lambda: refused_as_full(server, busy))
    # A body that has been under way for a second makes room.
    eventually(lambda: requests.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400)
    for connection in busy:
        connection.close()


def refused_as_full(server, busy):
    for connection in busy:
        connection.close()
    busy[:] = [connected(server) for _ in range(3)]
    for connection in busy:
        connection.sendall(f"{HEAD}Content-Length: 9\r\n\r\n{{".encode())
    reply = requests.post(server.url + UNIFIED, json={}, timeout=5)
    if reply.status_code != 503:
        return False  # it came before their heads were read
    assert reply.json()["details"] == "Nothing was recorded; send the same delivery again"
    assert reply.headers["retry-after"]
    return True


def test_who_never_reads_the_answers_is_given_up(serve_http, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import hub.http.protocol\nhub.http.protocol.WRITE_TIMEOUT = 1\n"
    )
    server = serve_http(environment={"PYTHONPATH": str(tmp_path)})
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.settimeout(10)
    with pytest.raises(ConnectionError):  # reset, not only full
        while True:
            try:
                connection.sendall(GET * 1000)
            except TimeoutError:
                pytest.fail("it was kept")
    connection.close()
    assert is_well(server)


def test_pipelined_requests_leave_the_others_their_turn(shared):
    server = shared()
    many = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode() * 20_000
    with connected(server) as connection:
        received = []
        reader = threading.Thread(target=collect, args=(connection, received), daemon=True)
        reader.start()
        sender = threading.Thread(target=send, args=(connection, many), daemon=True)
        sender.start()
        eventually(lambda: received)
        for _ in range(20):
            assert requests.post(server.url + UNIFIED, json={}, timeout=5).status_code == 400
        # Of the 20,000 a few hundred were answered meanwhile.
        assert b"".join(received).count(b"HTTP/1.1 400") < 10_000
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def send(connection, data):
    with suppress(OSError):
        connection.sendall(data)


def collect(connection, received):
    with suppress(OSError):
        while part := connection.recv(65536):
            received.append(part)


def test_a_pipelined_batch_is_answered_in_order(shared):
    server = shared()
    payloads = [{"type": "student"}, {"type": "x"}, {}, {"type": "event"}]
    requests_ = b"".join(
        f"{HEAD}Content-Length: {len(body)}\r\n\r\n{body}".encode()
        for body in map(json.dumps, payloads)
    )
    last = GET.replace(b"Host: x", b"Host: x\r\nConnection: close")
    with connected(server) as connection:
        connection.sendall(requests_ + last)
        answers = answer(connection)
    sentences = [b"student_identifier, email", b"Unknown type: x", b"type field", b"event_name and"]
    places = [answers.index(sentence) for sentence in [*sentences, b'"healthy"']]
    assert places == sorted(places)


def test_distinct_long_names_of_headers_are_not_remembered(serve_http):
    server = serve_http()
    with connected(server) as connection:
        before = None
        for number in range(400):
            name = f"x{number}-".ljust(50_000, "n")
            connection.sendall(f"{HEAD}{name}: 1\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            while b"type field" not in connection.recv(65536):
                pass
            before = before or memory(server)
    assert memory(server) - before < 15
