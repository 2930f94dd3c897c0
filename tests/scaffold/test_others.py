"""Requests of systems that no source is ready for: what ``new-source`` finds by itself."""

import base64
import hashlib
import hmac
import json

import pytest
from click.testing import CliRunner
from own_tests import require_passing

from hub.cli import main

SECRET = "the-secret-of-the-system"
JSON = {"Host": "hub.example.edu", "Content-Type": "application/json"}


def made(content, algorithm=hashlib.sha256):
    return hmac.new(SECRET.encode(), content, algorithm)


def follow():
    body = json.dumps(
        {"subscription": {"id": "f1", "type": "channel.follow"}, "event": {"user_id": "12"}}
    )
    sent = {"X-Id": "befa7b53", "X-Time": "2026-03-10T18:02:11Z"}
    content = "".join(sent.values()) + body
    headers = {**JSON, **sent, "X-Sig": f"sha256={made(content.encode()).hexdigest()}"}
    return "POST /x", headers, body


def pay():
    person = {"id": 7, "email": "ada@example.edu", "customer_code": "CUS_qo38as2hpsgk2r0"}
    data = {"id": 302961, "paid_at": "2026-03-10T18:02:11.000Z", "customer": person}
    body = json.dumps({"event": "charge.success", "data": data})
    return "POST /x", {**JSON, "X-Sig": made(body.encode(), hashlib.sha512).hexdigest()}, body


def grid():
    data = {"badgeId": "04A2B9C1", "email": "ada@example.edu", "room": "Lab 1"}
    one = {
        "id": "831e1650",
        "eventType": "Club.BadgeScanned",
        "eventTime": "2026-03-10T18:02:11Z",
        "data": data,
    }
    return f"POST /x?code={SECRET}", JSON, json.dumps([one])


def bits():
    rows = [{"date": 1773165731.572, "uid": f"04A2B9C{n}", "reader": "gate-7"} for n in range(2)]
    basic = base64.b64encode(f"hub:{SECRET}".encode()).decode()
    return "POST /x", {**JSON, "Authorization": f"Basic {basic}"}, json.dumps(rows)


def door():
    return f"GET /door/{SECRET}/scan?card=04A2B9C1&door=Lab", {"Host": "h"}, ""


def square():
    body = json.dumps({"type": "booking.created", "event_id": "e1", "email": "ada@example.edu"})
    content = f"https://hub.example.edu/x{body}".encode()
    return "POST /x", {**JSON, "X-Sig": base64.b64encode(made(content).digest()).decode()}, body


def device():
    return "POST /iclock/cdata?SN=A1", {"Content-Type": "text/plain"}, "7\t2026-03-10 18:02:11\n"


@pytest.mark.parametrize(
    ("request_", "lines"),
    [
        (follow, ['identifier="X-Id",', 'timestamp="X-Time",', 'told == "channel.follow"']),
        (pay, ['algorithm="sha512",', '== "charge.success"', '["paid_at"]']),
        (grid, ['"query:code",', 'rows="",', '== "Club.BadgeScanned"', '["room"],  # ? event']),
        (bits, ['authenticate=Basic("hub"),', 'rows="",', '["uid"]),  # ?']),
        (door, ['path="gate/{secret}",', '"path:secret",', 'methods=("GET",),', "body=QUERY,"]),
        (square, ['signed="{url}{body}",', 'encoding="base64",']),
        (device, ['paths=("/iclock/cdata",)', '["column_1"]),  # ?', '["column_2"]),  # ?']),
    ],
)  # fmt: skip
def test_what_is_found(tmp_path, monkeypatch, request_, lines):
    monkeypatch.chdir(tmp_path)
    line, headers, body = request_()
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    (tmp_path / "one.http").write_text(f"{line} HTTP/1.1\r\n{head}\r\n{body}", newline="")
    options = [] if request_ is device else ["--secret", SECRET]
    done = CliRunner().invoke(main, ["new-source", "gate", "--from-capture", "one.http", *options])
    assert done.exit_code == 0, (done.output, done.exception)
    text = (tmp_path / "gate" / "attendance_hub_gate" / "gate.py").read_text()
    assert [one for one in lines if one not in text] == [], text
    assert "event_id" not in text
    assert SECRET not in text
    require_passing(tmp_path, "gate")
