"""The hub as a process: its start, its limits, its end, and other servers in front of it."""

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from conftest import STORE
from hubtest import STATUS, UNIFIED
from serving import Server, eventually


def student(number):
    data = {
        "student_identifier": f"a{number}",
        "email": f"a{number}@example.edu",
        "first_name": "Ada",
        "last_name": "Example",
    }
    return {"type": "student", "data": data}


EVENT = {"type": "event", "data": {"event_name": "M", "event_date": "2024-01-15T10:00:00Z"}}


def attendance(number, event="M"):
    data = {"student_identifier": f"a{number}", "event_identifier": event}
    return {"type": "attendance", "data": data}


def test_the_start_says_what_the_hub_is(serve_http):
    server = serve_http(environment={"WEBHOOK_SECRET": "hush"})
    lines = "\n".join(server.lines)
    assert f"on {server.url}" in lines
    assert "database: " in lines
    assert "source unified: /api/webhook/unified/  open" in lines
    assert "source secure: /api/webhook/attendance/secure/  signed (webhook)" in lines
    assert "warning" not in lines
    assert "hush" not in lines


def test_open_sources_are_warned_of_on_anything_but_loopback(serve_http):
    server = serve_http("--host", "0.0.0.0")
    warnings = [line for line in server.lines if line.startswith("warning: source")]
    assert len(warnings) == 3
    assert "unified is open, and anyone who reaches 0.0.0.0" in warnings[0]


def test_a_failed_plugin_is_named_at_the_start(serve_http, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "bad.py").write_text("1/0")
    server = serve_http("--plugins", str(folder), "--without", "onetap")
    (line,) = [line for line in server.lines if line.startswith("plugin bad")]
    assert "is not loaded: ZeroDivisionError" in line
    assert (
        requests.post(f"{server.url}/api/webhook/onetap/", json={}, timeout=10).status_code == 404
    )


def test_sigterm_ends_it_with_0_and_requests_in_flight_finish(serve_http):
    server = serve_http()
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    body = json.dumps(student(1)).encode()
    head = (
        f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100")  # it is in flight now
    server.terminate()

    def refused():
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
        except OSError:
            return True
        return False

    eventually(refused)
    connection.sendall(body)
    answer = b""
    while chunk := connection.recv(65536):
        answer += chunk
    connection.close()
    assert answer.startswith(b"HTTP/1.1 201")
    assert server.stop() == 0


def test_after_sigterm_it_is_not_ready_before_it_refuses_anybody(serve_http):
    server = serve_http(environment={"HUB_DRAIN_DELAY": "30", "HUB_DRAIN_TIMEOUT": "30"})
    ready = f"{server.url}/readyz"
    assert requests.get(ready, timeout=10).json() == {"status": "ready"}
    server.terminate()
    eventually(lambda: requests.get(ready, timeout=10).status_code == 503)
    assert requests.get(ready, timeout=10).json()["reason"] == "the hub ends"
    # It takes what comes all the same, on new connections too.
    assert requests.get(f"{server.url}/livez", timeout=10).status_code == 200
    assert requests.post(server.url + UNIFIED, json=student(1), timeout=10).status_code == 201
    assert server.process.poll() is None
    server.terminate()  # a second one does not wait
    assert server.process.wait(20) == 0


def test_the_delay_is_a_part_of_the_time_to_end(serve_http):
    server = serve_http(environment={"HUB_DRAIN_DELAY": "0.2", "HUB_DRAIN_TIMEOUT": "1"})
    server.terminate()
    assert server.process.wait(20) == 0
    server = serve_http(environment={"HUB_DRAIN_DELAY": "60", "HUB_DRAIN_TIMEOUT": "0"})
    server.terminate()
    assert server.process.wait(20) == 0


def test_a_log_for_programs(serve_http, tmp_path):
    server = serve_http(environment={"HUB_LOG_FORMAT": "json", "WEBHOOK_SECRET": "hush"})
    answer = requests.post(f"{server.url}/api/webhook/attendance/secure/", json={}, timeout=10)
    assert answer.status_code == 401
    server.stop()
    (line,) = [line for line in server.lines if "not kept" in line]
    told = json.loads(line)
    assert told.pop("at").endswith("Z")
    assert told == {
        "level": "warning",
        "logger": "hub.intake.webhooks",
        "message": f"delivery {answer.headers['X-Delivery-Id']} to secure not kept: 401 "
        "Missing X-Webhook-Signature header (from 127.0.0.1)",
    }


@pytest.mark.parametrize(
    ("trusted", "address"), [("", "127.0.0.1"), ("10.0.0.0/8, 127.0.0.1", "198.51.100.7")]
)
def test_the_log_has_the_address_of_who_sends(serve_http, trusted, address):
    environment = {
        "HUB_TRUSTED_PROXIES": trusted,
        "WEBHOOK_SECRET": "hush",
        "HUB_ADMIN_TOKEN": "x" * 16,
    }
    server = serve_http(environment=environment)
    headers = {"X-Forwarded-For": "8.8.8.8, 198.51.100.7, 10.1.1.1"}
    secure = f"{server.url}/api/webhook/attendance/secure/"
    assert requests.post(secure, json={}, headers=headers, timeout=10).status_code == 401
    students = f"{server.url}/api/students/"
    assert requests.get(students, headers=headers, timeout=10).status_code == 401
    server.stop()
    lines = [line for line in server.lines if "WARNING" in line]
    assert len(lines) == 2
    assert all(address in line for line in lines)
    assert not any("8.8.8.8" in line for line in lines)


def test_ctrl_c_ends_it_with_0(serve_http):
    server = serve_http()
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0


def test_its_end_is_bounded(serve_http):
    server = serve_http("--drain-timeout", "1", "--body-timeout", "3600")
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
    head = (
        f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    connection.sendall(head.encode())
    assert connection.recv(100).startswith(b"HTTP/1.1 100")
    assert server.stop() == 0
    connection.close()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "x"], "port (from --port): it must be a whole number"),
        (["--database", "mysql://x"], "database: use sqlite:///"),
        (["--plugins", "/nowhere"], "plugins: the folder /nowhere does not exist"),
        (["--host", "192.0.2.1"], "host, port: cannot listen on 192.0.2.1"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(options, sentence, tmp_path):
    with pytest.raises(RuntimeError) as ended:
        Server(f"sqlite:///{tmp_path / 'hub.db'}", *options, cwd=tmp_path)
    assert "ended with 2" in str(ended.value)
    assert sentence in str(ended.value)
    assert "Traceback" not in str(ended.value)


def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RuntimeError, match="cannot listen on 127.0.0.1"):
            Server(f"sqlite:///{tmp_path / 'hub.db'}", "--port", str(port), cwd=tmp_path)


def raw(port, data, timeout=20):
    """Send bytes, and read until the server closes or has answered."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, json.loads(response.read())


def chunked(*chunks):
    parts = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(parts) + b"0\r\n\r\n"


BODY = json.dumps(student(1)).encode()
SERVERS = {
    "own": None,
    "gunicorn": [
        "gunicorn",
        "hub.wsgi:create_app()",
        "-b",
        "127.0.0.1:{port}",
        "--threads=4",
    ],
    "granian": [
        "granian",
        "--interface=wsgi",
        "--factory",
        "--port={port}",
        "hub.wsgi:create_app",
    ],
}


@pytest.mark.parametrize("name", SERVERS)
def test_bodies_arrive_whole_or_are_refused_on_every_server(serve_http, name):
    command = SERVERS[name]
    if command:
        program = shutil.which(command[0], path=sys.executable.rpartition("/")[0])
        command = [program, *command[1:]]
    server = serve_http(command=command, environment={"HUB_BODY_LIMIT": "1000"})
    status, answer = raw(server.port, chunked(BODY[:7], BODY[7:]))
    assert (status, answer["success"]) == (201, True)
    status, answer = raw(server.port, chunked(BODY, b" " * 1000))
    assert (status, answer["error"]) == (413, "Payload too large")
    with requests.Session() as session:
        if name == "granian":  # it may close a connection whose body was still on its way
            session.headers["Connection"] = "close"
        for _ in range(2):
            big = session.post(server.url + UNIFIED, data=b" " * 1001, timeout=10)
            assert (big.status_code, big.json()["error"]) == (413, "Payload too large")
            assert session.get(server.url + STATUS, timeout=10).status_code == 200
        assert session.post(server.url + UNIFIED, json=student(2), timeout=10).status_code == 201
    server.stop()
    assert not [line for line in server.lines if "Traceback" in line or "Logging error" in line]


def test_a_body_that_never_arrives_is_408(serve_http):
    server = serve_http("--body-timeout", "1")
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    status, answer = raw(server.port, head + b"{")
    assert (status, answer["error"]) == (408, "Request timeout")


def offer(number):
    """A request that offers an upgrade, as Java's own client does with each new connection."""
    body = json.dumps(student(number)).encode()
    return (
        f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        f"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def answered(connection):
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize("before", ["nothing", "a plain request", "a body over the limit"])
def test_a_request_that_offers_an_upgrade_keeps_its_body(shared, before):
    """Wherever it is cut in two, and whatever came before it on the connection."""
    server = shared("--body-limit", "1000")
    places = [(b"Host", 0), (b"Upgrade,", 3), (b"Upgrade:", -1), (b"Upgrade:", 3), (b"h2c", 0)]
    places += [(b"{", 0), (b"{", 9), (b"POST", 0)]
    for number, (text, offset) in enumerate(places, start=100 * len(before)):
        data = offer(number)
        cut = data.index(text) + offset
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            if before != "nothing":
                length = 2 if before == "a plain request" else 1001
                head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
                connection.sendall(head.encode() + b"{}" + b" " * (length - 2))
                assert answered(connection)[0] == (400 if length == 2 else 413)
            connection.sendall(data[:cut])
            # Another connection is served meanwhile, so the first piece has been read.
            assert requests.get(server.url + STATUS, timeout=10).status_code == 200
            connection.sendall(data[cut:])
            status, answer = answered(connection)
            assert (status, answer["success"]) == (201, True), (text, offset)
    assert not [line for line in server.lines if "pgrade" in line]


def test_no_body_behind_a_late_upgrade_is_taken_for_a_request(shared):
    """An offer that is not taken changes nothing, also behind another request."""
    server = shared()
    inner = f"GET {STATUS} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    first = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}"
    second = (
        f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\nUpgrade: foo\r\n"
        f"Content-Length: {len(inner)}\r\n\r\n"
    )
    answer = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(first.encode() + second.encode())
        assert requests.get(server.url + STATUS, timeout=10).status_code == 200
        try:
            connection.sendall(inner)
            while chunk := connection.recv(65536):
                answer += chunk
        except OSError:
            pass
    assert answer.count(b"HTTP/1.1 400") == answer.count(b"HTTP/1.1 ") == 2


def test_garbage_behind_a_request_does_not_take_its_answer(shared):
    server = shared()
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    assert raw(server.port, head + BODY + b"BLAH\r\n\r\n")[0] == 201


def test_malformed_http_is_answered_in_json(shared):
    server = shared()
    for data in (b"FOO / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", b"GET /\xff HTTP/1.1\r\n\r\n"):
        status, answer = raw(server.port, data)
        assert (status, answer["error"]) == (400, "Bad request")


def test_a_head_that_never_ends_is_431(shared):
    server = shared()
    head = b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 70_000
    status, answer = raw(server.port, head)
    assert (status, answer["error"]) == (431, "Request head too large")


@pytest.fixture(scope="session")
def impatient(shared, tmp_path_factory):
    """A shared hub that waits half a second for a head."""
    folder = tmp_path_factory.mktemp("impatient")
    (folder / "sitecustomize.py").write_text(
        "import hub.http.protocol\nhub.http.protocol.HEAD_TIMEOUT = 0.5\n"
    )
    return shared(PYTHONPATH=str(folder))


def test_a_head_that_never_arrives_ends_the_connection(impatient):
    server = impatient
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as silent:
        assert silent.recv(10) == b""
    for part in (
        b"GET / HTTP/1.1\r\nHost",
        b"GET / HTTP/1.1\r\nUpgrade: x\r\n",
        offer(2) + b"GET /",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
            slow.sendall(part)
            while slow.recv(65536):
                pass


@pytest.mark.parametrize("sent", [b"", b"x" * 500, b"x" * 2_000_000])
def test_a_connection_whose_body_was_refused_unread_does_not_stay_open(impatient, sent):
    server = impatient
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head)
        assert answered(connection)[0] == 413
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            assert connection.recv(1) == b""


LONG_REPLAY = """
import time
from hub.jobs.replay import Replays

def replay(self, identifier, replay=Replays.replay, **options):
    print("replaying", flush=True)
    time.sleep(0.2)
    return replay(self, identifier, **options)

Replays.replay = replay
from hub.cli import main
main(["serve", "--port", "{port}", "--drain-timeout", "0"])
"""


def test_the_end_does_not_wait_for_a_long_replay(serve):
    token = "0123456789abcdef"
    command = [sys.executable, "-c", LONG_REPLAY]
    server = serve(command=command, environment={"HUB_ADMIN_TOKEN": token})
    post_all([server], [attendance(number) for number in range(100)], connections=4)
    replies = []

    def replay():
        with contextlib.suppress(requests.ConnectionError):
            replies.append(
                requests.post(
                    server.url + "/api/deliveries/replay/?status=refused&limit=100",
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=60,
                )
            )

    thread = threading.Thread(target=replay)
    thread.start()
    eventually(lambda: server.lines.count("replaying") > 1)
    assert server.stop() == 0
    thread.join(30)
    assert server.lines.count("replaying") < 50
    assert all(reply.status_code == 503 for reply in replies)


def test_a_signal_during_the_start_ends_it_with_0(url, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "hub", "serve", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "HUB_DATABASE": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        process.stdout.readline()
        process.terminate()
        process.stdout.read()
    assert process.returncode == 0


def test_a_pipelined_request_may_take_its_time_for_its_body(impatient):
    server = impatient
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head + BODY + head + BODY[:-5])
        assert answered(connection)[0] == 201
        with pytest.raises(TimeoutError):
            connection.settimeout(1.5)
            connection.recv(1)
        connection.settimeout(20)
        connection.sendall(BODY[-5:])
        assert answered(connection)[0] == 400


def test_a_client_that_leaves_harms_nobody(shared):
    server = shared()
    head = f"POST {UNIFIED} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{".encode()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head)
    assert requests.get(server.url + STATUS, timeout=10).status_code == 200


def post_all(servers, payloads, connections=40):
    """Post all payloads at once, to the servers in turn; the statuses and errors."""
    local = threading.local()
    barrier = threading.Barrier(connections)

    def post(numbered):
        number, payload = numbered
        if not hasattr(local, "session"):
            local.session = requests.Session()
            barrier.wait(30)
        reply = local.session.post(
            servers[number % len(servers)].url + UNIFIED, json=payload, timeout=30
        )
        return reply.status_code, reply.json().get("error")

    with ThreadPoolExecutor(connections) as pool:
        return list(pool.map(post, enumerate(payloads)))


@pytest.mark.parametrize("hubs", [1, 2])
def test_of_the_same_check_in_from_forty_connections_exactly_one_is_recorded(serve, hubs):
    servers = [serve() for _ in range(hubs)]
    for payload in (student(1), student(2), EVENT):
        assert requests.post(servers[0].url + UNIFIED, json=payload, timeout=10).status_code == 201
    answers = post_all(servers, [attendance(1)] * 80)
    assert sorted(set(answers), key=str) == [
        (201, None),
        (400, "Student already checked in to this event"),
    ]
    assert sum(status == 201 for status, _ in answers) == 1


def test_the_same_student_from_two_hubs_at_once_is_one(serve):
    servers = [serve(), serve()]
    answers = post_all(servers, [student(n // 8) for n in range(80)])
    assert sum(status == 201 for status, _ in answers) == 10
    assert {status for status, _ in answers} == {201, 400}


def test_what_was_acknowledged_survives_a_kill_exactly_once(serve):
    server = serve()
    post = requests.post
    assert post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    acknowledged = []

    def load(numbers):
        with requests.Session() as session:
            for number in numbers:
                try:
                    reply = session.post(server.url + UNIFIED, json=student(number), timeout=10)
                    if reply.status_code == 201:
                        reply = session.post(
                            server.url + UNIFIED, json=attendance(number), timeout=10
                        )
                except requests.RequestException:
                    return
                if reply.status_code == 201:
                    acknowledged.append(number)

    threads = [
        threading.Thread(target=load, args=(range(start, 100_000, 8),)) for start in range(8)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: len(acknowledged) > 50)
    server.kill()
    for thread in threads:
        thread.join()
    assert acknowledged
    again = serve()
    answers = post_all([again], [attendance(number) for number in acknowledged], connections=8)
    assert set(answers) == {(400, "Student already checked in to this event")}


@pytest.mark.skipif(STORE != "sqlite", reason="reads the file")
def test_a_delivery_and_what_it_changed_are_there_together_after_a_kill(serve, tmp_path):
    server = serve()

    def stored():
        status = requests.get(server.url + STATUS, timeout=10).json()
        return status["sources"][0]["deliveries"]["total"]

    def load(start):
        with requests.Session() as session:
            for number in range(start, 100_000, 4):
                try:
                    session.post(server.url + UNIFIED, json=student(number), timeout=10)
                except requests.RequestException:
                    return

    threads = [threading.Thread(target=load, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    eventually(lambda: stored() > 50)
    server.kill()
    for thread in threads:
        thread.join()
    connection = sqlite3.connect(tmp_path / "hub.db")
    kept, students, matched = connection.execute(
        "SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM student), "
        "(SELECT count(*) FROM student JOIN delivery ON delivery.id = student.delivery)"
    ).fetchone()
    connection.close()
    assert kept == students == matched > 0
