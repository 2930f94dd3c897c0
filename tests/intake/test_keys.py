"""Deliveries that name themselves: the first answer again, byte for byte, and nothing changed."""

import json
from datetime import timedelta

import pytest
from hubtest import LEGACY, UNIFIED

STUDENT = {
    "type": "student",
    "data": {
        "student_identifier": "a1",
        "email": "a1@example.edu",
        "first_name": "Ada",
        "last_name": "Example",
    },
}


@pytest.mark.parametrize("header", ["Idempotency-Key", "webhook-id"])
def test_a_repeated_delivery_has_the_first_answer(client, rows, header):
    first = client.post(UNIFIED, STUDENT, headers={header: "key-1"})
    again = client.post(UNIFIED, STUDENT, headers={header: "key-1"})
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert again.headers["x-delivery-replayed"] == "true"
    assert "x-delivery-replayed" not in first.headers
    assert first.headers["x-delivery-id"] != again.headers["x-delivery-id"]
    assert rows.count("Student") == 1
    assert sorted(row["outcome"] for row in rows("Delivery")) == ["applied", "repeated"]


def test_a_refusal_is_the_first_answer_too(client, calls):
    payload = {"student_identifier": "a1", "event_identifier": "1"}
    headers = {"Idempotency-Key": "k"}
    first = client.post(LEGACY, payload, headers=headers)
    calls.student("a1")
    calls.event()
    again = client.post(LEGACY, payload, headers=headers)
    assert (again.status, again.body) == (404, first.body)
    assert client.post(LEGACY, payload, headers={"Idempotency-Key": "k2"}).status == 201


def test_a_body_that_is_not_json_has_the_first_answer_too(client):
    headers = {"Idempotency-Key": "k"}
    first = client.post(UNIFIED, body=b"{", headers=headers)
    assert client.post(UNIFIED, body=b"{", headers=headers).body == first.body


def test_the_same_key_with_another_body_is_409_and_changes_nothing(client, rows):
    headers = {"Idempotency-Key": "k"}
    first = client.post(UNIFIED, STUDENT, headers=headers)
    other = client.post(UNIFIED, body=json.dumps(STUDENT).encode() + b" ", headers=headers)
    assert (other.status, other.error) == (409, "Idempotency key was used with another body")
    assert client.post(UNIFIED, STUDENT, headers=headers).body == first.body
    assert rows.count("Student") == 1


def test_a_key_belongs_to_its_source(client):
    headers = {"Idempotency-Key": "k"}
    client.post(UNIFIED, STUDENT, headers=headers)
    reply = client.post(LEGACY, {}, headers=headers)
    assert (reply.status, "x-delivery-replayed" in reply.headers) == (400, False)


def test_a_key_that_is_too_long_is_refused(client, rows):
    reply = client.post(UNIFIED, STUDENT, headers={"Idempotency-Key": "k" * 10_000})
    assert (reply.status, reply.error) == (400, "Invalid idempotency-key header")
    assert rows.count("Student") == 0


def test_a_blank_key_is_none(client):
    for _ in range(2):
        reply = client.post(UNIFIED, {}, headers={"Idempotency-Key": " "})
        assert "x-delivery-replayed" not in reply.headers


def test_a_key_is_free_again_after_the_retention_time(client, monkeypatch, rows):
    from hub.intake import webhooks

    headers = {"Idempotency-Key": "k"}
    client.post(UNIFIED, STUDENT, headers=headers)
    now = webhooks.utc_now
    monkeypatch.setattr(webhooks, "utc_now", lambda: now() + timedelta(days=31))
    late = client.post(UNIFIED, STUDENT, headers=headers)
    assert (late.status, "x-delivery-replayed" in late.headers) == (400, False)
    assert client.post(UNIFIED, STUDENT, headers=headers).body == late.body


def test_a_failed_delivery_may_be_sent_again(client, monkeypatch):
    from hub.store import apply

    def broken(*_):
        raise RuntimeError

    headers = {"Idempotency-Key": "k"}
    with monkeypatch.context() as patch:
        patch.setitem(apply._APPLIED_BY, apply.operations.CreateStudent, broken)
        assert client.post(UNIFIED, STUDENT, headers=headers).status == 500
    assert client.post(UNIFIED, STUDENT, headers=headers).status == 201
