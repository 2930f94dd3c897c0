"""Check-ins that wait for a student or an event, and what happens when that one appears."""

import pytest
from hubtest import LEGACY, ONETAP, UNIFIED, Calls, Client, Rows, fixture
from serving import eventually

from hub.config.settings import Settings
from hub.domain.evidence import State
from hub.jobs.upkeep import Upkeep

CHECK_IN = {"student_identifier": "A1", "event_identifier": "Weekly Meeting"}
FLAT = {
    "event": "participant.checkin",
    "data": {
        "participantId": "lmiCCCCCCY",
        "profileId": "rtPDDDDDDR",
        "listId": "yvoEEEEEEb",
        "checkInTime": 1762808218,
    },
}


@pytest.fixture
def eager(make_hub):
    hub = make_hub(apply_waiting=True)
    hub.upkeep.start()
    return Calls(Client(hub)), Rows(hub)


def test_off_by_default_a_check_in_waits_to_be_replayed(hub, calls, client, rows):
    delivery = client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]
    assert rows("Delivery")[0]["waiting"] == "student a_number:a1"
    assert list(hub.replays.ready()) == []
    calls.student("a1")
    assert list(hub.replays.ready()) == [delivery]
    hub.replays.replay(delivery)
    assert list(hub.replays.ready()) == []
    calls.event()
    assert list(hub.replays.ready()) == [delivery]
    assert rows.count("Attendance") == 0


def test_it_is_applied_when_both_have_appeared(eager):
    calls, rows = eager
    assert calls.client.post(LEGACY, CHECK_IN).status == 404
    calls.student("a1")
    eventually(lambda: rows("Delivery")[0]["waiting"] == "event name:Weekly Meeting")
    calls.event()
    eventually(lambda: rows.count("Attendance") == 1)
    assert rows("Delivery")[0]["outcome"] == "applied"


def test_one_of_several_for_the_same_student_is_applied(eager):
    calls, rows = eager
    calls.event()
    for _ in range(3):
        assert calls.client.post(LEGACY, CHECK_IN).status == 404
    calls.student("a1")
    eventually(lambda: all(row["waiting"] is None for row in rows("Delivery")))
    outcomes = [row["outcome"] for row in rows("Delivery")]
    assert sorted(outcomes) == ["applied", "applied", "applied", "refused", "refused"]
    assert rows("Attendance")[0]["delivery"] == rows("Delivery")[1]["id"]


def test_an_identifier_that_is_learnt_later_counts(eager):
    calls, rows = eager
    calls.event()
    calls.student("a1", email="old@example.edu")
    payload = {"student_identifier": "new@example.edu", "event_identifier": "Weekly Meeting"}
    assert calls.client.post(LEGACY, payload).status == 404
    calls.unified("student", "update", student_identifier="a1", email="new@example.edu")
    eventually(lambda: rows.count("Attendance") == 1)


def test_an_event_id_that_was_not_given_out_is_not_waited_for(client, calls, rows):
    """The event that gets it one day is not the one that was meant."""
    calls.student("a1")
    assert calls.attend("a1", "7").status == 404
    assert rows("Delivery")[1]["waiting"] is None


@pytest.mark.parametrize("end", ["participant.deleted", "participant.checkout"])
def test_what_undoes_or_ends_a_waiting_check_in_waits_with_it(eager, end):
    calls, rows = eager
    calls.client.post(ONETAP, FLAT)
    left = {**FLAT["data"], "checkOutTime": 1762811818}
    calls.client.post(ONETAP, {"event": end, "data": left})
    assert len({row["waiting"] for row in rows("Delivery")}) == 1
    seen = fixture("onetap/participant.checkin__seen")
    seen["event"] = "participant.created"
    assert calls.client.post(ONETAP, seen).status == 201
    eventually(lambda: all(row["waiting"] is None for row in rows("Delivery")))
    (attendance,) = rows("Attendance")
    state = State.WITHDRAWN if end == "participant.deleted" else State.LEFT
    assert attendance["state"] == state
    assert bool(attendance["checked_out_at"]) == (state is State.LEFT)


def test_none_goes_before_an_older_one_that_waits_for_the_same(hub, calls, monkeypatch):
    calls.client.post(ONETAP, FLAT)
    calls.client.post(ONETAP, {"event": "participant.deleted", "data": FLAT["data"]})
    found = iter([False, True])  # it appears between two looks
    monkeypatch.setattr("hub.jobs.replay._has_appeared", lambda *_: next(found))
    assert list(hub.replays.ready()) == []


def test_a_renamed_event_counts(eager):
    calls, rows = eager
    calls.student("a1")
    calls.event("Old")
    assert calls.attend("a1", "New").status == 404
    calls.unified("event", "update", event_identifier="1", event_name="New")
    eventually(lambda: rows.count("Attendance") == 1)


def test_onetaps_unknown_ids_wait_though_they_were_answered_200(eager):
    calls, rows = eager
    assert calls.client.post(ONETAP, FLAT).status == 200
    assert rows("Delivery")[0]["waiting"] == "student onetap_profile:rtPDDDDDDR"
    seen = fixture("onetap/participant.checkin__seen")
    del seen["data"]["participant"]["checkInDate"]
    seen["event"] = "participant.created"
    assert calls.client.post(ONETAP, seen).status == 201
    eventually(lambda: rows.count("Attendance") == 1)


def test_what_became_ready_while_no_hub_ran_is_applied_at_the_start(calls, client, serve, rows):
    client.post(LEGACY, CHECK_IN)
    calls.student("a1")
    calls.event()
    serve("--apply-waiting", "true")
    eventually(lambda: rows.count("Attendance") == 1)


def test_what_is_told_starts_no_thread(make_hub):
    """A command that replays is no hub that serves, and empties no body."""
    hub = make_hub(apply_waiting=True)
    assert Calls(Client(hub)).student("a1").status == 201
    hub.upkeep.apply_waiting()
    assert hub.upkeep._thread is None


def test_only_check_ins_wait(client, calls, rows):
    calls.unified("student", "update", student_identifier="a1", first_name="Ada")
    client.post(UNIFIED, {"type": "attendance", "data": {}})
    assert [row["waiting"] for row in rows("Delivery")] == [None, None]


def test_a_store_that_is_away_puts_it_off(make_hub, calls, client, rows, monkeypatch):
    client.post(LEGACY, CHECK_IN)
    calls.event()
    calls.student("a1")
    hub = make_hub(apply_waiting=True)
    upkeep = Upkeep(hub.store, hub.replays, hub.tokens, Settings(apply_waiting=True))
    with monkeypatch.context() as patch:
        patch.setattr(hub.store, "_unavailable_until", float("inf"))
        assert upkeep._seconds_until_more() == 5
    assert upkeep._seconds_until_more() > 5
    assert rows.count("Attendance") == 1
