"""The unified endpoint: the guide's operations, answers and sentences."""

import pytest
from hubtest import UNIFIED


def test_a_student_is_created(calls, rows):
    reply = calls.student("a12345678", email="john.doe@example.edu", first_name="John")
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Student created successfully",
        "student": {
            "id": 1,
            "identifier": "a12345678",
            "name": "John Example",
            "email": "john.doe@example.edu",
            "is_admin": False,
        },
        "source": "unified_webhook",
    }
    assert {(row["kind"], row["value"]) for row in rows("StudentIdentifier")} == {
        ("a_number", "a12345678"),
        ("email", "john.doe@example.edu"),
    }


def test_an_event_is_created(calls):
    reply = calls.event(event_type="Meeting", points=5, description="Team", location="Room 101")
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Event created successfully",
        "event": {
            "id": 1,
            "name": "Weekly Meeting",
            "date": "2024-01-15",
            "starts_at": "2024-01-15T10:00:00Z",
            "event_type": "Meeting",
            "points": 5,
            "description": "Team",
            "location": "Room 101",
        },
        "source": "unified_webhook",
    }


def test_an_event_has_the_guides_defaults(calls):
    event = calls.event().json["event"]
    assert (event["event_type"], event["points"]) == ("General", 0)
    assert (event["description"], event["location"]) == ("", "")


def test_an_attendance_is_recorded_with_exactly_the_guides_answer(calls, client):
    calls.student()
    calls.event()
    payload = {
        "type": "attendance",
        "data": {
            "student_identifier": "A1 ",
            "event_identifier": "1",
            "check_in_time": "2024-01-15T10:30:00Z",
        },
        "source": "external_app",
        "metadata": {"device": "scanner_001"},
    }
    reply = client.post(UNIFIED, payload)
    assert reply.status == 201
    assert reply.json == {
        "success": True,
        "message": "Attendance recorded successfully",
        "attendance_id": 1,
        "student": {"id": 1, "name": "Ada Example", "email": "a1@example.edu"},
        "event": {"id": 1, "name": "Weekly Meeting", "date": "2024-01-15"},
        "checked_in_at": "2024-01-15T10:30:00Z",
        "source": "external_app",
    }


def test_source_and_metadata_are_kept_with_what_they_created(client, rows, calls):
    calls.student()
    calls.event()
    payload = {
        "type": "attendance",
        "data": {"student_identifier": "a1", "event_identifier": 1},
        "source": "door",
        "metadata": {"device": "scanner_001", "empty": ""},
    }
    reply = client.post(UNIFIED, payload)
    (attendance,) = rows("Attendance")
    assert attendance["source"] == "door"
    assert attendance["metadata"] == '{"device": "scanner_001", "empty": ""}'
    assert attendance["delivery"] == reply.headers["x-delivery-id"]


STUDENT_REQUIRED = "student_identifier, email, first_name, and last_name are required"
EVENT_REQUIRED = "event_name and event_date are required"
ATTENDANCE_REQUIRED = "student_identifier and event_identifier are required"


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({}, "type field is required. Valid types: student, event, attendance"),
        ({"type": " "}, "type field is required. Valid types: student, event, attendance"),
        ({"type": "x"}, "Unknown type: x. Valid types are: student, event, attendance"),
        ({"type": 5}, "Unknown type: 5. Valid types are: student, event, attendance"),
        (
            {"type": "student", "action": "delete"},
            "Unknown action: delete. Valid actions for students: create, update",
        ),
        (
            {"type": "event", "action": ["x"]},
            'Unknown action: ["x"]. Valid actions for events: create, update',
        ),
        (
            {"type": "attendance", "action": "update"},
            "Unknown action: update. Valid actions for attendance: create",
        ),
        ({"type": "student"}, STUDENT_REQUIRED),
        ({"type": "student", "data": None}, STUDENT_REQUIRED),
        ({"type": "student", "data": "x"}, STUDENT_REQUIRED),
        ({"type": "student", "data": {"student_identifier": "a1"}}, STUDENT_REQUIRED),
        ({"type": "event", "data": {"event_name": "M", "event_date": " "}}, EVENT_REQUIRED),
        ({"type": "attendance", "data": {"student_identifier": "a1"}}, ATTENDANCE_REQUIRED),
        ({"type": "attendance", "data": []}, ATTENDANCE_REQUIRED),
        (
            {"type": "event", "data": {"event_name": "M", "event_date": "tomorrow"}},
            "Invalid event_date format. Use ISO format (e.g., 2024-01-15T10:00:00Z)",
        ),
        (
            {"type": "event", "data": {"event_name": "M", "event_date": 1705312800}},
            "Invalid event_date format. Use ISO format (e.g., 2024-01-15T10:00:00Z)",
        ),
        (
            {
                "type": "attendance",
                "data": {
                    "student_identifier": "a1",
                    "event_identifier": "1",
                    "check_in_time": "2024-02-30T10:00:00Z",
                },
            },
            "Invalid check_in_time format. Use ISO format (e.g., 2024-01-15T10:00:00Z)",
        ),
        (
            {
                "type": "student",
                "data": {
                    "student_identifier": "a1",
                    "email": "nobody",
                    "first_name": "A",
                    "last_name": "B",
                },
            },
            "Invalid email format",
        ),
        (
            {"type": "student", "action": "update", "data": {"first_name": "A"}},
            "student_identifier or email is required",
        ),
        (
            {"type": "event", "action": "update", "data": {"points": 3}},
            "event_identifier or event_name is required",
        ),
    ],
)
def test_a_wrong_payload_has_its_sentence(client, payload, error, rows):
    reply = client.post(UNIFIED, payload)
    assert (reply.status, reply.error) == (400, error)
    assert [row["status"] for row in rows("Delivery")] == [400]


def test_every_violation_has_an_entry_and_the_required_sentence_wins(client):
    data = {"email": "none", "first_name": "", "last_name": 5, "is_admin": "yes"}
    reply = client.post(UNIFIED, {"type": "student", "data": data})
    assert reply.error == STUDENT_REQUIRED
    assert {entry["pointer"]: entry["message"] for entry in reply.json["errors"]} == {
        "/data/student_identifier": "is required",
        "/data/first_name": "is required",
        "/data/email": "must be of the format email",
        "/data/last_name": "must be a string or null",
        "/data/is_admin": "must be true or false or null",
    }


def test_a_violation_never_repeats_the_value(client):
    data = {"student_identifier": "a1", "event_identifier": "x" * 10_000}
    reply = client.post(UNIFIED, {"type": "attendance", "data": data})
    assert reply.status == 400
    assert len(reply.body) < 500


def test_taken_identifiers_are_refused(calls):
    calls.student("a1")
    same_email = calls.student("a2", email=" A1@Example.EDU ")
    assert (same_email.status, same_email.error) == (
        400,
        "Student with email A1@Example.EDU already exists",
    )
    same_number = calls.student("A1", email="other@example.edu")
    assert (same_number.status, same_number.error) == (
        400,
        "User with identifier A1 already exists",
    )


def test_the_same_event_is_refused_and_another_start_is_not(calls):
    calls.event()
    again = calls.event(date="2024-01-15T11:00:00+01:00")
    assert (again.status, again.error) == (
        400,
        "Event with name Weekly Meeting already exists on 2024-01-15",
    )
    assert calls.event(date="2024-01-15T12:00:00Z").status == 201


def test_unknown_students_and_events_are_404_as_sent(calls):
    calls.student("a1")
    calls.event()
    for student, event, error in [
        ("A999 ", "Weekly Meeting", "Student with identifier A999  not found"),
        ("no@example.edu", "Weekly Meeting", "Student with identifier no@example.edu not found"),
        ("a1", "999", "Event with identifier 999 not found"),
        ("a1", 999, "Event with identifier 999 not found"),
        ("a1", "weekly meeting", "Event with identifier weekly meeting not found"),
        ("a1", "9" * 200, f"Event with identifier {'9' * 200} not found"),
    ]:
        reply = calls.attend(student, event)
        assert (reply.status, reply.error) == (404, error)


def test_a_second_check_in_is_refused_whatever_names_the_student(calls, rows):
    calls.student("a1")
    calls.event()
    assert calls.attend("a1").status == 201
    reply = calls.attend("A1@EXAMPLE.EDU", 1)
    assert (reply.status, reply.error) == (400, "Student already checked in to this event")
    assert rows.count("Attendance") == 1


def test_digits_mean_an_id_first_and_then_a_name(calls):
    calls.student()
    calls.event("2024", "2024-01-01T00:00:00Z")
    assert calls.attend(event="2024").json["event"] == {
        "id": 1,
        "name": "2024",
        "date": "2024-01-01",
    }
    calls.event("1", "2024-01-01T00:00:00Z")
    calls.student("a2")
    assert calls.attend("a2", "1").json["event"]["name"] == "2024"


def test_of_weekly_meetings_the_nearest_is_meant_and_on_a_tie_the_later(calls):
    calls.student()
    for day in (1, 8, 15):
        calls.event(date=f"2024-01-{day:02}T10:00:00Z")

    def attended(at):
        return calls.attend(check_in_time=at).json["event"]["date"]

    assert attended("2024-01-07T23:00:00Z") == "2024-01-08"
    assert attended("2023-06-01T10:00:00Z") == "2024-01-01"
    assert attended("2024-01-11T22:00:00Z") == "2024-01-15"


def test_a_check_in_time_is_stored_as_sent(calls, rows):
    calls.student()
    calls.event()
    reply = calls.attend(check_in_time="2024-01-15T12:30:00.25+02:00")
    assert reply.json["checked_in_at"] == "2024-01-15T10:30:00.250Z"
    (attendance,) = rows("Attendance")
    assert attendance["checked_in_at"].isoformat() == "2024-01-15T10:30:00.250000"


def test_without_a_check_in_time_it_is_the_time_of_receipt_in_whole_seconds(calls, rows):
    calls.student()
    calls.event()
    calls.attend(check_in_time="")
    (attendance,) = rows("Attendance")
    delivery = max(rows("Delivery"), key=lambda row: row["id"])
    assert attendance["checked_in_at"] == delivery["received_at"].replace(microsecond=0)


class TestUpdatingStudents:
    def test_only_the_members_present_change(self, calls):
        calls.student("a1", is_admin=True)
        reply = calls.unified("student", "update", student_identifier="A1", first_name="Grace")
        assert reply.status == 200
        assert reply.json["message"] == "Student updated successfully"
        assert reply.json["student"]["name"] == "Grace Example"
        assert reply.json["student"]["is_admin"] is True
        assert reply.json["student"]["email"] == "a1@example.edu"

    def test_a_student_is_named_by_email_too(self, calls):
        calls.student("a1")
        reply = calls.unified("student", "update", email="A1@example.edu", last_name="Hopper")
        assert reply.json["student"]["name"] == "Ada Hopper"

    def test_a_new_email_replaces_the_old_one(self, calls, rows):
        calls.student("a1")
        reply = calls.unified("student", "update", student_identifier="a1", email="n@example.edu")
        assert reply.json["student"]["email"] == "n@example.edu"
        assert calls.attend("a1@example.edu").status == 404
        assert rows.count("StudentIdentifier") == 2

    def test_a_new_email_may_stand_beside_the_old_one_that_names_the_student(self, calls):
        calls.student("a1")
        reply = calls.unified(
            "student", "update", student_identifier="a1@example.edu", email="n@example.edu"
        )
        assert reply.json["student"]["email"] == "n@example.edu"
        assert reply.json["student"]["identifier"] == "a1"

    def test_a_mistyped_a_number_takes_nobodys_identity(self, calls, rows):
        calls.student("a1")
        before = rows("Student"), rows("StudentIdentifier")
        reply = calls.unified(
            "student", "update", student_identifier="a7", email="a1@example.edu", first_name="Eve"
        )
        assert (reply.status, reply.error) == (404, "Student with identifier a7 not found")
        assert (rows("Student"), rows("StudentIdentifier")) == before

    def test_a_taken_email_is_refused_and_nothing_changes(self, calls):
        calls.student("a1")
        calls.student("a2")
        reply = calls.unified(
            "student",
            "update",
            student_identifier="a2",
            email="a1@example.edu",
            first_name="Changed",
        )
        assert (reply.status, reply.error) == (
            400,
            "Student with email a1@example.edu already exists",
        )
        unchanged = calls.unified("student", "update", student_identifier="a2").json["student"]
        assert unchanged["name"] == "Ada Example"

    def test_an_unknown_student_is_404(self, calls):
        reply = calls.unified("student", "update", student_identifier="A5", email="x@example.edu")
        assert (reply.status, reply.error) == (404, "Student with identifier A5 not found")


class TestUpdatingEvents:
    def test_an_event_is_named_by_id(self, calls):
        calls.event(points=5)
        reply = calls.unified(
            "event", "update", event_identifier=1, event_name="Moved", event_date="2024-02-01T09:00"
        )
        assert reply.status == 200
        assert reply.json["event"]["name"] == "Moved"
        assert reply.json["event"]["starts_at"] == "2024-02-01T09:00:00Z"
        assert reply.json["event"]["points"] == 5

    def test_an_event_is_named_by_its_name(self, calls):
        calls.event()
        reply = calls.unified("event", "update", event_name="Weekly Meeting", points=1.0)
        assert reply.json["event"]["points"] == 1

    def test_a_name_that_means_several_events_is_refused(self, calls):
        calls.event()
        calls.event(date="2024-01-22T10:00:00Z")
        sentence = "Several events are named Weekly Meeting; give event_identifier or event_date"
        for name in ("event_name", "event_identifier"):
            reply = calls.unified("event", "update", **{name: "Weekly Meeting", "points": 9})
            assert (reply.status, reply.error) == (400, sentence)
        date = "2024-01-23T10:00:00Z"
        reply = calls.unified("event", "update", event_name="Weekly Meeting", event_date=date)
        assert (reply.status, reply.error) == (400, sentence)

    def test_a_name_of_digits_may_mean_several_events_too(self, calls):
        for day in (15, 22):
            calls.event("2024", f"2024-01-{day}T10:00:00Z")
        for name in ("2024", 2024):
            reply = calls.unified("event", "update", event_identifier=name, points=9)
            assert (reply.status, reply.error.split(";")[0]) == (
                400,
                "Several events are named 2024",
            )
        assert calls.unified("event", "update", event_identifier="2", points=9).status == 200

    def test_the_date_tells_events_of_one_name_apart(self, calls):
        calls.event()
        calls.event(date="2024-01-22T10:00:00Z")
        reply = calls.unified(
            "event",
            "update",
            event_name="Weekly Meeting",
            event_date="2024-01-22T10:00:00Z",
            points=9,
        )
        assert (reply.json["event"]["id"], reply.json["event"]["points"]) == (2, 9)

    def test_two_events_of_one_name_and_start_are_refused(self, calls):
        calls.event()
        calls.event("Other")
        reply = calls.unified(
            "event", "update", event_identifier="Other", event_name="Weekly Meeting"
        )
        assert (reply.status, reply.error) == (
            400,
            "Event with name Weekly Meeting already exists on 2024-01-15",
        )

    def test_an_unknown_event_is_404(self, calls):
        for name, value in (("event_identifier", 7), ("event_name", "Nothing")):
            reply = calls.unified("event", "update", **{name: value})
            assert (reply.status, reply.error) == (404, f"Event with identifier {value} not found")


def test_blank_members_count_as_absent_also_where_no_text_belongs(calls, client):
    assert calls.event(points="", description=" ").json["event"]["points"] == 0
    assert calls.student(is_admin="").json["student"]["is_admin"] is False
    data = {"student_identifier": "a1", "event_identifier": 1}
    payload = {"type": "attendance", "data": data, "metadata": "", "source": ""}
    assert client.post(UNIFIED, payload).status == 201
    assert calls.event("Other", points="x").status == 400
    assert calls.event("Other", points=[""]).status == 400


def test_a_number_that_is_no_event_is_404(calls):
    calls.student()
    for number in (-1, 2**63, 10**30):
        reply = calls.attend(event=number)
        assert (reply.status, reply.error) == (404, f"Event with identifier {number} not found")


def test_an_event_at_the_end_of_time_may_be_attended_in_any_zone(make_hub):
    from zoneinfo import ZoneInfo

    from hubtest import Calls, Client

    calls = Calls(Client(make_hub()))
    calls.student()
    assert calls.event("Last", "9999-12-31T23:00:00Z").status == 201
    moved = Calls(Client(make_hub(time_zone=ZoneInfo("Asia/Tokyo"))))
    assert moved.attend(event="Last").json["event"]["date"] == "9999-12-31"


def test_the_hubs_time_zone_gives_dates_and_naive_timestamps(make_hub):
    from zoneinfo import ZoneInfo

    from hubtest import Calls, Client

    calls = Calls(Client(make_hub(time_zone=ZoneInfo("America/Denver"))))
    event = calls.event(date="2024-01-15T18:00:00").json["event"]
    assert (event["date"], event["starts_at"]) == ("2024-01-15", "2024-01-16T01:00:00Z")


def test_an_aware_isoformat_with_z_after_it_means_its_offset(calls):
    event = calls.event(date="2024-01-15T10:00:00.123456+00:00Z").json["event"]
    assert event["starts_at"] == "2024-01-15T10:00:00.123456Z"
