"""The hub's description, in the hands of those who read such: a validator, a fuzzer, a maker of clients.

They come with many packages, so they have an environment of their own: ``tox -e openapi``.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from hubtest import UNIFIED
from serving import Server

pytest.importorskip("schemathesis")
pytest.importorskip("openapi_spec_validator")
pytest.importorskip("openapi_python_client")

TOKEN = "0123456789abcdef"
SECRET = "whsec_" + "A" * 32
CATALOGUE = (
    "zoom,slack,jotform,twilio,eventbrite,zkteco,canvas,readers,typeform,msforms,calendly,pretix,luma,"
    "discord,unifi,cards,qr"
)
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A hub with something in it."""
    folder = tmp_path_factory.mktemp("hub")
    environment = {"HUB_ADMIN_TOKEN": TOKEN, "WEBHOOK_SECRET": SECRET}
    server = Server(f"sqlite:///{folder / 'hub.db'}", cwd=folder, environment=environment)
    for number in range(5):
        data = {
            "student_identifier": f"a{number}",
            "email": f"a{number}@example.edu",
            "first_name": "Ada",
            "last_name": "Example",
        }
        post(server, {"type": "student", "data": data})
    post(
        server, {"type": "event", "data": {"event_name": "M", "event_date": "2026-11-30T10:00:00Z"}}
    )
    for number in (1, 2, 9):
        data = {"student_identifier": f"a{number}", "event_identifier": "M"}
        post(server, {"type": "attendance", "data": data})
    yield server
    server.stop()


def post(server, payload):
    requests.post(server.url + UNIFIED, json=payload, timeout=20)


@pytest.mark.parametrize("enable", ["", CATALOGUE])
def test_it_is_valid(serve_http, enable):
    from openapi_spec_validator import OpenAPIV31SpecValidator

    environment = {"HUB_ENABLE": enable, "WEBHOOK_SECRET": SECRET}
    # RFC 8032, 7.1
    key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    server = serve_http(
        environment={**environment, **({"HUB_SOURCE_DISCORD_SECRETS": key} if enable else {})}
    )
    document = requests.get(f"{server.url}/api/openapi.json", timeout=20).json()
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert len(document["paths"]) > (100 if enable else 70)


def test_a_fuzzer_finds_nothing(server, tmp_path):
    done = subprocess.run(
        [
            BIN / "schemathesis", "--config-file", Path(__file__).parent / "schemathesis.toml",
            "run", f"{server.url}/api/openapi.json", "-H", f"Authorization: Bearer {TOKEN}",
            "--phases", "examples,coverage,fuzzing", "-n", "20", "--no-color", "--seed", "1",
            "--suppress-health-check", "all",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]
    assert "Tested: " in done.stdout
    # Whatever came, nothing of it was a fault.
    assert not [line for line in server.lines if " ERROR " in line]


CLIENT = """
import json, sys
from attendance_hub_client import AuthenticatedClient
from attendance_hub_client.api.record import get_events, get_students_student, get_attendances
from attendance_hub_client.api.reports import get_reports_students
from attendance_hub_client.api.sources import post_webhook_unified
from attendance_hub_client.models import UnifiedStudentCreatePayload, Error

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
data = {"student_identifier": "a77", "email": "a77@example.edu"}
data |= {"first_name": "Grace", "last_name": "Example"}
told = {"type": "student", "action": "create", "data": data}
payload = UnifiedStudentCreatePayload.from_dict(told)
taken = post_webhook_unified.sync(client=client, body=payload)
again = post_webhook_unified.sync(client=client, body=payload)
events = get_events.sync(client=client).events
attendances = get_attendances.sync(client=client, evidence=True).attendances
print(json.dumps({
    "taken": taken.success,
    "again": again.error if isinstance(again, Error) else None,
    "event": events[0].starts_at.isoformat(),
    "student": get_students_student.sync("1", client=client).name,
    "evidence": [one.evidence[0].via for one in attendances][:1],
    "report": get_reports_students.sync(client=client).students[0].attended,
}))
"""


def test_a_client_that_is_made_from_it_works(server, tmp_path):
    """As whoever has nothing but the address."""
    made = subprocess.run(
        [BIN / "openapi-python-client", "generate", "--url", f"{server.url}/api/openapi.json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    assert "Endpoint will not be generated" not in made.stdout
    (tmp_path / "use.py").write_text(CLIENT)
    done = subprocess.run(
        [sys.executable, tmp_path / "use.py", server.url, TOKEN],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "attendance-hub-client")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("again").startswith("Student with ")
    assert told == {
        "taken": True,
        "event": "2026-11-30T10:00:00+00:00",
        "student": "Ada Example",
        "evidence": ["unified"],
        "report": 1,
    }
