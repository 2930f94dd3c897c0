"""Nothing acknowledged is lost: full disks, cut connections, a store that is gone, power cuts."""

import os
import random
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import requests
from conftest import STORE
from hubtest import STATUS, UNIFIED
from serving import eventually
from test_server import EVENT, attendance, post_all, student

sqlite_only = pytest.mark.skipif(STORE != "sqlite", reason="about SQLite's own ways")
postgres_only = pytest.mark.skipif(STORE != "postgres", reason="about PostgreSQL's own ways")


class Load:
    """Students who check in, from several connections, until it is stopped."""

    def __init__(self, servers, connections=8, first=0):
        self.acknowledged = []
        self.statuses = Counter()
        self.headers = []
        self._servers = servers
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(first + number, connections))
            for number in range(connections)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, start, step):
        number = start
        with requests.Session() as session:
            while not self._stop.is_set():
                server = self._servers[number % len(self._servers)]
                if self._post(session, server, student(number)) in (201, 400):
                    if self._post(session, server, attendance(number)) == 201:
                        self.acknowledged.append(number)
                    number += step

    def _post(self, session, server, payload):
        try:
            reply = session.post(server.url + UNIFIED, json=payload, timeout=30)
        except requests.RequestException:
            self.statuses["none"] += 1
            time.sleep(0.05)
            return None
        self.statuses[reply.status_code] += 1
        if reply.status_code >= 500:
            self.headers.append(reply.headers)
            time.sleep(0.02)
        return reply.status_code

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def check(server, acknowledged):
    """Every acknowledged check-in is there: a second one is refused."""
    # A hub does not ask again at once for a store that it has just found unavailable.
    eventually(lambda: requests.get(server.url + STATUS, timeout=10).status_code == 200)
    answers = post_all([server], [attendance(number) for number in acknowledged], connections=8)
    assert set(answers) == {(400, "Student already checked in to this event")}


@pytest.fixture
def query(url, request):
    """Rows of the store, past any hub."""

    def query(sql):
        if STORE == "postgres":
            return request.getfixturevalue("cluster").execute(sql, url)
        import sqlite3

        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    return query


def consistent(query):
    """Every change has its delivery, and every applied delivery its change."""
    (changes,) = query(
        "SELECT (SELECT count(*) FROM student) + (SELECT count(*) FROM event)"
        " + (SELECT count(*) FROM attendance)"
    )
    (applied,) = query("SELECT count(*) FROM delivery WHERE outcome = 'applied'")
    assert changes == applied


def test_kills_at_random_moments_lose_and_double_nothing(serve, query):
    """Every hub of a store is killed at once, ``HUB_KILLS`` times."""
    servers = [serve(), serve()]
    assert requests.post(servers[0].url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    acknowledged = set()
    for kill in range(int(os.environ.get("HUB_KILLS", "2"))):
        load = Load(servers, first=kill * 100_000)
        eventually(lambda load=load: len(load.acknowledged) > 20)
        time.sleep(random.random() / 10)
        for server in servers:
            server.kill()
        load.stop()
        acknowledged.update(load.acknowledged)
        consistent(query)
        servers = [serve(), serve()]
    check(servers[0], sorted(acknowledged))
    (doubled,) = query("SELECT count(*) - count(DISTINCT student) FROM attendance")
    assert doubled[0] == 0


CRASHES = """
import os, sys
from hub.http import asgi

def run(hub, requests, run=asgi.run):
    responses = run(hub, requests)
    if any("HTTP_X_CRASH" in request.environ for request in requests):
        os._exit(9)  # what is recorded is on the disk, and nobody was told
    return responses

asgi.run = run
from hub.cli import main
main(["serve", "--port", "{port}"])
"""


def test_a_crash_between_commit_and_answer_gives_the_retry_the_first_answer(serve, query):
    command = [sys.executable, "-c", CRASHES]
    server = serve(command=command)
    headers = {"Idempotency-Key": "k-1"}
    for payload in (EVENT, student(1)):
        assert requests.post(server.url + UNIFIED, json=payload, timeout=10).status_code == 201
    with pytest.raises(requests.ConnectionError):
        crash = {**headers, "X-Crash": "now"}
        requests.post(server.url + UNIFIED, json=attendance(1), headers=crash, timeout=10)
    assert server.process.wait(10) == 9
    server.close()
    (kept,) = query("SELECT answer, outcome FROM delivery WHERE idempotency_key IS NOT NULL")
    again = serve()
    for _ in range(2):
        retry = requests.post(again.url + UNIFIED, json=attendance(1), headers=headers, timeout=10)
        assert (retry.status_code, retry.text, kept[1]) == (201, kept[0], "applied")
        assert retry.headers["X-Delivery-Replayed"] == "true"
    assert query("SELECT count(*) FROM attendance") == [(1,)]


@pytest.fixture(scope="session")
def powercut(tmp_path_factory):
    """The shim that keeps aside what was synced."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler here")
    library = tmp_path_factory.mktemp("powercut") / "powercut.so"
    source = Path(__file__).parent / "powercut.c"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


@sqlite_only
def test_a_power_cut_loses_nothing_that_was_acknowledged(serve, powercut, tmp_path, url):
    for path in tmp_path.glob("hub.db*"):
        path.unlink()  # the shim knows only what was written under it
    durable = tmp_path / "durable"
    durable.mkdir()
    shim = {"LD_PRELOAD": str(powercut), "DURABLE": str(durable)}
    server = serve(environment=shim)
    assert requests.post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    load = Load([server])
    eventually(lambda: len(load.acknowledged) > 100)
    server.kill()
    load.stop()
    for path in tmp_path.glob("hub.db*"):
        path.unlink()
    for path in durable.glob("hub.db*"):
        if not path.name.endswith(".fresh"):
            shutil.copy(path, tmp_path)
    check(serve(), load.acknowledged)


@sqlite_only
def test_the_power_cut_is_one(powercut, tmp_path):
    """Without the syncs of ``synchronous=FULL`` a commit would be lost by it."""
    durable = tmp_path / "durable"
    durable.mkdir()
    code = (
        "import sqlite3, sys; c = sqlite3.connect('x.db'); c.execute('PRAGMA journal_mode=WAL');"
        "c.execute('PRAGMA synchronous=' + sys.argv[1]); c.execute('CREATE TABLE t (a)');"
        "c.execute('INSERT INTO t VALUES (1)'); c.commit(); import os; os._exit(0)"
    )
    kept = {}
    for synchronous in ("FULL", "OFF"):
        subprocess.run(
            [sys.executable, "-c", code, synchronous],
            check=True,
            cwd=tmp_path,
            env={**os.environ, "LD_PRELOAD": str(powercut), "DURABLE": str(durable)},
        )
        kept[synchronous] = (durable / "x.db-wal").exists()
        for path in [*tmp_path.glob("x.db*"), *durable.glob("x.db*")]:
            path.unlink()
    assert kept == {"FULL": True, "OFF": False}


@sqlite_only
def test_a_full_disk_is_503_and_passes_by_itself(serve, tmp_path, query):
    """Writes fail with EFBIG in the middle of a rush."""
    server = serve()
    assert requests.post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    load = Load([server])
    eventually(lambda: len(load.acknowledged) > 20)
    size = max(path.stat().st_size for path in tmp_path.glob("hub.db*"))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    eventually(lambda: load.statuses[503] > 20)
    assert requests.get(server.url + STATUS, timeout=10).status_code in (200, 503)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, unlimited)
    before = len(load.acknowledged)
    eventually(lambda: len(load.acknowledged) > before + 20)
    load.stop()
    assert set(load.statuses) <= {201, 400, 503}
    assert all(headers["Retry-After"] for headers in load.headers)
    consistent(query)
    check(server, load.acknowledged)
    assert server.stop() == 0


@postgres_only
def test_connections_cut_in_the_middle_lose_nothing(serve, cluster, query):
    servers = [serve(), serve()]
    assert requests.post(servers[0].url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    load = Load(servers)
    for round_ in range(1, 11):
        eventually(lambda goal=20 * round_: len(load.acknowledged) > goal)
        cluster.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'attendance-hub'"
        )
    load.stop()
    assert set(load.statuses) <= {201, 400, 503}
    consistent(query)
    check(servers[0], load.acknowledged)


@postgres_only
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_server_that_stops_is_503_meanwhile(serve, cluster, query, how):
    servers = [serve(), serve()]
    assert requests.post(servers[0].url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    load = Load(servers)
    eventually(lambda: len(load.acknowledged) > 20)
    cluster.stop(how)
    try:
        eventually(lambda: load.statuses[503] > 20)
        assert requests.get(servers[0].url + STATUS, timeout=10).status_code == 503
    finally:
        cluster.start()
    before = len(load.acknowledged)
    eventually(lambda: len(load.acknowledged) > before + 20)
    load.stop()
    assert set(load.statuses) <= {201, 400, 503}
    assert all(headers["Retry-After"] for headers in load.headers)
    consistent(query)
    check(servers[1], load.acknowledged)


def test_several_hubs_with_the_same_deliveries_make_the_same_table(serve, query):
    servers = [serve() for _ in range(3)]
    payloads = [EVENT] + [student(n) for n in range(20)] + [attendance(n) for n in range(20)]
    barrier = threading.Barrier(len(servers))
    answers = [[] for _ in servers]

    def send(index):
        barrier.wait(30)
        with requests.Session() as session:
            for payload in payloads:
                reply = session.post(servers[index].url + UNIFIED, json=payload, timeout=30)
                answers[index].append(reply.status_code)

    threads = [threading.Thread(target=send, args=(index,)) for index in range(len(servers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for statuses in zip(*answers, strict=True):
        assert sorted(statuses) == [201, 400, 400]
    assert query("SELECT count(*) FROM attendance") == [(20,)]
    assert query("SELECT count(*) FROM delivery") == [(3 * len(payloads),)]
    consistent(query)
