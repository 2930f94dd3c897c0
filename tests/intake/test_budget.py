"""What strangers send in vain is kept within a budget; what may still be of use has one of its own."""

import logging
from datetime import timedelta

import pytest
from hubtest import LEGACY, ONETAP, STATUS, UNIFIED, Calls, Client, Rows, fixture

from hub.config.settings import SourceSettings
from hub.domain.timestamps import utc_now
from hub.intake import webhooks
from hub.intake.budget import Budget, Kind

JUNK = {"type": "nonsense", "padding": "x" * 3000}
UNKNOWN = {"student_identifier": "a7", "event_identifier": "Weekly Meeting"}


@pytest.fixture
def small(make_hub):
    hub = make_hub(keep_refused=20_000)
    return hub, Client(hub), Rows(hub)


def flood(client, path, payload, times=12):
    return {client.post(path, payload).status for _ in range(times)}


def test_what_an_open_source_refuses_is_kept_up_to_the_budget(small, caplog):
    caplog.set_level(logging.INFO)
    hub, client, rows = small
    assert flood(client, UNIFIED, JUNK) == {400}
    assert rows.count("Delivery") == 4
    unified = hub.endpoints[0]
    assert unified.counters.shown()["deliveries"]["refused"] == 12
    shown = {source["name"]: source for source in client.get(STATUS).json["sources"]}
    assert (shown["unified"]["not_kept"], shown["legacy"]["not_kept"]) == (8, 0)
    lines = [record.getMessage() for record in caplog.records]
    assert sum("is kept today" in line for line in lines) == 1
    assert sum("refused, not kept: 400" in line for line in lines) == 8


def test_also_what_it_ignores_or_has_had_before(small):
    _, client, rows = small
    passport = {"event": "passport.created", "data": {}, "padding": "x" * 3000}
    assert flood(client, ONETAP, passport) == {200}
    assert rows.count("Delivery") == 4
    student = {**fixture("unified/student.create__whole"), "padding": "x" * 3000}
    for _ in range(12):
        client.post(UNIFIED, student, headers={"Idempotency-Key": "k"})
    outcomes = [row["outcome"] for row in rows("Delivery") if row["source"] == "unified"]
    assert (outcomes.count("applied"), outcomes.count("repeated")) == (1, 4)


def test_junk_does_not_push_out_second_check_ins_or_those_who_wait(small):
    _, client, rows = small
    calls = Calls(client)
    calls.student()
    calls.event()
    calls.attend()
    flood(client, UNIFIED, JUNK)
    assert calls.attend().error == "Student already checked in to this event"
    assert calls.attend("a7").status == 404
    kept = rows("Delivery")
    assert kept[-2]["answer"].startswith('{"error": "Student already')
    assert kept[-1]["waiting"] == "student a_number:a7"


def test_what_waits_has_a_budget_too(small):
    _, client, rows = small
    flood(client, LEGACY, {**UNKNOWN, "padding": "x" * 3000})
    assert rows.count("Delivery") == 4


def test_what_is_applied_or_signed_is_always_kept(make_hub):
    own = {"unified": SourceSettings(signature="shared-secret", secrets=("s",))}
    hub = make_hub(keep_refused=0, sources=own)
    client, rows = Client(hub), Rows(hub)
    for _ in range(3):
        client.post(UNIFIED, JUNK, headers={"X-Webhook-Secret": "s"})
    assert rows.count("Delivery") == 3
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    assert rows.count("Delivery") == 4


def test_a_sender_that_signs_an_open_source_is_no_stranger(make_hub):
    own = {"unified": SourceSettings(signature="shared-secret", secrets=("s",), required=False)}
    hub = make_hub(keep_refused=0, sources=own)
    client = Client(hub)
    client.post(UNIFIED, JUNK)
    client.post(UNIFIED, JUNK, headers={"X-Webhook-Secret": "s"})
    assert Rows(hub).count("Delivery") == 1


def test_the_next_day_has_a_budget_of_its_own(small, monkeypatch):
    _, client, rows = small
    flood(client, UNIFIED, JUNK)
    tomorrow = utc_now() + timedelta(days=1)
    monkeypatch.setattr(webhooks, "utc_now", lambda: tomorrow)
    flood(client, UNIFIED, JUNK)
    assert rows.count("Delivery") == 8


def test_what_is_not_kept_remembers_no_key(small):
    _, client, _rows = small
    flood(client, UNIFIED, JUNK)
    for _ in range(2):
        reply = client.post(UNIFIED, JUNK, headers={"Idempotency-Key": "k"})
        assert "x-delivery-replayed" not in reply.headers


def test_what_is_too_large_leaves_room_for_what_is_not(small):
    _, client, rows = small
    client.post(UNIFIED, {**JUNK, "padding": "x" * 30_000})
    flood(client, UNIFIED, JUNK)
    assert rows.count("Delivery") == 4


def test_each_kind_is_counted_by_itself():
    budget, now = Budget(10), utc_now()
    assert budget.has_room(Kind.FAILED, 10, now)
    budget.use(Kind.FAILED, 10, now)
    assert not budget.has_room(Kind.FAILED, 1, now)
    assert budget.has_room(Kind.IN_VAIN, 10, now)
    assert budget.leave_out(Kind.FAILED, now)
    assert not budget.leave_out(Kind.FAILED, now)
