"""OneTap: both forms of the webhook, and all twelve events."""

import copy

import pytest
from hubtest import FIXTURES, ONETAP, Calls, Client, fixture

from hub.domain.evidence import State

SEEN = "onetap/participant.checkin__seen"
DOCUMENTED = "documented-only"


@pytest.fixture
def post(client):
    def post(name_or_payload):
        named = isinstance(name_or_payload, str)
        return client.post(
            ONETAP, fixture(f"onetap/{name_or_payload}") if named else name_or_payload
        )

    return post


def changed(**parts):
    """The check-in that was seen, with some members of its parts changed."""
    payload = copy.deepcopy(fixture(SEEN))
    for part, members in parts.items():
        payload["data"][part].update(members)
    return payload


def test_a_check_in_makes_student_event_and_attendance(post, rows):
    reply = post("participant.checkin__seen")
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Check-in processed successfully",
        "data": {
            "student": {
                "id": 1,
                "name": "Ada Mary Example",
                "email": "ada@example.edu",
                "a_number": "A01234567",
            },
            "event": {"id": 1, "name": "Maker Monday", "date": "2025-11-10", "location": ""},
            "attendance": {"id": 1, "checked_in_at": "2025-11-10T20:56:58.153Z"},
        },
        "source": "onetap_webhook",
    }
    assert {(row["kind"], row["value"]) for row in rows("StudentIdentifier")} == {
        ("onetap_profile", "rtPDDDDDDR"),
        ("a_number", "a01234567"),
        ("email", "ada@example.edu"),
    }
    assert [row["shown"] for row in rows("EventIdentifier")] == ["yvoEEEEEEb"]
    (student,) = rows("Student")
    assert (student["first_name"], student["last_name"]) == ("Ada Mary", "Example")


def test_a_repeated_check_in_has_the_same_body_and_200(post, rows):
    first = post("participant.checkin__seen")
    payload = fixture(SEEN)
    payload["timestamp"] = "2025-11-10T20:57:30.000Z"
    again = post(payload)
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body
    assert again.headers["x-delivery-replayed"] == "true"
    assert rows.count("Attendance") == 1


def test_a_second_check_in_at_another_time_is_no_error_and_keeps_the_first(post, rows):
    first = post("participant.checkin__seen")
    again = post(changed(participant={"checkInDate": "2025-11-10T21:30:00.000Z"}))
    assert again.status == 200
    assert again.json == first.json
    assert rows.count("Attendance") == 1


@pytest.mark.parametrize(
    ("variant", "a_number", "email"),
    [
        ("no-a-number", None, "ada@example.edu"),
        ("private-email", None, "ada.private@example.com"),
        ("no-email", None, None),
    ],
)
def test_what_is_missing_in_the_wild_may_be_missing(post, variant, a_number, email):
    reply = post(f"participant.checkin__{variant}")
    assert reply.status == 201
    student = reply.json["data"]["student"]
    assert (student["a_number"], student["email"]) == (a_number, email)


def test_an_email_that_is_none_does_not_lose_a_check_in(post):
    reply = post(changed(profile={"email": "none", "customFields": {"A-Number": 1234567}}))
    assert reply.status == 201
    assert reply.json["data"]["student"]["email"] is None
    assert reply.json["data"]["student"]["a_number"] == "1234567"


def test_a_student_is_found_by_profile_then_a_number_then_email(post, client):
    calls = Calls(client)
    calls.student("A01234567", email="other@example.edu")
    calls.student("a2", email="ada@example.edu")
    reply = post("participant.checkin__seen")
    # The A-number counts before the e-mail, and the e-mail stays with its owner.
    assert reply.json["data"]["student"]["id"] == 1
    assert reply.json["data"]["student"]["email"] == "other@example.edu"
    # Afterwards the profile's id is enough.
    later = changed(
        profile={"email": "", "customFields": {}},
        list={"id": "another", "date": "2025-11-17T20:00:00Z"},
        participant={"id": "p2", "checkInDate": "2025-11-17T20:01:00Z"},
    )
    assert post(later).json["data"]["student"]["id"] == 1


def test_two_people_of_one_name_are_two_students(post, rows):
    post("participant.checkin__no-email")
    namesake = changed(
        profile={"id": "namesake", "email": "", "customFields": {}}, participant={"id": "p2"}
    )
    assert post(namesake).json["data"]["student"]["id"] == 2
    assert rows.count("Attendance") == 2


def test_a_student_gains_what_a_later_check_in_knows(post, calls):
    post("participant.checkin__no-a-number")
    post(changed(participant={"id": "p2", "checkInDate": "2025-11-17T20:01:00Z"}))
    assert calls.unified("student", "update", student_identifier="a01234567").status == 200


def test_an_event_is_found_by_list_then_by_name_and_date(post, client, rows):
    Calls(client).event("Maker Monday", "2025-11-10T19:00:00Z", location="Lab")
    reply = post("participant.checkin__seen")
    assert reply.json["data"]["event"] == {
        "id": 1,
        "name": "Maker Monday",
        "date": "2025-11-10",
        "location": "Lab",
    }
    renamed = changed(
        list={"name": "Renamed"}, participant={"id": "p2"}, profile={"id": "x", "email": "x@e.org"}
    )
    renamed["data"]["profile"]["customFields"] = {}
    assert post(renamed).json["data"]["event"]["name"] == "Maker Monday"
    assert rows.count("Event") == 1


def test_two_lists_of_one_name_and_day_are_two_events(post, rows):
    post("participant.checkin__seen")
    second = changed(
        list={"id": "evening", "date": "2025-11-10T23:00:00Z"},
        participant={"id": "p2", "checkInDate": "2025-11-10T23:05:00Z"},
    )
    assert post(second).json["data"]["event"]["id"] == 2
    assert rows.count("Attendance") == 2


def test_another_list_with_the_very_same_name_and_start_is_the_same_event(post, rows):
    post("participant.checkin__seen")
    twin = changed(list={"id": "twin"}, participant={"id": "p2", "checkInDate": None})
    assert post(twin).status == 200
    assert rows.count("Event") == 1


def test_a_registration_makes_student_and_event_and_no_attendance(post, rows):
    created = post(f"participant.created__{DOCUMENTED}")
    assert created.status == 201
    assert rows.count("Attendance") == 0
    checked_in = post("participant.checkin__seen")
    assert checked_in.status == 201
    assert (rows.count("Student"), rows.count("Event")) == (1, 1)
    assert post(f"participant.created__{DOCUMENTED}").status == 200


class TestCheckOut:
    def test_it_sets_the_check_out_time(self, post, rows):
        post("participant.checkin__seen")
        reply = post(f"participant.checkout__{DOCUMENTED}")
        assert reply.status == 200
        assert reply.json["message"] == "Check-out processed successfully"
        assert reply.json["data"]["attendance"] == {
            "id": 1,
            "checked_in_at": "2025-11-10T20:56:58.153Z",
            "checked_out_at": "2025-11-10T22:01:02.500Z",
        }
        (attendance,) = rows("Attendance")
        assert attendance["checked_out_at"].isoformat() == "2025-11-10T22:01:02.500000"

    def test_the_flat_shape_finds_the_attendance_by_its_participant(self, post, rows):
        post("participant.checkin__seen")
        assert post(f"participant.checkout__flat-{DOCUMENTED}").status == 200
        (attendance,) = rows("Attendance")
        assert attendance["checked_out_at"].isoformat() == "2025-11-10T22:01:02"

    def test_it_records_a_check_in_that_was_lost(self, post, rows):
        assert post(f"participant.checkout__{DOCUMENTED}").status == 201
        (attendance,) = rows("Attendance")
        assert attendance["checked_in_at"].isoformat() == "2025-11-10T20:56:58.153000"
        assert attendance["checked_out_at"] is not None

    def test_one_that_nobody_checked_in_to_is_kept_and_ignored(self, post, rows):
        reply = post(f"participant.checkout__flat-{DOCUMENTED}")
        assert (reply.status, reply.json["message"]) == (200, "Event received; nothing to record")
        assert [row["outcome"] for row in rows("Delivery")] == ["ignored"]


class TestWithdrawal:
    @pytest.mark.parametrize("shape", ["", "flat-"])
    def test_an_undone_check_in_is_withdrawn_and_its_history_kept(self, post, rows, shape):
        post("participant.checkin__seen")
        reply = post(f"participant.deleted__{shape}{DOCUMENTED}")
        assert reply.status == 200
        (withdrawn,) = rows("Attendance")
        assert (withdrawn["state"], withdrawn["sightings"]) == (State.WITHDRAWN, 0)
        assert withdrawn["checked_in_at"].isoformat() == "2025-11-10T20:56:58.153000"
        assert withdrawn["withdrawal"] == reply.headers["x-delivery-id"]
        assert [row["kind"] for row in rows("Evidence")] == ["check_in", "withdrawal"]

    def test_a_repeated_check_in_does_not_bring_it_back_and_a_new_one_does(self, post, rows):
        post("participant.checkin__seen")
        post(f"participant.deleted__{DOCUMENTED}")
        post("participant.checkin__seen")
        assert [row["state"] for row in rows("Attendance")] == [State.WITHDRAWN]
        assert post(changed(participant={"checkInDate": "2025-11-10T22:00:00Z"})).status == 201
        (attendance,) = rows("Attendance")
        assert (attendance["id"], attendance["state"]) == (1, State.PRESENT)
        assert attendance["checked_in_at"].isoformat() == "2025-11-10T22:00:00"

    def test_withdrawing_nothing_is_ignored(self, post):
        assert post(f"participant.deleted__flat-{DOCUMENTED}").status == 200


class TestProfiles:
    def test_a_profile_is_created_and_corrected_and_stays_the_same_student(self, post):
        assert post(f"profile.created__{DOCUMENTED}").status == 201
        reply = post(f"profile.updated__{DOCUMENTED}")
        assert reply.status == 200
        assert reply.json["data"]["student"] == {
            "id": 1,
            "name": "Ada Corrected",
            "email": "ada.corrected@example.edu",
            "a_number": "A01234567",
        }

    def test_a_taken_email_stays_with_its_owner(self, post, calls):
        calls.student("a9", email="ada.corrected@example.edu")
        post("participant.checkin__seen")
        reply = post(f"profile.updated__{DOCUMENTED}")
        assert reply.status == 200
        assert reply.json["data"]["student"] == {
            "id": 2,
            "name": "Ada Corrected",
            "email": "ada@example.edu",
            "a_number": "A01234567",
        }

    @pytest.mark.parametrize("shape", ["", "flat-"])
    def test_a_deletion_hides_the_student_and_loses_no_attendance(self, post, calls, rows, shape):
        post("participant.checkin__seen")
        assert post(f"profile.deleted__{shape}{DOCUMENTED}").status == 200
        assert calls.attend("A01234567", "Maker Monday").status == 404
        assert rows.count("Attendance") == 1
        assert post(f"profile.deleted__{shape}{DOCUMENTED}").json["message"].endswith("record")

    def test_a_hidden_student_who_checks_in_is_shown_again(self, post, calls, rows):
        post("participant.checkin__seen")
        post(f"profile.deleted__{DOCUMENTED}")
        later = changed(
            participant={"id": "p2", "checkInDate": "2025-11-17T20:01:00Z"},
            list={"id": "next", "date": "2025-11-17T20:00:00Z"},
        )
        assert post(later).json["data"]["student"]["id"] == 1
        assert calls.attend("A01234567", "Maker Monday").error.startswith("Student already")

    def test_creating_a_hidden_student_shows_it_again(self, post, calls, rows):
        post("participant.checkin__seen")
        post(f"profile.deleted__{DOCUMENTED}")
        reply = calls.student("a01234567", email="new@example.edu")
        assert (reply.status, reply.json["student"]["id"]) == (201, 1)
        assert rows.count("Student") == 1

    def test_identifiers_of_two_hidden_students_make_no_third(self, post, calls):
        for number in ("a1", "a2"):
            calls.student(number)
            profile = {"id": number, "email": f"{number}@example.edu"}
            for event in ("profile.created", "profile.deleted"):
                post({"event": event, "data": {"profile": profile}})
        reply = calls.student("a1", email="a2@example.edu")
        assert (reply.status, reply.json["student"]["id"]) == (201, 1)
        assert reply.json["student"]["email"] == "a2@example.edu"
        assert calls.student("a2", email="other@example.edu").json["student"]["id"] == 2

    def test_a_hidden_students_record_goes_to_nobody_else(self, post, calls, rows):
        calls.student("a1")
        post({"event": "profile.created", "data": {"id": "p1", "email": "a1@example.edu"}})
        post({"event": "profile.deleted", "data": {"id": "p1"}})
        reply = calls.student("a2", email="a1@example.edu")
        assert (reply.status, reply.json["student"]["id"]) == (201, 2)
        assert calls.student("a1", email="back@example.edu").json["student"]["id"] == 1

    def test_a_profile_of_nothing_but_an_id_is_ignored(self, post):
        assert post({"event": "profile.updated", "data": {"profileId": "x"}}).status == 200


class TestLists:
    @pytest.mark.parametrize("shape", ["", "whole-"])
    def test_a_list_is_created(self, post, shape):
        reply = post(f"list.created__{shape}{DOCUMENTED}")
        assert (reply.status, reply.json["data"]["event"]["name"]) == (201, "Maker Monday")

    def test_a_renamed_list_stays_the_same_event(self, post, rows):
        post("participant.checkin__seen")
        reply = post(f"list.updated__{DOCUMENTED}")
        assert reply.json["data"]["event"] == {
            "id": 1,
            "name": "Maker Tuesday",
            "date": "2025-11-11",
            "location": "",
        }
        assert rows("Event")[0]["description"] == "Moved by a day"

    def test_a_list_renamed_to_another_event_keeps_its_own_name(self, post, calls):
        calls.event("Maker Tuesday", "2025-11-11T20:00:00Z")
        post("participant.checkin__seen")
        reply = post(f"list.updated__{DOCUMENTED}")
        assert (reply.status, reply.json["data"]["event"]["name"]) == (200, "Maker Monday")

    def test_a_deletion_hides_the_event_and_loses_no_attendance(self, post, calls, rows):
        post("participant.checkin__seen")
        assert post(f"list.deleted__{DOCUMENTED}").status == 200
        assert calls.attend("A01234567", "Maker Monday").error.startswith("Event with")
        assert calls.attend("A01234567", "1").error.startswith("Event with")
        assert rows.count("Attendance") == 1
        assert post(f"list.deleted__{DOCUMENTED}").status == 200

    def test_creating_a_hidden_event_shows_it_again(self, post, calls, rows):
        post("participant.checkin__seen")
        post(f"list.deleted__{DOCUMENTED}")
        reply = calls.event("Maker Monday", "2025-11-10T20:56:38Z")
        assert (reply.status, reply.json["event"]["id"]) == (201, 1)
        assert rows.count("Event") == 1

    def test_a_list_without_an_id_is_found_by_name_and_date(self, post, rows):
        nameless = changed(list={"id": None})
        assert post(nameless).status == 201
        again = changed(list={"id": ""}, profile={"id": "x", "email": "x@example.edu"})
        again["data"]["participant"]["id"] = "p2"
        again["data"]["profile"]["customFields"] = []
        assert post(again).json["data"]["event"]["id"] == 1
        assert rows.count("Attendance") == 2

    def test_a_list_without_an_id_has_the_date_of_the_hubs_zone(self, make_hub):
        from zoneinfo import ZoneInfo

        client = Client(make_hub(time_zone=ZoneInfo("America/Denver")))

        def event(date, participant):
            part = {"id": participant, "checkInDate": date}
            payload = changed(list={"id": "", "date": date}, participant=part)
            return client.post(ONETAP, payload).json["data"]["event"]

        first = event("2025-11-11T01:00:00Z", "p1")
        assert first["date"] == "2025-11-10"
        assert event("2025-11-10T20:00:00Z", "p2")["id"] == first["id"]
        assert event("2025-11-11T20:00:00Z", "p3")["id"] != first["id"]

    def test_an_undone_check_in_needs_no_whole_list(self, post, rows):
        post("participant.checkin__seen")
        payload = fixture(f"onetap/participant.deleted__{DOCUMENTED}")
        payload["data"]["list"] = {"name": "Maker Monday"}
        assert post(payload).status == 200
        assert [row["state"] for row in rows("Attendance")] == [State.WITHDRAWN]

    def test_a_list_at_the_end_of_time_takes_over_no_other(self, post, calls, rows):
        calls.event("Maker Monday", "2024-01-15T10:00:00Z")
        late = {"id": "late", "name": "Maker Monday", "date": "9999-12-31T23:00:00Z"}
        assert post({"event": "list.created", "data": late}).status == 201
        early = {"id": "early", "name": "Maker Monday", "date": "0001-01-01T01:00:00Z"}
        assert post({"event": "list.created", "data": early}).status == 201
        assert rows.count("Event") == 3

    def test_a_list_without_a_name_is_ignored(self, post):
        assert post({"event": "list.updated", "data": {"id": "x"}}).status == 200


class TestFlatShape:
    def test_ids_never_seen_are_kept_and_answered_200(self, post, rows):
        reply = post(f"participant.checkin__flat-{DOCUMENTED}")
        assert (reply.status, reply.json["message"]) == (200, "Event received; nothing to record")
        assert [row["outcome"] for row in rows("Delivery")] == ["ignored"]

    def test_an_unknown_list_of_a_known_profile_is_answered_200(self, post):
        post(f"profile.created__{DOCUMENTED}")
        assert post(f"participant.checkin__flat-{DOCUMENTED}").status == 200

    def test_known_ids_are_recorded(self, post, rows):
        post(f"participant.checkin__flat-{DOCUMENTED}")
        post(f"participant.created__{DOCUMENTED}")
        reply = post(f"participant.checkin__flat-{DOCUMENTED}")
        assert reply.status == 201
        (attendance,) = rows("Attendance")
        assert attendance["checked_in_at"].isoformat() == "2025-11-10T20:56:58"

    @pytest.mark.parametrize("missing", ["profileId", "listId"])
    def test_ids_that_are_missing_are_kept_and_answered_200(self, post, missing):
        payload = fixture(f"onetap/participant.checkin__flat-{DOCUMENTED}")
        del payload["data"][missing]
        assert post({**payload, "source": "club"}).json["source"] == "club"

    def test_a_registration_has_nothing_to_record(self, post):
        payload = fixture(f"onetap/participant.checkin__flat-{DOCUMENTED}")
        assert post({**payload, "event": "participant.created"}).status == 200


@pytest.mark.parametrize("name", ["passport.created", "passport.deleted"])
def test_passports_are_recorded_and_ignored(post, rows, name):
    assert post(f"{name}__{DOCUMENTED}").status == 200
    assert [row["outcome"] for row in rows("Delivery")] == ["ignored"]


def test_an_event_unknown_to_the_hub_is_recorded_and_ignored(post, rows):
    reply = post({**fixture("onetap/unknown__new-event"), "source": "club"})
    assert (reply.status, reply.json["source"]) == (200, "club")
    assert rows("Delivery")[0]["outcome"] == "ignored"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({}, "action field is required"),
        ({"action": "", "event": None}, "action field is required"),
        (
            {"action": "drop"},
            "Unknown action: drop. "
            "Valid actions are: create_student, create_event, record_attendance",
        ),
        (
            {"action": "record_attendance", "data": {"student_identifier": "a1"}},
            "student_identifier and event_identifier are required",
        ),
        (
            {"action": "create_student", "data": {}},
            "student_identifier, email, first_name, and last_name are required",
        ),
        ({"action": "create_event"}, "event_name and event_date are required"),
        ({"event": "profile.deleted", "data": {}}, "profile is required"),
        ({"event": "list.deleted", "data": {}}, "list is required"),
        ({"event": "list.created", "data": {"id": "x", "name": "y"}}, "list date is required"),
        ({"event": "participant.checkin"}, "Invalid payload"),
        (
            {"event": "participant.checkin", "data": {"participant": {"checkInDate": "soon"}}},
            "Invalid check_in_time format. Use ISO format (e.g., 2024-01-15T10:00:00Z)",
        ),
    ],
)
def test_a_wrong_payload_has_its_sentence(post, payload, error):
    reply = post(payload)
    assert (reply.status, reply.error) == (400, error)


def test_actions_have_the_unified_endpoints_answers(post):
    student = post("create_student__action")
    assert (student.status, student.json["message"]) == (201, "Student created successfully")
    assert student.json["source"] == "onetap_client"
    event = post("create_event__action")
    assert (event.status, event.json["event"]["points"]) == (201, 5)
    attendance = post("record_attendance__action")
    assert (attendance.status, attendance.json["attendance_id"]) == (201, 1)
    again = post("record_attendance__action")
    assert (again.status, again.error) == (400, "Student already checked in to this event")


def test_the_payloads_source_is_echoed(post):
    payload = {**fixture(SEEN), "source": "club"}
    assert post(payload).json["source"] == "club"


@pytest.mark.parametrize("member", ["checkInDate", "checkInTime", "checkOutDate", "checkOutTime"])
@pytest.mark.parametrize("event", ["participant.checkin", "profile.created", "list.created"])
@pytest.mark.parametrize("value", ["soon", 1e300, {}, True])
def test_a_time_that_is_none_has_its_sentence_in_every_event(post, event, member, value):
    data = {"id": "x", "name": "Ada", "profileId": "x", "listId": "x", "date": 1, member: value}
    reply = post({"event": event, "data": data})
    which = "check_in_time" if "In" in member else "check_out_time"
    assert (reply.status, reply.error.split(" format")[0]) == (400, f"Invalid {which}")


@pytest.mark.parametrize("part", ["participant", "profile", "list"])
@pytest.mark.parametrize("event", ["participant.checkin", "profile.created", "list.created"])
def test_a_part_that_is_no_object_is_refused(post, event, part):
    data = {"id": "x", "name": "Ada", "date": 1, part: "text"}
    assert post({"event": event, "data": data}).status == 400


def test_unix_seconds_are_taken_everywhere(post):
    data = {"listId": "l2", "name": "New U", "date": 1762808218}
    reply = post({"event": "list.created", "timestamp": 1762808218, "data": data})
    assert (reply.status, reply.json["data"]["event"]["date"]) == (201, "2025-11-10")


@pytest.mark.parametrize(
    ("zone", "seconds"), [("Asia/Tokyo", 253402300799), ("America/Denver", -62135596800)]
)
def test_seconds_at_the_ends_of_the_calendar_are_refused_where_the_zone_leaves_it(
    make_hub, zone, seconds
):
    from zoneinfo import ZoneInfo

    client = Client(make_hub(time_zone=ZoneInfo(zone)))
    data = {"participantId": "p", "profileId": "x", "listId": "y", "checkInTime": seconds}
    assert client.post(ONETAP, {"event": "participant.checkin", "data": data}).status == 400


def test_every_event_of_onetap_has_a_fixture():
    from hub_plugins.onetap import _EVENTS

    fixtures = {path.name.split("__")[0] for path in (FIXTURES / "onetap").glob("*.json")}
    assert set(_EVENTS) <= fixtures
    assert len(_EVENTS) == 12


def test_delivery_keys_differ_by_event_participant_and_time():
    from hub_plugins.onetap import delivery_key

    seen = fixture(SEEN)
    keys = {
        delivery_key(seen),
        delivery_key({**seen, "event": "participant.created"}),
        delivery_key(changed(participant={"id": "other"})),
        delivery_key(changed(participant={"checkInDate": "2025-11-10T20:56:59Z"})),
    }
    assert len(keys) == 4
    assert delivery_key(changed(participant={"checkInDate": None})) is None
    assert delivery_key(fixture(f"onetap/profile.created__{DOCUMENTED}")) is None


@pytest.mark.parametrize(
    ("profile", "status"),
    [
        ({"id": "x"}, 200),
        ({"id": "x", "name": " "}, 200),
        ({"id": "x", "name": "Bo Example"}, 201),
        ({"id": "x", "email": "bo@example.edu"}, 201),
        ({"email": "bo@example.edu"}, 200),
    ],
)
def test_a_profile_is_recorded_if_it_tells_more_than_one_id(post, rows, profile, status):
    reply = post({"event": "profile.created", "data": profile})
    assert (reply.status, rows.count("Student")) == (status, int(status == 201))
    assert reply.json["success"] is True
