"""Fetching what deliveries wait for, from a server that is slow, away, wrong, redirecting, endless."""

import json
import os
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from hubtest import Calls, Client, rebuilt
from serving import http_server

from hub.config.load import load
from hub.jobs import fetching, outbound
from hub.jobs.outbound import NotFetched, get
from hub.store.store import Store

STORE = os.environ.get("HUB_TEST_STORE", "sqlite")
SECRET, FETCH_SECRET = "a-secret-in-the-address", "what-the-server-wants"
PLUGIN = """
from hub import CheckIn, Fetch, SecretIn, Source, hookimpl


def fetch(payload):
    return Fetch(payload["url"], {"Authorization": "Bearer {secret}"})


def normalize(payload, scan):
    yield CheckIn(student=scan["badge"], event="Weekly Meeting", repeatable=True)


@hookimpl
def register_sources():
    yield Source(
        name="thin",
        path="thin",
        authenticate=SecretIn("query:token"),
        fetch=fetch,
        fetch_hosts=("127.0.0.1", "localhost"),
        schema={"type": "object", "required": ["url"], "properties": {"url": {"type": "string"}}},
        normalize=normalize,
    )
"""


class Bad(BaseHTTPRequestHandler):
    """A server whose paths say how it misbehaves."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        name, _, rest = self.path.lstrip("/").partition("?")[0].partition("/")
        if self.server.is_away:
            name = "status"
            rest = "503"
        getattr(self, f"do_{name}")(rest)

    def answer(self, body, status=200, **headers):
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_scan(self, badge):
        self.answer(json.dumps({"badge": badge}).encode())

    def do_status(self, status):
        self.answer(b'{"badge": "a1"}', int(status))

    def do_text(self, _):
        self.answer(b"<html>")

    def do_away(self, _):
        self.answer(b"", 302, Location="http://localhost:1/scan/a1")

    def do_here(self, badge):
        self.answer(b"", 307, Location=f"/scan/{badge}")

    def do_round(self, _):
        self.answer(b"", 302, Location="/round/")

    def do_endless(self, _):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" " * 65_536)
        except OSError:
            self.close_connection = True

    def do_slow(self, _):
        try:
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000:
                self.wfile.write(bytes([byte]))
                time.sleep(0.02)
        except OSError:
            self.close_connection = True

    def do_nothing(self, _):
        self.server.released.wait(10)
        self.close_connection = True

    def do_cut(self, _):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        self.close_connection = True

    def log_message(self, *_):
        pass


@contextmanager
def serving():
    with http_server(Bad) as server:
        server.asked, server.is_away, server.released = [], False, threading.Event()
        try:
            yield server
        finally:
            server.released.set()


@pytest.fixture
def server():
    with serving() as server:
        yield server


def at(server, path, host="127.0.0.1"):
    return f"http://{host}:{server.server_address[1]}/{path}"


class TestGet:
    def test_a_document(self, server):
        found = get(at(server, "scan/a1"), {"Authorization": "Bearer x"}, private=True)
        assert json.loads(found) == {"badge": "a1"}
        assert server.asked == [("/scan/a1", "Bearer x")]

    def test_a_redirect_on_the_same_host_is_followed(self, server):
        assert json.loads(get(at(server, "here/a1"), {}, private=True)) == {"badge": "a1"}

    @pytest.mark.parametrize(
        ("path", "said", "is_away"),
        [
            ("status/404", "it answered 404", False),
            ("status/429", "it answered 429", True),
            ("status/500", "it answered 500", True),
            ("away/", "it redirects to another host", False),
            ("round/", "it redirects more than 3 times", False),
            ("endless/", "it has more than 1048576 bytes", False),
            ("slow/", "it took more than 0.5 s", True),
            ("nothing/", "it took more than 0.5 s", True),
            ("cut/", "no answer", True),
        ],
    )
    def test_what_is_not_fetched(self, server, path, said, is_away):
        with pytest.raises(NotFetched) as error:
            get(at(server, path), {}, private=True, time_limit=0.5)
        assert said in str(error.value)
        assert error.value.is_away is is_away

    def test_a_server_that_is_away(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with pytest.raises(NotFetched, match="no answer") as error:
            get(f"http://127.0.0.1:{port}/", {}, private=True)
        assert error.value.is_away

    @pytest.mark.parametrize(
        "url",
        [
            "https://169.254.169.254/latest/meta-data/",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://10.0.0.1/",
            "https://192.168.1.1/",
            "https://0.0.0.0/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://100.64.0.1/",
            "https://[fd00::1]/",
            "https://[fe80::1%25lo]/",
            "https://[2002:7f00:1::]/",
            "https://224.0.0.1/",
            "https://[64:ff9b::7f00:1]/",
            "https://[::7f00:1]/",
            "https://[::ffff:0:7f00:1]/",
            "https://[fec0::1]/",
            "https://192.0.0.8/",
            "https://168.63.129.16/",
        ],
    )
    def test_no_private_network_is_reached(self, url):
        with pytest.raises(NotFetched, match="private network|no answer|not found in time"):
            get(url, {}, time_limit=1)

    @pytest.mark.parametrize(
        "url",
        [
            "http://example.org/",
            "ftp://example.org/",
            "https://u:p@example.org/",
            "https:///x",
            "x",
        ],
    )
    def test_what_is_no_address(self, url):
        with pytest.raises(NotFetched, match="its address"):
            get(url, {})

    def test_a_name_is_looked_up_once(self, server, monkeypatch):
        """An answer of DNS that changes gets nobody anywhere."""
        asked = []

        def look_up(host, port, **_):
            asked.append(host)
            address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        dialled = []

        def dial(address, timeout):
            dialled.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
        monkeypatch.setattr(outbound.socket, "create_connection", dial)
        with pytest.raises(NotFetched, match="no answer"):
            get("https://rebinds.example/", {})
        assert asked == ["rebinds.example"]
        assert dialled == [("93.184.216.34", 443)]

    def test_a_name_with_a_private_address_among_others(self, monkeypatch):
        def look_up(host, port, **_):
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
                for address in ("93.184.216.34", "10.0.0.1")
            ]

        monkeypatch.setattr(outbound.socket, "getaddrinfo", look_up)
        with pytest.raises(NotFetched, match="private network"):
            get("https://both.example/", {})


@pytest.fixture
def thin(make_hub, tmp_path, url):
    """A hub with a source that has things fetched, a client, and its fetcher."""
    (tmp_path / "thin.py").write_text(PLUGIN)
    environment = {
        "HUB_SOURCE_THIN_SECRETS": SECRET,
        "HUB_SOURCE_THIN_FETCH_SECRET": FETCH_SECRET,
        "HUB_SOURCE_THIN_FETCH_PRIVATE": "1",
    }
    settings = load({}, None, environment).settings
    hub = make_hub(plugins=str(tmp_path), sources=settings.sources)
    client = Client(hub)
    calls = Calls(client)
    for number in range(1, 4):
        calls.student(f"a{number}")
    calls.event()
    return hub, client, hub.fetchers.every[0]


def post(client, url):
    body = json.dumps({"url": url}).encode()
    path = "/api/webhook/thin/"
    return client.request(
        "POST", path, body, content_type="application/json", query=f"token={SECRET}"
    )


def waiting(hub):
    with hub.store.reading() as db:
        return {row.id: row.waiting for row in db.Delivery.select() if row.waiting}


def states(hub, source="thin"):
    with hub.store.reading() as db:
        rows = sorted(db.Delivery.select(lambda d: d.source == source), key=lambda row: row.id)
        return [(row.outcome, row.waiting) for row in rows]


def test_it_is_answered_at_once_and_applied_when_it_is_there(thin, server):
    hub, client, fetcher = thin
    reply = post(client, at(server, "scan/a1?key=hidden"))
    assert (reply.status, reply.json["success"]) == (202, True)
    assert server.asked == []
    address = f"127.0.0.1:{server.server_address[1]}"
    assert list(waiting(hub).values()) == [f"fetch http://{address}/scan/a1"]
    fetcher.do_what_is_due()
    assert server.asked == [("/scan/a1?key=hidden", f"Bearer {FETCH_SECRET}")]
    assert states(hub) == [("applied", None)]
    with hub.store.reading() as db:
        assert db.Attendance.select().count() == 1
        assert db.Fetching.select().count() == 0
        assert all(SECRET not in row.headers for row in db.Delivery.select())


def test_a_replay_and_a_rebuild_need_no_network(thin, server):
    hub, client, fetcher = thin
    post(client, at(server, "scan/a9"))
    fetcher.do_what_is_due()
    ((identifier, awaited),) = waiting(hub).items()
    assert awaited == "student a_number:a9"
    server.asked.clear()
    Calls(client).student("a9")
    hub.replays.replay(identifier)
    assert states(hub) == [("applied", None)]
    found = rebuilt(hub)
    assert found.differences == ()
    assert server.asked == []


def test_the_same_one_again_is_answered_as_the_first(thin, server):
    hub, client, fetcher = thin
    body = json.dumps({"url": at(server, "scan/a1")}).encode()

    def send():
        return client.request(
            "POST", "/api/webhook/thin/", body, {"Idempotency-Key": "k"}, "application/json",
            f"token={SECRET}",
        )  # fmt: skip

    assert [send().status for _ in range(2)] == [202, 202]
    fetcher.do_what_is_due()
    assert send().status == 201
    with hub.store.reading() as db:
        assert db.Attendance.select().count() == 1


@pytest.mark.parametrize(
    "address",
    ["https://169.254.169.254/", "https://evil.example/", "file:///etc/passwd", "https://127.0.0.1.evil.example/",
     "https://127.0.0.1@evil.example/", "http://:p@127.0.0.1/", "https://[::1", "ftp://127.0.0.1/",
     "http://127.0.0.1/a b", "http://127.0.0.1/\u00e9", "//127.0.0.1/x", "//"],
)  # fmt: skip
def test_another_host_is_refused(thin, address):
    hub, client, _ = thin
    reply = post(client, address)
    assert (reply.status, reply.error) == (400, "What the payload names cannot be fetched")
    with hub.store.reading() as db:
        assert db.Fetching.select().count() == 0


def test_all_wait_in_order_while_the_server_is_away(thin, server):
    hub, client, fetcher = thin
    server.is_away = True
    many = 1000 if STORE == "sqlite" else 100
    for number in range(many):
        post(client, at(server, f"scan/a{number % 3 + 1}?n={number}"))
    assert [fetcher.do_what_is_due() for _ in range(3)] == [1.0, 2.0, 4.0]
    assert len(server.asked) == 6  # two are asked for each time, no more
    assert len(waiting(hub)) == many
    server.is_away = False
    server.asked.clear()
    while waiting(hub):
        fetcher.do_what_is_due()
    asked = [int(path.partition("n=")[2]) for path, _ in server.asked]
    assert asked == list(range(many))
    with hub.store.reading() as db:
        assert db.Attendance.select().count() == 3
        assert db.Fetching.select().count() == 0


@pytest.mark.parametrize("path", ["status/404", "text/", "away/"])
def test_one_that_is_wrong_does_not_hold_up_the_others(thin, server, path, monkeypatch):
    hub, client, fetcher = thin
    post(client, at(server, path))
    post(client, at(server, "scan/a1"))
    fetcher.do_what_is_due()
    assert [outcome for outcome, _ in states(hub)] == ["ignored", "applied"]
    with hub.store.reading() as db:
        assert [row.attempts for row in db.Fetching.select()] == [1]


def test_one_that_the_server_alone_cannot_give(thin, server):
    """Others come, so it is not the server that is away."""
    hub, client, fetcher = thin
    post(client, at(server, "status/500"))
    post(client, at(server, "scan/a1"))
    assert fetcher.do_what_is_due() == 0.0
    assert [outcome for outcome, _ in states(hub)] == ["ignored", "applied"]
    with hub.store.reading() as db:
        assert [row.attempts for row in db.Fetching.select()] == [1]


def test_it_is_given_up_at_last_and_a_replay_asks_again(thin, server, monkeypatch):
    hub, client, fetcher = thin
    monkeypatch.setattr(fetching, "SCHEDULE", ())
    post(client, at(server, "status/404"))
    fetcher.do_what_is_due()
    with hub.store.reading() as db:
        (row,) = db.Delivery.select(lambda d: d.source == "thin")
        identifier = row.id
        assert (row.outcome, row.waiting, row.status) == ("refused", None, 202)
        assert [a.status for a in row.attempts.order_by(1)] == [202, 400]
        assert db.Fetching.select().count() == 0
    hub.replays.replay(identifier)
    assert len(waiting(hub)) == 1
    with hub.store.reading() as db:
        assert db.Fetching.select().count() == 1


def test_a_hub_fetches_by_itself_and_ends(thin, server):
    hub, client, _ = thin
    hub.start()
    post(client, at(server, "scan/a1"))
    end = time.monotonic() + 10
    while waiting(hub) and time.monotonic() < end:
        time.sleep(0.01)
    assert states(hub) == [("applied", None)]
    hub.close()


def test_what_was_fetched_goes_with_the_body(thin, server):
    from hub.domain.delivery import Emptied
    from hub.store import deliveries

    hub, client, fetcher = thin
    post(client, at(server, "scan/a1"))
    fetcher.do_what_is_due()
    with hub.store.writing() as tx, hub.store.reading() as db:
        (identifier,) = [row.id for row in db.Delivery.select(lambda d: d.source == "thin")]
        deliveries.empty(tx, identifier, Emptied.RETENTION)
    with hub.store.reading() as db:
        assert db.Delivery[identifier].fetched is None


def test_the_store_is_not_held_while_a_server_is_slow(thin, server):
    """A check-in of another source goes on meanwhile."""
    hub, client, fetcher = thin
    post(client, at(server, "nothing/"))

    def fetch():
        fetcher.do_what_is_due()
        hub.store.close()  # of this thread

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    end = time.monotonic() + 10
    while not server.asked and time.monotonic() < end:
        time.sleep(0.01)
    assert Calls(client).attend("a2").status == 201
    server.released.set()
    thread.join(10)
    assert isinstance(hub.store, Store)


def test_all_are_told_to_end_before_any_is_waited_for(thin):
    hub, _, fetcher = thin
    fetchers = fetching.Fetchers(hub.store, hub.replays, [fetcher.endpoint] * 2)
    one, other = fetchers.every
    told = []

    def until_told(whom):
        def work():
            told.append(whom._ending.wait(5))
            return 0.0

        return work

    one.do_what_is_due, other.do_what_is_due = until_told(other), until_told(one)
    fetchers.start()
    fetchers.close(20)
    assert set(told) == {True}
