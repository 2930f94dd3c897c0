"""What the commands print: nothing in it steers the terminal, and every moment names its zone."""

import ast
import json
import logging
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from commands import COMMANDS
from hubtest import LEGACY, UNIFIED, Calls, Client

import hub.cli
from hub.cli import main
from hub.cli.desk import ACTIONS
from hub.cli.terminal import as_json, lines_of, local, plain, write
from hub.domain.timestamps import utc_now
from hub.domain.tokens import digest
from hub.log import keep_plain
from hub.store import captures

NASTY = "x\x1b[2J\x9b31m\x07\x7f\r\u202e\u2028\x85\nforged"
DENVER = ZoneInfo("America/Denver")
CLI = Path(hub.cli.__file__).parent


class TestPlain:
    def test_what_is_not_printable_is_escaped(self):
        assert plain(NASTY) == r"x\x1b[2J\x9b31m\x07\x7f\r\u202e\u2028\x85\nforged"
        assert plain("a\udcff") == r"a\udcff"
        assert plain("Zoë Muñoz – 春") == "Zoë Muñoz – 春"

    def test_json_stays_json(self):
        written = as_json({NASTY: NASTY})
        assert plain(written) == written
        assert json.loads(written) == {NASTY: NASTY}

    def test_a_text_has_the_lines_that_a_terminal_shows(self):
        assert lines_of("a\r\nb\u2028c\x85\n\nd\n") == ["a", "b\u2028c\x85", "", "d"]

    def test_what_a_command_logs_is_plain_too(self):
        record = logging.LogRecord("hub", logging.ERROR, "", 0, "said %s", (NASTY,), None)
        keep_plain()
        assert logging.lastResort.format(record) == f"said {plain(NASTY)}"


def test_a_file_that_is_shown_at_a_terminal_steers_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    write("a,\x1b[2J\r\nż,\u202e\r\n".encode() + b"\xc5")
    assert capsys.readouterr().out.splitlines() == ["a,\\x1b[2J", "ż,\\u202e", "\ufffd"]


class TestLocal:
    @pytest.mark.parametrize(
        ("zone", "shown"),
        [(UTC, "2026-10-30 00:00:07 UTC"), (DENVER, "2026-10-29 18:00:07 America/Denver")],
    )
    def test_in_the_zone_with_its_name(self, zone, shown):
        assert local(datetime(2026, 10, 30, 0, 0, 7, 250_000), zone) == shown

    def test_to_the_last_digit(self):
        moment = datetime(2026, 10, 30, 0, 0, 7, 250_000)
        assert local(moment, DENVER, exact=True) == "2026-10-29 18:00:07.250000 America/Denver"

    def test_at_the_end_of_the_calendar_it_is_utc(self):
        assert local(datetime(1, 1, 1), DENVER) == "0001-01-01 00:00:00 UTC"


def test_only_the_terminal_prints():
    """So that no command can forget to escape."""
    for path in CLI.glob("*.py"):
        used = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        }
        printing = used & {
            "click.echo",
            "click.secho",
            "print",
            "sys.stdout.write",
            "sys.stderr.write",
        }
        assert not printing or path.name == "terminal.py", path


@pytest.fixture
def folder(tmp_path):
    """A plugins folder of a nasty name, with a plugin that fails nastily."""
    folder = tmp_path / NASTY
    folder.mkdir()
    (folder / "broken.py").write_text(f"raise ValueError({NASTY!r})")
    return folder


@pytest.fixture
def answering():
    """The URL of a server that answers everything nastily."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps({"error": NASTY}).encode()
            self.send_response(418)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def record(url, hub, tmp_path):
    """A record in which everything that a sender may write is nasty: the id of a delivery that waits."""
    client = Client(hub)
    calls = Calls(client)
    assert calls.student("a1", first_name=NASTY).status == 201
    assert calls.event(NASTY).status == 201
    assert calls.attend("a1", NASTY).status == 201
    # All attendances are missing then.
    with hub.store.writing() as tx:
        tx.run("DELETE FROM attendance")
        capture = captures.open_(tx, digest("token"), utc_now(), utc_now().replace(year=9000))
    client.post("/api/capture/token/", body=json.dumps({NASTY: NASTY}).encode() + NASTY.encode())
    client.post(UNIFIED, {"type": NASTY})
    client.post(UNIFIED, body=NASTY.encode())
    waiting = client.post(
        LEGACY,
        {"student_identifier": NASTY, "event_identifier": NASTY, NASTY: NASTY},
        headers={"User-Agent": "x\x1b[2J\x9b\x85"},
    )
    hub.close()
    (tmp_path / "fixtures").mkdir()
    payload = {"type": "event", "data": {"event_name": NASTY, "event_date": "2024-01-15T10:00:00Z"}}
    (tmp_path / "fixtures" / "event__nasty.json").write_text(json.dumps(payload))
    (tmp_path / "fixtures" / "event__nasty.expected.json").write_text(json.dumps({"x": NASTY}))
    (tmp_path / "captured.json").write_text(
        json.dumps(
            {NASTY: "a12345678", f"event{NASTY}": NASTY, "email": "a@example.edu", "time": NASTY}
        )
    )
    return {"delivery": waiting.headers["x-delivery-id"], "capture": str(capture)}


RUNS = {
    "backup": [("backup", NASTY), ("backup", "{folder}/copy.db", "--verify")],
    "bench": [("bench", NASTY)],
    "capture": [
        ("capture", "--list"),
        ("capture", "--show", "{capture}"),
        ("capture", "--url", NASTY),
    ],
    "check": [("check", "{answering}"), ("check", NASTY)],
    "config": [("config", "--plugins", "{folder}"), ("config", "--port", NASTY)],
    "deliveries list": [
        ("deliveries", "list"),
        ("deliveries", "list", "--json"),
        ("deliveries", "list", "--event", NASTY),
        ("deliveries", "list", "--since", NASTY),
    ],
    "deliveries replay": [
        ("deliveries", "replay", "{delivery}", NASTY),
        ("deliveries", "replay", "--status", "refused", "--dry-run"),
    ],
    "deliveries show": [
        ("deliveries", "show", "{delivery}"),
        ("deliveries", "show", "{delivery}", "--json"),
        ("deliveries", "show", NASTY),
    ],
    **{
        f"desk {action}": [
            ("desk", action, *[NASTY] * len([one for one in given if "[" not in one]))
        ]
        for action, (_, given, _) in ACTIONS.items()
    },
    "doubts": [("doubts",)],
    "export": [("export", "students", NASTY), ("export", "students", "x.csv", "--state", NASTY)],
    "forget": [("forget", NASTY, "--yes")],
    "import": [("import", "students", NASTY)],
    "migrate": [("migrate", "--database", "sqlite:///{folder}/new.db")],
    "new-source": [
        ("new-source", "gate", "--from-capture", "captured.json"),
        ("new-source", NASTY),
    ],
    "outbox": [("outbox", "--retry", NASTY)],
    "plugins": [("plugins", "--plugins", "{folder}"), ("plugins", "--load-plugins", NASTY)],
    "rebuild": [("rebuild", "--dry-run")],
    "reconcile": [("reconcile", "{folder}", "--event", NASTY)],
    "report events": [
        ("report", "events"),
        ("report", "events", "--chart"),
        ("report", "events", "--from", NASTY),
    ],
    "report students": [
        ("report", "students", "--at-least", "0"),
        ("report", "students", "--at-least", "0", "--json"),
        ("report", "students", "--name", NASTY, "--url", "{answering}"),
    ],
    "restore": [("restore", NASTY, "--database", "sqlite:///{folder}/new.db")],
    "serve": [("serve", "--plugins", "{folder}", "--host", NASTY)],
    "student": [("student", "a1"), ("student", NASTY), ("student", "x", "--url", NASTY)],
    "token create": [("token", "create", NASTY, "--scope", "read")],
    "token list": [("token", "list")],
    "token revoke": [("token", "revoke", NASTY)],
    "try": [("try", "unified", "fixtures"), ("try", NASTY, "fixtures")],
    "who": [("who", "1"), ("who", NASTY), ("who", NASTY, "--on", NASTY)],
}
"""Runs of each command that show what somebody else wrote, on standard output or in an error's line."""


def test_every_command_has_its_runs():
    assert sorted(RUNS) == sorted(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [run for runs in RUNS.values() for run in runs],
    ids=lambda run: ascii(" ".join(run)),
)
def test_no_command_lets_anybody_steer_the_terminal(
    record, folder, answering, url, tmp_path, monkeypatch, arguments
):
    monkeypatch.chdir(tmp_path)
    places = {"{folder}": str(folder), "{answering}": answering}
    places |= {f"{{{name}}}": value for name, value in record.items()}
    for place, value in places.items():
        arguments = [argument.replace(place, value) for argument in arguments]
    if arguments[0] == "serve":  # it changes how its process logs and ends
        done = subprocess.run(
            [sys.executable, "-m", "hub", *arguments], capture_output=True, timeout=60, check=False,
            env={**os.environ, "HUB_DATABASE": url, "PYTHONUTF8": "1"},
        )  # fmt: skip
        output = (done.stdout + done.stderr).decode()
    else:
        done = CliRunner().invoke(main, arguments, env={"HUB_DATABASE": url})
        assert isinstance(done.exception, SystemExit | None), done.exception
        output = done.output
    assert output
    for line in output.split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("forged")
