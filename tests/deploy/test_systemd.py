"""The units: systemd finds nothing wrong in them, and the hub does what they rely on."""

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
from hubtest import STATUS, UNIFIED
from serving import eventually, free_port

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here"
)


def unit(name):
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str
    parser.read(UNITS / name)
    return parser


@needs_systemd
def test_nothing_is_wrong_in_them(tmp_path):
    """With programs that are here in place of those of the installed hub."""
    programs = {"/opt/attendance-hub/bin/attendance-hub": shutil.which("true")}
    for file in UNITS.iterdir():
        text = file.read_text("utf-8")
        for installed, here in programs.items():
            text = text.replace(installed, here)
        (tmp_path / file.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    own = [line for line in done.stderr.splitlines() if "attendance-hub" in line]
    assert own == []


@needs_systemd
@pytest.mark.parametrize("name", ["attendance-hub.service", "attendance-hub-backup.service"])
def test_they_may_do_little(name):
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", UNITS / name],
        capture_output=True,
        text=True,
        check=True,
    )
    level = float(re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)[1])
    assert level <= 2.0


def test_it_may_take_as_long_to_end_as_the_hub_does():
    from hub.config.settings import Settings

    assert (
        int(unit("attendance-hub.service")["Service"]["TimeoutStopSec"])
        > Settings().drain_timeout + 1
    )


class Manager:
    """What systemd does for the units: it listens, starts the service, and hears what it says."""

    def __init__(self, folder, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=2048)
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.bind(str(folder / "notify"))
        self._manager.settimeout(20)
        self._environment = environment
        self.process = None

    def start(self, wait=True):
        service = unit("attendance-hub.service")["Service"]
        command = service["ExecStart"].split()
        program = [sys.executable, "-m", "hub", *command[1:]]
        config = program[program.index("--config") + 1]
        program[program.index(config)] = str(self._folder / "hub.toml")
        # As the manager has it: the socket is file 3, and the process knows that it is meant.
        given = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
            "os.execv(sys.argv[2], sys.argv[2:])"
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", given, str(self._listener.fileno()), *program],
            cwd=self._folder,
            pass_fds=(self._listener.fileno(),),
            env={
                **{name: one for name, one in os.environ.items() if not name.startswith("HUB_")},
                "LISTEN_FDS": "1",
                "NOTIFY_SOCKET": str(self._folder / "notify"),
                **self._environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if wait:
            assert self.said() == "READY=1"

    def said(self):
        return self._manager.recv(1000).decode()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        output, _ = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, output
        while self.said() != "STOPPING=1":
            pass
        return output

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self._listener.close()
        self._manager.close()


@pytest.fixture
def manager(tmp_path):
    made = []

    def make(**environment):
        (tmp_path / "hub.toml").write_text(f'database = "sqlite:///{tmp_path / "hub.db"}"\n')
        made.append(Manager(tmp_path, **environment))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_it_says_when_it_is_ready_and_when_it_ends(manager):
    one = manager(HUB_DRAIN_DELAY="0")
    one.start()
    assert requests.get(one.url + STATUS, timeout=10).status_code == 200
    output = one.stop()
    assert f"on {one.url}" in output


def test_it_says_that_it_goes_on(manager):
    one = manager(WATCHDOG_USEC="300000", HUB_DRAIN_DELAY="0")
    one.start()
    assert [one.said() for _ in range(3)] == ["WATCHDOG=1"] * 3
    one.stop()


def test_a_watchdog_of_another_process_is_not_told(manager):
    one = manager(WATCHDOG_USEC="1", WATCHDOG_PID="1", HUB_DRAIN_DELAY="0")
    one.start()
    time.sleep(0.3)
    one.process.send_signal(signal.SIGTERM)
    assert one.said() == "STOPPING=1"


def test_a_socket_that_it_cannot_serve_stops_the_start(manager):
    one = manager(LISTEN_FDS="2")
    one.start(wait=False)
    output, _ = one.process.communicate(timeout=20)
    assert one.process.returncode == 2
    assert (
        output
        == "attendance-hub: The socket unit has several sockets; give the hub one ListenStream\n"
    )


def test_a_restart_drops_nothing(manager):
    """Everybody who connects, on a new connection for each request, is answered."""
    one = manager(HUB_DRAIN_DELAY="0.2")
    one.start()
    ending = threading.Event()
    statuses, errors = [], []

    def post(first):
        number = 0
        while not ending.is_set():
            data = {
                "student_identifier": f"a{first}-{number}",
                "email": f"a{first}-{number}@example.edu",
                "first_name": "Ada",
                "last_name": "Example",
            }
            payload = {"type": "student", "data": data}
            try:
                headers = {"Connection": "close"}
                answer = requests.post(one.url + UNIFIED, json=payload, headers=headers, timeout=30)
                statuses.append(answer.status_code)
            except requests.RequestException as error:
                errors.append(repr(error))
            number += 1

    posters = [threading.Thread(target=post, args=(first,)) for first in range(8)]
    for poster in posters:
        poster.start()
    try:
        for _ in range(4):
            before = len(statuses)
            eventually(lambda before=before: len(statuses) > before + 50)
            one.stop()
            one.start()
    finally:
        ending.set()
        for poster in posters:
            poster.join(40)
    one.stop()
    assert errors == []
    assert set(statuses) == {201}
