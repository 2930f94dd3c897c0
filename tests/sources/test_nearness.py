"""Which event is meant by its name, and when two lists are one meeting."""

from datetime import timedelta

import pytest
from hubtest import ONETAP, Calls, Client, Rows, fixture
from serving import eventually

from hub import CheckOut, Withdraw
from hub.config.settings import SourceSettings
from hub.domain.timestamps import parse_timestamp
from hub.intake import webhooks
from hub.store.apply import apply
from hub.store.context import Context

MONDAY, TUESDAY = "2024-01-15T18:00:00Z", "2024-01-16T18:00:00Z"


def listed(list_id, start, *, event="list.created", name="Maker Monday"):
    return {"event": event, "data": {"list": {"id": list_id, "name": name, "date": start}}}


def test_digits_after_a_zero_are_a_name(calls, rows):
    calls.student()
    calls.event("Weekly Meeting")
    reply = calls.attend(event="001")
    assert (reply.status, reply.error) == (404, "Event with identifier 001 not found")
    assert max(rows("Delivery"), key=lambda row: row["id"])["waiting"] == "event name:001"
    calls.event("001")
    assert calls.attend(event="001").json["event"]["name"] == "001"
    assert calls.attend(event="0").status == 404


def test_the_nearest_is_told_by_the_moment_itself_not_by_its_second(calls, monkeypatch):
    calls.student()
    calls.event(date="2024-01-15T10:00:00Z")
    calls.event(date="2024-01-15T10:00:01.500Z")
    received = parse_timestamp("2024-01-15T10:00:00.900")
    monkeypatch.setattr(webhooks, "utc_now", lambda: received)
    assert calls.attend().json["event"]["id"] == 2
    assert calls.attend().status == 400  # its second alone is nearer to the first


@pytest.mark.parametrize("operation", [CheckOut, Withdraw])
def test_a_check_out_and_a_withdrawal_mean_the_event_of_their_own_time(hub, calls, operation):
    calls.student()
    for start in (MONDAY, TUESDAY):
        calls.event(date=start)
        calls.attend(check_in_time=start)
    # Both come together, days later.
    wanted = operation(student="a1", event="Weekly Meeting", at=parse_timestamp(MONDAY))
    later = parse_timestamp("2024-01-19T09:00:00")
    zone = hub.settings.time_zone
    with hub.store.writing() as tx:
        (result,) = apply(tx, [wanted], Context("d" * 28, later, "test", zone, via="unified"))
    assert result.attendance.id == 1


class TestWindow:
    @pytest.fixture
    def windowed(self, make_hub):
        hub = make_hub(check_in_window=3, apply_waiting=True)
        hub.upkeep.start()
        return Calls(Client(hub)), Rows(hub)

    def test_an_event_further_away_is_not_meant(self, windowed):
        calls, rows = windowed
        calls.student()
        calls.event(date=MONDAY)
        reply = calls.attend(check_in_time="2024-01-15T21:00:00.001Z")
        sentence = "No event named Weekly Meeting is near 2024-01-15T21:00:00.001Z"
        assert (reply.status, reply.error) == (404, sentence)
        assert rows.count("Attendance") == 0
        assert calls.attend(check_in_time="2024-01-15T21:00:00Z").status == 201

    def test_the_moment_of_receipt_is_told_in_whole_seconds(self, windowed):
        calls, _ = windowed
        calls.student()
        calls.event(date=MONDAY)
        assert len(calls.attend().error.rpartition(" ")[2]) == len(MONDAY)

    def test_it_holds_for_names_alone(self, windowed):
        calls, _ = windowed
        calls.student()
        calls.event(date=MONDAY)
        assert calls.attend(event="1").status == 201

    def test_a_check_in_waits_for_an_event_of_the_name_within_it(self, windowed):
        calls, rows = windowed
        calls.student()
        calls.event(date=MONDAY)
        assert calls.attend(check_in_time="2024-01-17T18:00:00Z").status == 404
        calls.event(date=TUESDAY)
        calls.event("Chess", "2024-01-17T18:00:00Z")
        calls.event(date="2024-01-17T20:00:00Z")
        eventually(lambda: rows.count("Attendance") == 1)
        (attendance,) = rows("Attendance")
        assert attendance["event"] == 4
        assert rows.count("Attempt") == 2  # nothing else had it tried

    def test_a_replay_looks_for_one_within_it_too(self, make_hub):
        hub = make_hub(check_in_window=3)
        calls = Calls(Client(hub))
        calls.student()
        calls.event(date=MONDAY)
        calls.attend(check_in_time=TUESDAY)
        assert list(hub.replays.ready()) == []
        calls.event(date=TUESDAY)
        assert len(list(hub.replays.ready())) == 1

    def test_a_source_may_have_its_own(self, make_hub):
        own = {"legacy": SourceSettings(check_in_window=24 * 365 * 100)}
        client = Client(make_hub(check_in_window=3, sources=own))
        calls = Calls(client)
        calls.student()
        calls.event(date=MONDAY)
        assert calls.attend().status == 404
        payload = {"student_identifier": "a1", "event_identifier": "Weekly Meeting"}
        assert client.post("/api/webhook/attendance/", payload).status == 201

    def test_a_window_at_the_end_of_time_is_no_fault(self, windowed):
        calls, _ = windowed
        calls.student()
        calls.event(date=MONDAY)
        for moment in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
            assert calls.attend(check_in_time=moment).status == 404


class TestOneMeeting:
    @pytest.fixture
    def post(self, client):
        return lambda payload: client.post(ONETAP, payload)

    def test_a_list_joins_the_event_of_its_name_that_starts_about_then(self, post, rows):
        assert post(listed("a", MONDAY)).status == 201
        assert post(listed("b", "2024-01-15T20:00:00Z")).status == 200
        assert post(listed("c", "2024-01-15T22:00:01Z")).status == 201
        assert rows.count("Event") == 2
        assert {row["value"]: row["event"] for row in rows("EventIdentifier")} == {
            "a": 1,
            "b": 1,
            "c": 2,
        }

    def test_also_over_midnight(self, post, rows):
        post(listed("a", "2024-01-15T23:30:00Z"))
        post(listed("b", "2024-01-16T00:30:00Z"))
        assert rows.count("Event") == 1

    def test_how_far_apart_is_a_setting(self, make_hub):
        hub = make_hub(same_event_within=0.5)
        client = Client(hub)
        for list_id, start in (("a", MONDAY), ("b", "2024-01-15T18:31:00Z")):
            client.post(ONETAP, listed(list_id, start))
        assert Rows(hub).count("Event") == 2

    def test_else_the_one_of_its_name_and_day_that_has_no_list(self, post, calls, rows):
        calls.event("Maker Monday", "2024-01-15T08:00:00Z")
        assert post(listed("a", MONDAY)).status == 200
        assert rows.count("Event") == 1

    def test_of_joined_lists_the_last_ones_deletion_hides_the_event(self, post, rows):
        for list_id in ("a", "b"):
            post(listed(list_id, MONDAY))
        assert post(listed("a", MONDAY, event="list.deleted")).status == 200
        assert rows("Event")[0]["hidden_at"] is None
        post(listed("b", MONDAY, event="list.deleted"))
        assert rows("Event")[0]["hidden_at"] is not None
        post(listed("a", MONDAY, event="list.updated"))
        post(listed("a", MONDAY, event="list.deleted"))
        assert rows("Event")[0]["hidden_at"] is not None

    def test_a_list_deleted_twice_does_not_stand_for_the_other(self, post, rows):
        for list_id in ("a", "b"):
            post(listed(list_id, MONDAY))
        for _ in range(2):
            post(listed("a", MONDAY, event="list.deleted"))
        assert rows("Event")[0]["hidden_at"] is None

    def test_a_check_in_to_a_deleted_list_counts_it_again(self, post, rows):
        seen = fixture("onetap/participant.checkin__seen")
        post(seen)
        start = parse_timestamp(seen["data"]["list"]["date"]) + timedelta(minutes=5)
        name = seen["data"]["list"]["name"]
        post(listed("b", start.isoformat(), name=name))
        first = seen["data"]["list"]
        post(listed(first["id"], first["date"], name=name, event="list.deleted"))
        again = {**seen["data"]["participant"], "id": "p2", "checkInDate": first["date"]}
        post({**seen, "data": {**seen["data"], "participant": again}})
        post(listed("b", first["date"], name=name, event="list.deleted"))
        assert rows("Event")[0]["hidden_at"] is None
