"""Hubs of this version and of a later one over one store, while it is migrated and check-ins come."""

import http.client
import json
import os
import subprocess
import sys
import threading
from contextlib import closing

import pytest
from serving import Server, eventually

from hub.store import migrations
from hub.store.store import Store

LATER = """
import sys
from hub.store import migrations

def reads_all(cursor, dialect):
    # As long as a step that goes through the deliveries takes.
    for _ in range(20):
        cursor.execute("UPDATE delivery SET duration = duration")

migrations.STEPS += (("CREATE TABLE later (id INTEGER)",), (reads_all, "DROP TABLE later"))
migrations.LATEST += 2
migrations.READABLE_FROM += {raised}
from hub.cli.main import main
main()
"""


class Sender(threading.Thread):
    """Posts a check-in after the other, each with a key, and as long as it takes until it is answered for
    good: as senders do.
    """

    def __init__(self, server, name):
        super().__init__()
        self.port = server.port
        self.own = name
        self.answers = []
        self.refused = []
        self.is_done = threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            number = 0
            while not self.is_done.is_set():
                status, body = self.post(connection, f"{self.own}-{number}")
                if status < 500:
                    self.answers.append(status)
                    number += 1
                else:
                    self.refused.append(body)
                    self.is_done.wait(0.1)

    def post(self, connection, who):
        data = {"student_identifier": who, "email": f"{who}@example.edu"}
        data |= {"first_name": "Ada", "last_name": "Example"}
        body = json.dumps({"type": "student", "data": data})
        headers = {"Content-Type": "application/json", "Idempotency-Key": who}
        connection.request("POST", "/api/webhook/unified/", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


@pytest.fixture
def later(empty_url, tmp_path):
    """A later version's command."""

    def later(*arguments, raised=0):
        environment = {**os.environ, "HUB_DATABASE": empty_url}
        command = [sys.executable, "-c", LATER.format(raised=raised), *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return later


@pytest.fixture
def sending(empty_url, tmp_path):
    """A hub of this version that takes check-ins, and its senders."""
    server = Server(empty_url, cwd=tmp_path)
    senders = [Sender(server, f"s{number}") for number in range(4)]
    for one in senders:
        one.start()
    eventually(lambda: all(len(one.answers) > 20 for one in senders))
    yield server, senders
    end(senders)
    server.stop()


def recorded(url):
    store = Store.open(url)
    with store.reading() as db:
        found = db.StudentIdentifier.select(lambda one: one.kind == "a_number").count()
    store.close()
    return found


def end(senders):
    for one in senders:
        one.is_done.set()
    for one in senders:
        one.join(30)


def test_both_take_check_ins(sending, later, empty_url, tmp_path):
    _, senders = sending
    assert later("migrate").endswith(": applied 2 steps\n")
    before = [len(one.answers) for one in senders]
    command = [sys.executable, "-c", LATER.format(raised=0), "serve", "--port", "{{port}}"]
    newer = Server(
        empty_url, cwd=tmp_path, command=[one.replace("{{port}}", "{port}") for one in command]
    )
    try:
        others = [Sender(newer, f"n{number}") for number in range(2)]
        for one in others:
            one.start()
        eventually(lambda: all(len(one.answers) > 20 for one in others))
        eventually(
            lambda: all(
                len(one.answers) > count + 20 for one, count in zip(senders, before, strict=True)
            )
        )
        end([*senders, *others])
    finally:
        newer.stop()
    every = [*senders, *others]
    assert {status for one in every for status in one.answers} == {201}
    assert [one.refused for one in every] == [[]] * len(every)
    assert recorded(empty_url) == sum(len(one.answers) for one in every)


def test_one_that_may_not_go_on_says_so_and_loses_nothing(sending, later, empty_url, monkeypatch):
    _, senders = sending
    later("migrate", raised=3)
    eventually(lambda: all(one.refused for one in senders))
    end(senders)
    assert {body["error"] for one in senders for body in one.refused} == {"Temporarily unavailable"}
    assert {status for one in senders for status in one.answers} == {201}
    monkeypatch.setattr(migrations, "LATEST", migrations.LATEST + 2)
    assert recorded(empty_url) == sum(len(one.answers) for one in senders)
