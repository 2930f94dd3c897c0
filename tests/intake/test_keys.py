"""Deliveries that name themselves: the first answer again, byte for byte, and nothing changed."""

import json
from datetime import timedelta

import pytest
from hubtest import LEGACY, ONETAP, UNIFIED, Client

from hub import STANDARD_WEBHOOKS
from hub.config.settings import SourceSettings
from hub.domain.timestamps import utc_now

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


def test_a_refusal_that_may_do_better_is_not_remembered(client, calls, rows):
    payload = {"student_identifier": "a1", "event_identifier": "1"}
    headers = {"Idempotency-Key": "k"}
    assert client.post(LEGACY, payload, headers=headers).status == 404
    assert client.post(LEGACY, {**payload, "source": "x"}, headers=headers).status == 404
    calls.student("a1")
    calls.event()
    first = client.post(LEGACY, payload, headers=headers)
    assert (first.status, "x-delivery-replayed" in first.headers) == (201, False)
    assert client.post(LEGACY, payload, headers=headers).body == first.body
    assert client.post(LEGACY, {**payload, "source": "x"}, headers=headers).status == 409
    second = client.post(LEGACY, payload, headers={"Idempotency-Key": "k2"})
    assert second.error == "Student already checked in to this event"
    client.post(
        ONETAP, {"event": "profile.created", "data": {"id": "p", "email": "a1@example.edu"}}
    )
    assert calls.student("a1").error == "Student with email a1@example.edu already exists"
    for row in rows("Delivery"):
        assert (row["idempotency_key"] is not None) <= (row["outcome"] == "applied")


def test_a_taken_identifier_is_not_remembered_and_a_broken_schema_is(client, calls):
    headers = {"Idempotency-Key": "k"}
    calls.student("a1")
    taken = {**STUDENT, "data": {**STUDENT["data"], "first_name": "Grace"}}
    assert client.post(UNIFIED, taken, headers=headers).status == 400
    assert client.post(UNIFIED, STUDENT, headers=headers).status == 400  # another body: no 409
    for wrong in ({"type": "x"}, {"type": "student", "data": {}}):
        headers = {"Idempotency-Key": json.dumps(wrong)}
        first = client.post(UNIFIED, wrong, headers=headers)
        again = client.post(UNIFIED, wrong, headers=headers)
        assert (again.body, again.headers["x-delivery-replayed"]) == (first.body, "true")
        assert client.post(UNIFIED, STUDENT, headers=headers).status == 409


def test_what_was_ignored_for_now_is_not_remembered_and_what_is_knowingly_nothing_is(client):
    headers = {"Idempotency-Key": "k"}
    gone = {"event": "profile.deleted", "data": {"id": "p"}}
    passport = {"event": "passport.created", "data": {}}
    for payload, replayed in ((gone, False), (passport, True)):
        headers = {"Idempotency-Key": payload["event"]}
        assert client.post(ONETAP, payload, headers=headers).status == 200
        again = client.post(ONETAP, payload, headers=headers)
        assert ("x-delivery-replayed" in again.headers) == replayed


def test_a_veto_is_not_remembered(make_hub, tmp_path):
    file = tmp_path / "plugins" / "doorman.py"
    file.parent.mkdir()
    file.write_text(
        "import hub, pathlib\n"
        "@hub.hookimpl\n"
        "def veto_delivery(delivery):\n"
        f"    return 'Closed' if pathlib.Path({str(tmp_path / 'closed')!r}).exists() else None\n"
    )
    client = Client(make_hub(plugins=str(file.parent)))
    (tmp_path / "closed").touch()
    headers = {"Idempotency-Key": "k"}
    assert client.post(UNIFIED, STUDENT, headers=headers).error == "Closed"
    (tmp_path / "closed").unlink()
    assert client.post(UNIFIED, STUDENT, headers=headers).status == 201


def test_another_body_is_a_fact_of_the_delivery(client, rows):
    headers = {"Idempotency-Key": "k"}
    first = client.post(UNIFIED, STUDENT, headers=headers).headers["x-delivery-id"]
    client.post(UNIFIED, {**STUDENT, "source": "x"}, headers=headers)
    assert [row["key_holder"] for row in rows("Delivery")] == [None, first]


class TestSignedId:
    SECRET = "whsec_YSBzZWNyZXQgdG8gdHJ5IHRoaW5ncyB3aXRo"

    def sent(self, client, identifier, **headers):
        body = json.dumps(STUDENT).encode()
        signed = STANDARD_WEBHOOKS.sign(body, self.SECRET, utc_now(), identifier)
        return client.post(UNIFIED, body=body, headers={**signed, **headers})

    @pytest.fixture(params=[True, False])
    def signed(self, request, make_hub):
        own = SourceSettings(
            signature="standard-webhooks", secrets=(self.SECRET,), required=request.param
        )
        return Client(make_hub(sources={"unified": own}))

    def test_it_outranks_a_header_that_anyone_may_write(self, signed):
        assert self.sent(signed, "msg_1").status == 201
        again = self.sent(signed, "msg_1", **{"Idempotency-Key": "fresh"})
        assert (again.status, again.headers["x-delivery-replayed"]) == (201, "true")
        other = self.sent(signed, "msg_2", **{"Idempotency-Key": "fresh"})
        assert "x-delivery-replayed" not in other.headers

    def test_nobody_takes_it_who_has_not_signed(self, make_hub):
        own = SourceSettings(signature="standard-webhooks", secrets=(self.SECRET,), required=False)
        client = Client(make_hub(sources={"unified": own}))
        event = {"type": "event", "data": {"event_name": "E", "event_date": "2024-01-15T10:00:00Z"}}
        assert client.post(UNIFIED, event, headers={"webhook-id": "msg_1"}).status == 201
        assert self.sent(client, "msg_1").status == 201
        assert client.post(UNIFIED, event, headers={"webhook-id": "msg_1"}).status == 201


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
