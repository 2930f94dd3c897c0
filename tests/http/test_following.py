"""Other systems follow the record: what they have at the end is what the listings show."""

import random
import socket
import threading
import time

import pytest
import requests
from hubtest import ONETAP, UNIFIED
from serving import eventually

TOKEN = "0123456789abcdef-admin"
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
MEETINGS = [f"Meeting {number}" for number in range(4)]


class Follower:
    """Applies every change to a copy of its own."""

    def __init__(self, cursor=None, copy=None):
        self.cursor = cursor
        self.copy = copy or {"attendance": {}, "student": {}, "event": {}}

    def step(self, url, wait=0):
        after = {"after": self.cursor} if self.cursor else {}
        reply = requests.get(
            f"{url}/api/changes/", params={"limit": 7, "wait": wait, **after},
            headers=AUTHORIZED, timeout=60,
        )  # fmt: skip
        assert reply.status_code == 200, reply.text
        for change in reply.json()["changes"]:
            what = change["type"].partition(".")[0]
            subject = change[what]
            if change["type"] == "student.forgotten":
                self.copy[what].pop(subject["id"], None)
            else:
                self.copy[what][subject["id"]] = subject
        self.cursor = reply.json()["next"]
        return len(reply.json()["changes"])


def listed(url):
    """What the listings show, as changes tell it."""
    found = {}
    for plural, state in (("attendances", "all"), ("students", "all"), ("events", "all")):
        rows, cursor = [], {}
        while cursor is not None:
            reply = requests.get(
                f"{url}/api/{plural}/", params={"state": state, "limit": 500, **cursor},
                headers=AUTHORIZED, timeout=60,
            ).json()  # fmt: skip
            rows += reply[plural]
            cursor = {"cursor": reply["next"]} if reply["next"] else None
        found[plural.removesuffix("s")] = {row["id"]: row for row in rows}
    for row in found["attendance"].values():
        row["student"], row["event"] = row["student"]["id"], row["event"]["id"]
        del row["points"]
    for counted in ("attendances", "points"):
        for row in found["student"].values():
            del row[counted]
    for counted in ("attendances", "present", "withdrawn"):
        for row in found["event"].values():
            del row[counted]
    return found


class Traffic:
    """Posts whatever changes the record, to any of several hubs, until it is stopped."""

    def __init__(self, urls, seed):
        self.urls = urls
        self._random = random.Random(seed)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._ending.set()
        self._thread.join()

    def _run(self):
        with requests.Session() as session:
            while not self._ending.is_set():
                path, payload = self._any()
                try:
                    session.post(self._random.choice(self.urls) + path, json=payload, timeout=30)
                except requests.RequestException:
                    time.sleep(0.05)  # that hub was killed

    def _any(self):
        number, meeting = self._random.randrange(12), self._random.choice(MEETINGS)
        student, name = f"a{number}", self._random.choice(["Ada", "Grace", "Bo"])
        unified = self._random.randrange(7)
        if unified == 0:
            data = {"student_identifier": student, "email": f"{student}@example.edu",
                    "first_name": name, "last_name": "Example"}  # fmt: skip
            return UNIFIED, {"type": "student", "data": data}
        if unified == 1:
            data = {"student_identifier": student, "first_name": name}
            return UNIFIED, {"type": "student", "action": "update", "data": data}
        if unified == 2:
            data = {"event_name": meeting, "event_date": "2026-11-09T18:00:00Z"}
            return UNIFIED, {"type": "event", "data": data}
        if unified == 3:
            data = {"student_identifier": student, "event_identifier": meeting}
            return UNIFIED, {"type": "attendance", "data": data}
        event = self._random.choice(
            ["participant.checkin"] * 3
            + ["participant.checkout", "participant.deleted", "profile.deleted", "list.deleted"]
        )
        at = f"2026-11-09T18:{self._random.randrange(60):02}:00Z"
        return ONETAP, {
            "event": event, "timestamp": at,
            "data": {"participant": {"id": f"p{number} {meeting}", "checkInDate": at,
                                     "checkOutDate": "2026-11-09T20:00:00Z"},
                     "profile": {"id": f"f{number}", "name": f"{name} Renard",
                                 "customFields": {"A-Number": student}},
                     "list": {"id": meeting, "name": meeting, "date": "2026-11-09T18:00:00Z"}},
        }  # fmt: skip


def follow(followers, urls, until):
    """Let each follower ask one hub or the other, until it is over and there is nothing left."""
    number = 0
    while not until():
        number += 1
        for follower in followers:
            try:
                follower.step(urls[number % len(urls)])
            except requests.RequestException:
                time.sleep(0.05)
    for follower in followers:
        while follower.step(urls[0]):
            pass


@pytest.mark.parametrize("seed", [1, 2])
def test_with_two_hubs_of_which_one_is_killed_nothing_is_passed_over(serve, seed):
    first, second = (serve(environment={"HUB_ADMIN_TOKEN": TOKEN}) for _ in range(2))
    urls = [first.url, second.url]
    traffic = [Traffic(urls, seed * 10 + number) for number in range(3)]
    followers = [Follower()]
    end = time.monotonic() + 2
    follow(followers, urls, lambda: time.monotonic() > end)
    # One who starts later begins with the cursor, and then reads the listings.
    later = Follower(requests.get(
        f"{first.url}/api/changes/", params={"after": "now"}, headers=AUTHORIZED, timeout=30
    ).json()["next"])  # fmt: skip
    later.copy = listed(first.url)
    followers.append(later)
    second.kill()
    end = time.monotonic() + 1
    follow(followers, urls[:1], lambda: time.monotonic() > end)
    third = serve(environment={"HUB_ADMIN_TOKEN": TOKEN})
    urls[1] = third.url
    end = time.monotonic() + 1
    follow(followers, urls, lambda: time.monotonic() > end)
    for one in traffic:
        one.stop()
    follow(followers, urls, lambda: True)
    truth = listed(first.url)
    assert len(truth["attendance"]) > 20
    for follower in followers:
        assert follower.copy == truth


@pytest.fixture
def server(serve_http):
    return serve_http(environment={"HUB_ADMIN_TOKEN": TOKEN})


EVENT = {"type": "event", "data": {"event_name": "Late", "event_date": "2026-11-09T18:00:00Z"}}


def test_a_hundred_who_wait_are_told_at_once_and_cost_no_thread(server):
    threads = _threads(server.process.pid)
    cursor = Follower()
    cursor.step(server.url)
    told = []

    def wait():
        follower = Follower(cursor.cursor)
        told.append(follower.step(server.url, wait=30))

    waiting = [threading.Thread(target=wait) for _ in range(100)]
    for one in waiting:
        one.start()
    time.sleep(1.5)
    assert _threads(server.process.pid) <= threads + 2
    assert told == []
    assert requests.post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    for one in waiting:
        one.join(20)
    assert told == [1] * 100


def _threads(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("Threads:"))


def _ask(server, path):
    """A connection that asks, and whose answer nobody reads."""
    asking = socket.create_connection(("127.0.0.1", server.port))
    asking.sendall(
        f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    return asking


def test_one_who_waits_and_leaves_is_forgotten(server):
    follower = Follower()
    follower.step(server.url)
    for _ in range(20):
        _ask(server, f"/api/changes/?wait=30&after={follower.cursor}").close()
    assert requests.post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    assert follower.step(server.url) == 1
    assert server.stop() == 0
    assert not any("Traceback" in line for line in server.lines)


def test_whoever_waits_is_answered_when_the_hub_ends(server):
    follower = Follower()
    follower.step(server.url)
    done = []
    waiting = threading.Thread(target=lambda: done.append(follower.step(server.url, wait=30)))
    waiting.start()
    time.sleep(0.5)
    assert server.stop() == 0
    waiting.join(20)
    assert done == [0]


def _fill(server, number):
    """Events whose file is larger than what the system keeps for a reader."""
    with requests.Session() as session:
        for minute in range(number):
            data = {"event_name": f"Meeting {minute}", "event_date": "2026-11-09T18:00:00Z",
                    "description": "long " * 1000}  # fmt: skip
            payload = {"type": "event", "data": data}
            assert session.post(server.url + UNIFIED, json=payload, timeout=10).status_code == 201


def test_a_reader_who_stops_holds_up_nobody(server):
    _fill(server, 300)
    stopped = [_ask(server, "/api/events.csv") for _ in range(10)]
    whole = requests.get(f"{server.url}/api/events.csv", headers=AUTHORIZED, timeout=30)
    assert len(whole.text.splitlines()) == 301
    assert requests.post(server.url + UNIFIED, json=EVENT, timeout=10).status_code == 201
    for one in stopped:
        one.close()
    assert server.stop() == 0
    assert not any("Traceback" in line for line in server.lines)


def test_a_file_breaks_off_where_the_store_goes_away(server, tmp_path):
    """The status is sent by then; that the last chunk is missing tells the reader."""
    _fill(server, 1500)
    asking = _ask(server, "/api/events.csv")
    assert b"200 OK" in asking.recv(1000)
    time.sleep(0.3)
    (tmp_path / "hub.db").rename(tmp_path / "gone.db")
    asking.settimeout(30)
    rest = b""
    while piece := asking.recv(65536):
        rest += piece
    asking.close()
    assert not rest.endswith(b"\r\n0\r\n\r\n")
    eventually(lambda: any("a file breaks off" in line for line in server.lines))
    reply = requests.get(f"{server.url}/api/events.csv", headers=AUTHORIZED, timeout=30)
    assert reply.status_code == 503
    assert not any("Traceback" in line for line in server.lines)
