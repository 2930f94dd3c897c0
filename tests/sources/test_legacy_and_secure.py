"""The attendance endpoints: the flat payload, open and signed."""

import hashlib
import hmac
import json

import pytest
from hubtest import LEGACY, SECURE, Calls, Client, fixture


@pytest.fixture
def prepared(calls):
    calls.student("a12345678")
    calls.event()


@pytest.mark.usefixtures("prepared")
def test_the_flat_payload_records_an_attendance(client, rows):
    reply = client.post(LEGACY, fixture("legacy/attendance__whole"))
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Attendance recorded successfully",
        "attendance_id": 1,
        "student": {"id": 1, "name": "Ada Example", "email": "a12345678@example.edu"},
        "event": {"id": 1, "name": "Weekly Meeting", "date": "2024-01-15"},
        "checked_in_at": "2024-01-15T10:30:00Z",
        "source": "external_app_name",
    }
    (attendance,) = rows("Attendance")
    assert json.loads(attendance["metadata"]) == fixture("legacy/attendance__whole")["metadata"]


@pytest.mark.usefixtures("prepared")
def test_the_default_source_is_webhook(client):
    reply = client.post(LEGACY, {"student_identifier": "a12345678", "event_identifier": 1})
    assert reply.json["source"] == "webhook"


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"student_identifier": "a1"},
        {"event_identifier": "1", "student_identifier": "  "},
        {"event_identifier": None, "student_identifier": "a1"},
    ],
)
def test_both_identifiers_are_required(client, payload):
    reply = client.post(LEGACY, payload)
    sentence = "student_identifier and event_identifier are required"
    assert (reply.status, reply.error) == (400, sentence)


def test_extra_members_are_ignored(client, calls):
    calls.student("a1")
    calls.event()
    payload = {"student_identifier": "a1", "event_identifier": 1, "extra": {"deep": [1]}}
    assert client.post(LEGACY, payload).status == 201


SECRETS = ("new secret", "old secret")


def sign(body, secret):
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
def secured(make_hub):
    client = Client(make_hub(webhook_secret=SECRETS))
    Calls(client).student("a12345678")
    Calls(client).event()
    return client


BODY = json.dumps(fixture("secure/attendance__whole")).encode()


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["sha256={}", "{}", " sha256={} "])
def test_any_of_the_secrets_signs_with_the_prefix_or_without(secured, secret, form):
    headers = {"X-Webhook-Signature": form.format(sign(BODY, secret))}
    assert secured.post(SECURE, body=BODY, headers=headers).status == 201


@pytest.mark.parametrize(
    "signature",
    [
        "sha256=" + "0" * 64,
        "sha256=",
        "sha1=" + sign(BODY, SECRETS[0]),
        "garbage",
        "sha256=" + sign(BODY, "another"),
        "sha256=" + sign(BODY + b" ", SECRETS[0]),
        "sha256=\u00e9\u00ff",
    ],
)
def test_a_wrong_signature_is_refused_and_nothing_is_stored(secured, signature, caplog, rows):
    before = rows.count("Delivery")
    with caplog.at_level("INFO", logger="hub"):
        reply = secured.post(SECURE, body=BODY, headers={"X-Webhook-Signature": signature})
    assert (reply.status, reply.error) == (401, "Invalid signature")
    assert rows.count("Delivery") == before
    (line,) = [record.getMessage() for record in caplog.records]
    assert reply.headers["x-delivery-id"] in line
    status = secured.get(f"{SECURE}status/").json["source"]
    assert status["deliveries"] == {"total": 1, "unauthenticated": 1}
    assert status["last_delivery"] is None


def test_a_missing_signature_is_refused_before_anything_is_read(secured):
    reply = secured.post(SECURE, body=b"not json", content_type="text/plain")
    assert (reply.status, reply.error) == (401, "Missing X-Webhook-Signature header")


def test_without_a_secret_the_secure_endpoint_never_passes(client):
    for headers in ({}, {"X-Webhook-Signature": "sha256=" + sign(BODY, "")}):
        reply = client.post(SECURE, body=BODY, headers=headers)
        assert (reply.status, reply.error) == (503, "Signature verification is not configured")
