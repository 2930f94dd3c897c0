"""The guide's own clients, taken out of its text and run unchanged but for the host."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from hubtest import GUIDE, LEGACY, SECURE, Rows
from serving import Server

HOST = "http://your-server:8000"


def blocks(language, heading):
    """The code blocks of a language below a heading of the guide."""
    section = GUIDE.split(f"{heading}\n", 1)[1]
    section = re.split(r"\n#{2,4} ", section, maxsplit=1)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def server(url, tmp_path):
    server = Server(url, cwd=tmp_path, environment={"WEBHOOK_SECRET": "your-secret-key-here"})
    yield server
    server.stop()


def hosted(text, server):
    assert HOST in text
    return text.replace(HOST, server.url)


def run(command, text, tmp_path, suffix):
    script = tmp_path / f"client{suffix}"
    script.write_text(text)
    done = subprocess.run([*command, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


UNIFIED_RESULTS = ["student_result", "event_result", "attendance_result"]


def check_unified(results, source):
    student, event, attendance = results
    assert student["student"]["name"] == "John Doe"
    assert event["event"]["points"] == 5
    assert attendance["message"] == "Attendance recorded successfully"
    assert attendance["event"]["id"] == event["event"]["id"]
    assert {one["source"] for one in results} == {source}


def test_the_python_client(server, tmp_path):
    (code,) = blocks("python", "#### Python Example - Complete Integration")
    code = hosted(code, server) + "".join(
        f"print(json.dumps({name}))\n" for name in UNIFIED_RESULTS
    )
    check_unified(run([sys.executable], code, tmp_path, ".py"), "python_client")


def node():
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is not here")
    return [found]


def test_the_javascript_client(server, tmp_path):
    (code,) = blocks("javascript", "#### JavaScript Example - Complete Integration")
    for name in ("studentResult", "eventResult", "attendanceResult"):
        code += f"\nconsole.log(JSON.stringify({name}));"
    check_unified(run(node(), hosted(code, server), tmp_path, ".mjs"), "javascript_client")


@pytest.fixture
def curled(server):
    """The answers to the guide's cURL examples, in order."""

    def post(heading):
        (command,) = blocks("bash", heading)
        command = hosted(command, server).replace("curl ", "curl -s ", 1)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
        return json.loads(done.stdout)

    return [
        post(f"#### {heading}")
        for heading in (
            "Unified Webhook - Create Student",
            "Unified Webhook - Create Event",
            "Unified Webhook - Record Attendance",
            "Legacy Attendance Webhook",
        )
    ]


def test_the_curl_examples(curled):
    student, event, attendance, legacy = curled
    assert student["student"]["identifier"] == "a12345678"
    assert event["event"]["starts_at"] == "2024-01-15T10:00:00Z"
    assert attendance["student"] == {"id": 1, "name": "John Doe", "email": "john.doe@usu.edu"}
    # The guide's last example checks the same student in to the same event again.
    assert legacy == {"error": "Student already checked in to this event"}


@pytest.mark.usefixtures("curled")
def test_the_legacy_clients(server, tmp_path):
    (python,) = blocks("python", "#### Python Example - Legacy Format")
    python = hosted(python, server) + '\nprint(json.dumps(record_attendance("a12345678", "999")))\n'
    assert run([sys.executable], python, tmp_path, ".py") == [
        {"error": "Event with identifier 999 not found"}
    ]
    (javascript,) = blocks("javascript", "### JavaScript Example")
    javascript = hosted(javascript, server)
    javascript += '\nconsole.log(JSON.stringify(await recordAttendance("a999", "1")));'
    assert run(node(), javascript, tmp_path, ".mjs") == [
        {"error": "Student with identifier a999 not found"}
    ]


def test_the_status_commands(server):
    commands = re.findall(r"curl http://your-server:8000\S+/status/", GUIDE)
    assert commands
    for command in commands:
        done = subprocess.run(
            hosted(command, server).replace("curl", "curl -s"),
            shell=True,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert json.loads(done.stdout)["status"] == "healthy"


def test_the_signature_of_the_guide(server):
    import requests

    (code,) = [block for block in blocks_of_security() if "def generate_signature" in block]
    scope = {}
    exec(code, scope)
    payload = '{"student_identifier": "a1", "event_identifier": "1"}'
    signature = scope["generate_signature"](payload, "your-secret-key-here")
    reply = requests.post(
        server.url + SECURE,
        data=payload,
        headers={
            "Content-Type": "application/json",
            "X-Webhook-Signature": f"sha256={signature}",
        },
        timeout=10,
    )
    assert reply.status_code == 404
    assert reply.json() == {"error": "Student with identifier a1 not found"}


def blocks_of_security():
    from textwrap import dedent

    section = GUIDE.split("## Security Setup (Optional)", 1)[1].split("## Integration", 1)[0]
    return [dedent(block) for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL)]


def test_the_guides_payloads_are_answered_as_shown(client, calls, hub):
    """The payloads with their comments taken away; the answer with the same members."""
    shown = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    payloads = [json.loads(re.sub(r"\s//[^\n]*", "", block)) for block in shown]
    student, event, attendance, legacy, answer = payloads[:5]
    unified = "/api/webhook/unified/"
    assert client.post(unified, student).status == 201
    assert client.post(unified, event).status == 201
    reply = client.post(unified, attendance)
    assert reply.status == 201
    assert _shape(reply.json) == _shape(answer)
    assert client.post(LEGACY, legacy).error == "Student already checked in to this event"
    assert Rows(hub).count("Attendance") == 1
    errors = [payload["error"] for payload in payloads[6:]]
    assert errors == [
        "Student with identifier a12345678 not found",
        "Event with identifier 999 not found",
        "Student already checked in to this event",
        "student_identifier and event_identifier are required",
    ]


def _shape(value):
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    return type(value)
