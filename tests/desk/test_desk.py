"""The desk over the whole line: what is wrong is put right, and each of its words can be undone."""

import pytest
from api.conftest import TOKEN, Api
from hubtest import ONETAP, Calls

DESK = "/api/webhook/desk/"
AUTH = {"Authorization": f"Bearer {TOKEN}"}


class Desk:
    """The desk's payloads in short, and what the API then tells."""

    def __init__(self, hub):
        self.api = Api(hub)
        self.client = self.api.client
        self.calls = Calls(self.client)

    def __call__(self, action, /, reason="because", headers=(), **data):
        payload = {"action": action, "data": data, "reason": reason}
        return self.client.post(DESK, payload, headers={**AUTH, **dict(headers)})

    def did(self, action, /, status=200, **data):
        reply = self(action, **data)
        assert reply.status == status, reply.body
        return reply.json

    def undo(self, delivery, status=200):
        return self.did("undo", status, delivery=delivery)

    def rows(self, **query):
        return self.api.pages("/api/attendances/", "attendances", **query)

    def times(self, **query):
        return [
            (
                one["student"]["identifier"],
                one["event"]["id"],
                one["checked_in_at"][11:16],
                (one["checked_out_at"] or "")[11:16],
                one["state"],
            )
            for one in self.rows(**query)
        ]


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN, enable=("cards",), webhook_secret=("s" * 16,))


@pytest.fixture
def desk(hub):
    desk = Desk(hub)
    for one in ("a1", "a2", "a3"):
        desk.calls.student(one)
    desk.calls.event(date="2024-01-15T18:00:00Z")
    return desk


def attend(desk, student="a1", at="18:05", status=201):
    reply = desk.calls.attend(student, check_in_time=f"2024-01-15T{at}:00Z")
    assert reply.status == status, reply.body
    return reply


class TestWords:
    def test_a_check_in_is_answered_with_the_attendance_and_its_evidence(self, desk):
        reply = desk("check_in", student="a1", event="Weekly Meeting", at="2024-01-15T18:07:00Z")
        assert reply.status == 201
        assert list(reply.json) == ["success", "message", "delivery", "attendance", "source"]
        (said,) = reply.json["attendance"]["evidence"]
        assert said["kind"], said["by"] == ("check_in", "HUB_ADMIN_TOKEN")
        assert said["reason"] == "because"
        assert said["received_at"] is not None
        assert desk.times() == [("a1", 1, "18:07", "", "present")]
        again = desk("check_in", student="a1", event=1, at="2024-01-15T18:01:00Z")
        assert (again.status, again.json["attendance"]["sightings"]) == (200, 2)
        assert desk.times() == [("a1", 1, "18:01", "", "present")]

    def test_a_withdrawal_stands_against_whatever_comes_later(self, desk):
        attend(desk)
        done = desk.did("withdraw", student="a1", event="Weekly Meeting", on="2024-01-15")
        withdrawn = done["attendance"]["withdrawn"]
        assert withdrawn["by"] == "HUB_ADMIN_TOKEN"
        assert (withdrawn["reason"], withdrawn["delivery"]) == ("because", done["delivery"])
        refused = attend(desk, at="18:30", status=400)
        assert refused.error == "Attendance was withdrawn at the desk"
        assert desk.rows() == []
        assert desk("withdraw", attendance=1).error == "Already withdrawn"
        restored = desk.did("restore", attendance=1)
        assert restored["attendance"]["sightings"] == 2
        assert desk("restore", attendance=1).error == "Not withdrawn"

    def test_the_undo_of_a_withdrawal_counts_what_came_meanwhile(self, desk):
        attend(desk)
        done = desk.did("withdraw", attendance=1)
        attend(desk, at="18:30", status=400)
        undone = desk.undo(done["delivery"])
        assert undone["attendance"]["sightings"] == 2
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        assert desk("undo", delivery=done["delivery"]).error == "Already undone"
        desk.undo(undone["delivery"])
        assert desk.rows() == []

    def test_a_withdrawal_needs_a_reason(self, desk):
        attend(desk)
        for blank in (None, "", "  "):
            reply = desk("withdraw", reason=blank, attendance=1)
            assert (reply.status, reply.error) == (400, "A reason is required")

    def test_a_correction_stands_against_later_evidence(self, desk):
        attend(desk)
        desk.did("correct", attendance=1, checked_in_at="2024-01-15T18:20:00Z")
        desk.did("check_out", attendance=1, at="2024-01-15T20:00:00Z")
        assert desk.times() == [("a1", 1, "18:20", "20:00", "left")]
        done = desk.did("correct", attendance=1, checked_out_at=None)
        attend(desk, at="18:01", status=400)
        assert desk.times() == [("a1", 1, "18:20", "", "present")]
        desk.undo(done["delivery"])
        assert desk.times() == [("a1", 1, "18:20", "20:00", "left")]

    @pytest.mark.parametrize(
        ("data", "status", "error"),
        [
            ({}, 400, "attendance, or student and event, are required"),
            ({"attendance": 9, "checked_out_at": None}, 404, "Attendance with id 9 not found"),
            ({"attendance": 1}, 400, "checked_in_at or checked_out_at is required"),
            (
                {"attendance": 1, "checked_out_at": "2024-01-15T10:00:00Z"},
                409,
                "checked_out_at is before checked_in_at",
            ),
            (
                {"attendance": 1, "checked_in_at": "0001-01-01T00:00:00+14:00"},
                400,
                "Invalid checked_in_at format. Use ISO format (e.g., 2024-01-15T10:00:00Z)",
            ),
            (
                {"student": "nobody", "event": 1, "checked_out_at": None},
                404,
                "Student with identifier nobody not found",
            ),
            (
                {"student": "a2", "event": 1, "checked_out_at": None},
                404,
                "Attendance of a2 at 1 not found",
            ),
        ],
    )
    def test_what_cannot_be_corrected(self, desk, data, status, error):
        attend(desk)
        before = desk.rows()
        reply = desk("correct", **data)
        if reply.status == 400 and not data:
            assert reply.error in (error, "checked_in_at or checked_out_at is required")
        else:
            assert (reply.status, reply.error) == (status, error)
        assert desk.rows() == before

    def test_a_word_rests_on_the_one_before(self, desk):
        attend(desk)
        first = desk.did("withdraw", attendance=1)
        second = desk.did("restore", attendance=1)
        reply = desk("undo", delivery=first["delivery"])
        assert (reply.status, reply.error) == (409, f"Delivery {second['delivery']} rests on it")
        desk.undo(second["delivery"])
        desk.undo(first["delivery"])
        assert desk.times() == [("a1", 1, "18:05", "", "present")]

    def test_only_what_the_desk_did_is_undone(self, desk):
        reply = attend(desk)
        refused = desk("undo", delivery=reply.headers["x-delivery-id"])
        assert (refused.status, refused.error) == (
            409,
            "Only what the desk or an import did can be undone",
        )
        assert desk("undo", delivery="0" * 28).status == 404


class TestStudents:
    def test_the_desk_alone_changes_an_a_number(self, desk):
        done = desk.did(
            "save_student", student="a1", identifiers={"a_number": "A9"}, first_name="Grace"
        )
        assert done["student"]["identifier"] == "A9"
        assert done["student"]["first_name"] == "Grace"
        assert desk.calls.attend("a1").status == 404
        desk.undo(done["delivery"])
        assert desk.api("/api/students/1/").json["identifier"] == "a1"
        assert desk.api("/api/students/1/").json["first_name"] == "Ada"

    def test_an_identifier_of_somebody_else_is_named(self, desk):
        reply = desk("save_student", student="a1", identifiers={"email": "a2@example.edu"})
        assert (reply.status, reply.error) == (409, "email a2@example.edu is student 2's")

    def test_a_new_student_and_its_undo(self, desk):
        done = desk.did("save_student", 201, identifiers={"a_number": "n1", "card": "04:a2"})
        assert desk.api("/api/students/", identifier="card:04A2").json["students"][0]["id"] == 4
        desk.undo(done["delivery"])
        assert desk.calls.attend("n1").status == 404
        assert [one["id"] for one in desk.api("/api/students/").json["students"]] == [1, 2, 3]

    def test_an_identifier_that_was_given_elsewhere_hinders_the_undo(self, desk):
        done = desk.did("save_student", student="a1", identifiers={"email": None})
        desk.did("save_student", student="a2", identifiers={"email": "a1@example.edu"})
        reply = desk("undo", delivery=done["delivery"])
        assert (reply.status, reply.error) == (409, "email a1@example.edu is student 2's now")

    def test_an_identifier_comes_back_from_one_whose_making_was_undone(self, desk):
        taken = desk.did("save_student", student="a1", identifiers={"email": None})
        made = desk.did("save_student", 201, identifiers={"email": "a1@example.edu"})
        desk.undo(made["delivery"])
        desk.undo(taken["delivery"])
        assert desk.api("/api/students/1/").json["email"] == "a1@example.edu"

    def test_what_a_source_renamed_since_stays(self, desk):
        done = desk.did("save_student", student="a1", first_name="Grace")
        desk.calls.unified("student", "update", student_identifier="a1", first_name="Edsger")
        desk.undo(done["delivery"])
        assert desk.api("/api/students/1/").json["first_name"] == "Edsger"

    def test_what_the_desk_hid_only_the_desk_shows(self, desk):
        attend(desk)
        done = desk.did("hide_student", student="a1")
        assert desk.rows() == []
        assert desk.calls.student("a1").error.endswith("already exists")
        assert attend(desk, status=404).error == "Student with identifier a1 not found"
        desk.undo(done["delivery"])
        assert len(desk.rows()) == 1
        desk.did("hide_student", student="id:1")
        assert desk("hide_student", student="id:1").status == 404
        desk.did("show_student", student="id:1")
        assert desk("show_student", student="id:1").error == "Not hidden"
        assert len(desk.rows()) == 1


class TestEvents:
    def test_a_new_event_its_change_and_both_undone(self, desk):
        made = desk.did("save_event", 201, name="Hack Night", starts_at="2024-01-16T18:00:00Z")
        changed = desk.did(
            "save_event", event=2, ends_at="2024-01-16T21:00:00Z", points=3,
            identifiers={"name": "Hacknight"},
        )  # fmt: skip
        assert changed["event"]["ends_at"] == "2024-01-16T21:00:00Z"
        assert desk.calls.attend("a1", "Hacknight").status == 201
        desk.undo(changed["delivery"])
        assert desk.calls.attend("a2", "Hacknight").status == 404
        desk.undo(made["delivery"])
        assert [one["id"] for one in desk.api("/api/events/").json["events"]] == [1]

    def test_a_hidden_event_stays_the_nearest_of_its_name(self, desk):
        desk.calls.event(date="2024-01-22T18:00:00Z")
        desk.did("hide_event", event=1)
        assert attend(desk, status=404).error == "Event with identifier Weekly Meeting not found"
        assert desk.calls.event(date="2024-01-15T18:00:00Z").status == 400
        desk.did("show_event", event=1)
        attend(desk)

    def test_of_several_the_last_that_has_begun(self, desk):
        desk.calls.event(date="2024-01-22T18:00:00Z")
        desk.calls.event(date="2099-01-22T18:00:00Z")
        done = desk.did("check_in", 201, student="a1", event="Weekly Meeting")
        assert done["attendance"]["event"]["id"] == 2
        named = {"student": "a2", "event": "Weekly Meeting", "on": "2024-01-15"}
        assert desk.did("check_in", 201, **named)["attendance"]["event"]["id"] == 1

    def test_identifiers_of_events_and_what_is_refused(self, desk):
        desk.did("save_event", event=1, identifiers={"room": "r1", "door": "d1"})
        desk.calls.event("Other", "2024-01-16T18:00:00Z")
        taken = desk("save_event", event=2, identifiers={"room": "r1"})
        assert (taken.status, taken.error) == (409, "room r1 is event 1's")
        gone = desk.did("save_event", event=1, identifiers={"room": None})
        desk.did("save_event", event=2, identifiers={"room": "r1"})
        refused = desk("undo", delivery=gone["delivery"])
        assert refused.error == "room r1 is event 2's now"
        assert desk("save_event", name="No start").error == "A new event needs a name and starts_at"
        named = {"name": "Other", "starts_at": "2024-01-16T18:00:00Z"}
        assert desk("save_event", **named).error.startswith("Event with name Other already exists")
        assert desk("save_event", event=1, **named).error.startswith(
            "Event with name Other already"
        )
        late = desk("save_event", event=1, ends_at="2024-01-01T18:00:00Z")
        assert late.error == "ends_at is before starts_at"
        for action in ("save_event", "show_event", "split_events"):
            data = {"event": "Nothing"} if action != "split_events" else {"merge": "Nothing"}
            assert desk(action, **data).error == "Event with identifier Nothing not found"
        assert desk("show_event", event=1).error == "Not hidden"

    def test_a_hidden_event_is_shown_by_each_of_its_names(self, desk):
        desk.did("save_event", event=1, identifiers={"room": "r1"})
        for named in ({"event": "Weekly Meeting"}, {"event": 1},
                      {"event": "Weekly Meeting", "on": "2024-01-15"}):  # fmt: skip
            hidden = desk.did("hide_event", event=1)
            desk.did("show_event", **named)
            assert desk.undo(hidden["delivery"], 409)["error"].endswith("rests on it")

    def test_a_change_is_undone_and_done_again(self, desk):
        done = desk.did("save_event", event=1, points=4, identifiers={"room": "r1"})
        undone = desk.undo(done["delivery"])
        assert (undone["event"]["points"], undone["event"]["identifiers"]) == (0, [])
        again = desk.undo(undone["delivery"])
        assert again["event"]["points"] == 4
        assert again["event"]["identifiers"] == [{"kind": "room", "value": "r1"}]
        hidden = desk.did("hide_student", student="a3")
        shown = desk.undo(hidden["delivery"])
        assert desk.undo(shown["delivery"])["student"]["hidden"] is True
        made = desk.did("save_student", 201, identifiers={"card": "77"})
        gone = desk.undo(made["delivery"])
        assert desk.undo(gone["delivery"])["student"]["hidden"] is False


class TestMerging:
    def test_two_are_one(self, desk):
        attend(desk, "a1", "18:10")
        attend(desk, "a2", "18:05")
        done = desk.did("merge_students", keep="a1", merge="a2")
        assert done["student"]["attendances"] == 1
        assert {one["value"] for one in done["student"]["identifiers"]} == {
            "a1", "a2", "a1@example.edu", "a2@example.edu",
        }  # fmt: skip
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        (row,) = desk.rows(evidence="true")
        assert (row["id"], row["sightings"], len(row["evidence"])) == (1, 2, 2)
        assert desk.api("/api/events/1/").json["attendances"] == 1
        moved = desk.api("/api/students/2/")
        assert (moved.status, moved.headers["location"]) == (301, "/api/students/1/")
        assert desk.api("/api/attendances/2/").headers["location"] == "/api/attendances/1/"
        assert [one["id"] for one in desk.api("/api/students/").json["students"]] == [1, 3]
        split = desk.did("split_students", merge="id:2")
        assert split["student"]["id"] == 2
        assert desk.times() == [
            ("a1", 1, "18:10", "", "present"),
            ("a2", 1, "18:05", "", "present"),
        ]
        assert desk.api("/api/events/1/").json["attendances"] == 2

    def test_what_comes_meanwhile_is_of_whom_it_names(self, desk):
        desk.did("merge_students", keep="a1", merge="a2")
        answer = attend(desk, "a2", "18:05")
        assert answer.json["student"]["id"] == 1
        assert attend(desk, "a1", "18:01", 400).error == "Student already checked in to this event"
        assert desk.times() == [("a1", 1, "18:01", "", "present")]
        desk.did("split_students", merge="a2")
        assert desk.times() == [
            ("a2", 1, "18:05", "", "present"),
            ("a1", 1, "18:01", "", "present"),
        ]

    def test_what_the_desk_says_of_both_stays_with_the_kept_one(self, desk):
        desk.did("merge_students", keep="a1", merge="a2")
        attend(desk, "a2")
        desk.did("withdraw", student="a2", event=1)
        assert desk.rows() == []
        assert attend(desk, "a1", "18:30", 400).error == "Attendance was withdrawn at the desk"
        desk.did("split_students", merge="a2")
        assert desk.times() == [("a2", 1, "18:05", "", "present")]

    @pytest.mark.parametrize(
        ("data", "status", "error"),
        [
            ({"keep": "a1", "merge": "a1"}, 409, "Cannot merge a student with itself"),
            ({"keep": "a3", "merge": "a2"}, 409, "Already merged"),
            ({"keep": "a2", "merge": "a1"}, 409, "Cannot merge a student with itself"),
            ({"keep": "a1", "merge": "nobody"}, 404, "Student with identifier nobody not found"),
            ({"keep": "a1"}, 400, "keep and merge are required"),
        ],
    )
    def test_what_cannot_be_merged(self, desk, data, status, error):
        desk.did("merge_students", keep="a1", merge="a2")
        reply = desk("merge_students", **data)
        assert (reply.status, reply.error) == (status, error)
        assert desk("split_students", merge="a3").error == "Not merged"

    def test_who_was_merged_before_comes_along(self, desk):
        desk.did("merge_students", keep="a2", merge="a3")
        desk.did("merge_students", keep="a1", merge="a2")
        attend(desk, "a3")
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        desk.did("split_students", merge="a2")
        assert desk.times() == [("a2", 1, "18:05", "", "present")]

    def test_the_sightings_of_both_count_whatever_was_said_of_one(self, desk):
        attend(desk, "a1", "18:05")
        attend(desk, "a2", "18:10")
        desk.did("withdraw", student="a1", event=1)
        desk.did("check_in", student="a2", event=1, at="2024-01-15T18:30:00Z")
        desk.did("merge_students", keep="a1", merge="a2")
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        assert desk.rows()[0]["sightings"] == 3

    def test_whoever_follows_is_told_of_the_kept_ones_identifiers(self, desk):
        cursor = desk.api("/api/changes/", after="now").json["next"]
        desk.did("merge_students", keep="a1", merge="a2")
        told = desk.api("/api/changes/", after=cursor).json
        assert [(one["type"], one["student"]["id"]) for one in told["changes"]] == [
            ("student.merged", 2), ("student.saved", 1),
        ]  # fmt: skip
        assert len(told["changes"][1]["student"]["identifiers"]) == 4
        desk.calls.unified("student", "update", student_identifier="a2", email="x@example.edu")
        told = desk.api("/api/changes/", after=told["next"]).json
        assert [one["student"]["id"] for one in told["changes"]] == [2, 1]

    def test_one_whom_a_source_hid_meanwhile_is_split(self, desk):
        desk.did("merge_students", keep="a1", merge="a2")
        onetap = {"event": "profile.deleted", "timestamp": "2024-01-20T08:00:12Z"}
        created = {
            "event": "profile.created", "timestamp": "2024-01-19T08:00:12Z",
            "data": {"id": "p2", "name": "Ada Example", "email": "a2@example.edu"},
        }  # fmt: skip
        assert desk.client.post(ONETAP, created).status == 200
        assert desk.client.post(ONETAP, {**onetap, "data": {"id": "p2"}}).status == 200
        split = desk.did("split_students", merge="id:2")
        assert (split["student"]["id"], split["student"]["hidden"]) == (2, True)

    def test_a_merge_is_undone_by_a_split_and_done_again(self, desk):
        attend(desk, "a1", "18:10")
        attend(desk, "a2", "18:05")
        merged = desk.did("merge_students", keep="a1", merge="a2")
        undone = desk.undo(merged["delivery"])
        assert len(desk.rows()) == 2
        desk.undo(undone["delivery"])
        assert desk.times() == [("a1", 1, "18:05", "", "present")]

    def test_events_are_merged_too(self, desk):
        desk.calls.event("Weekly Meeting", "2024-01-15T18:30:00Z", points=5)
        attend(desk, "a1", "18:05")
        attend(desk, "a1", "18:40")
        attend(desk, "a2", "18:45")
        done = desk.did("merge_events", keep=1, merge=2)
        assert (done["event"]["attendances"], done["event"]["id"]) == (2, 1)
        assert desk.times() == [
            ("a1", 1, "18:05", "", "present"),
            ("a2", 1, "18:45", "", "present"),
        ]
        assert desk.api("/api/students/2/").json["points"] == 0
        assert [one["id"] for one in desk.api("/api/events/").json["events"]] == [1]
        assert desk.api("/api/events/2/attendances/").headers["location"] == (
            "/api/events/1/attendances/"
        )
        rows = desk.api("/api/reports/students/").json["students"]
        assert {one["student"]["id"]: one["points"] for one in rows} == {1: 0, 2: 0}
        desk.did("split_events", merge=2)
        assert desk.times() == [
            ("a1", 1, "18:05", "", "present"),
            ("a1", 2, "18:40", "", "present"),
            ("a2", 2, "18:45", "", "present"),
        ]


class TestReplay:
    def test_a_refused_delivery_means_somebody(self, desk):
        refused = attend(desk, "a9", status=404)
        delivery = refused.headers["x-delivery-id"]
        done = desk.did("replay", 201, delivery=delivery, student="a1")
        assert done["attendance"]["student"]["id"] == 1
        assert done["attendance"]["evidence"][0]["delivery"] == delivery
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        desk.undo(done["delivery"])
        assert desk.rows() == []
        # As meaning somebody else.
        desk.did("replay", 201, delivery=delivery, student="a2")
        assert desk.times() == [("a2", 1, "18:05", "", "present")]
        assert desk("replay", delivery=delivery).status == 409

    def test_to_another_event_and_done_again(self, desk):
        refused = desk.calls.attend("a1", "Weakly", check_in_time="2024-01-15T18:05:00Z")
        delivery = refused.headers["x-delivery-id"]
        done = desk.did("replay", 201, delivery=delivery, event="Weekly Meeting", on="2024-01-15")
        undone = desk.undo(done["delivery"])
        desk.undo(undone["delivery"])
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        for data, error in (
            ({"delivery": "0" * 28}, f"Delivery {'0' * 28} not found"),
            ({"delivery": delivery, "student": "x"}, "Student with identifier x not found"),
            ({"delivery": delivery, "event": "x"}, "Event with identifier x not found"),
            ({"delivery": done["delivery"]}, None),
        ):
            reply = desk("replay", **data)
            assert reply.status in (404, 409)
            assert error in (None, reply.error)

    def test_what_is_refused_again_changes_nothing(self, desk):
        refused = desk.calls.attend("a9", "Nothing")
        delivery = refused.headers["x-delivery-id"]
        reply = desk("replay", delivery=delivery, student="a1")
        assert reply.status == 409
        assert reply.error == f"Delivery {delivery} is refused again"
        assert desk.api(f"/api/deliveries/{delivery}").json["attempts"][1:] == []


def test_a_doubt_is_settled_and_told_again(desk):
    (doubt, *_) = desk.api("/api/doubts/", kind="twins").json["doubts"]
    done = desk.did("settle", doubt=doubt["id"])
    told = [one["id"] for one in desk.api("/api/doubts/", kind="twins").json["doubts"]]
    assert doubt["id"] not in told
    assert desk.did("settle", doubt=doubt["id"])["success"]
    undone = desk.undo(done["delivery"])
    desk.undo(desk.undo(undone["delivery"])["delivery"])
    assert doubt in desk.api("/api/doubts/", kind="twins").json["doubts"]


def test_who_may(desk, hub):
    payload = {"action": "check_in", "data": {"student": "a1", "event": 1}}
    assert desk.client.post(DESK, payload).error == "Missing token"
    assert desk("dance").error == "Unknown action: dance"
    assert desk.client.post(DESK, {}, headers=AUTH).error == "action is required"


def test_a_key_holds(desk):
    attend(desk)
    first = desk("withdraw", attendance=1, headers={"Idempotency-Key": "k1"})
    again = desk("withdraw", attendance=1, headers={"Idempotency-Key": "k1"})
    assert again.body == first.body
    assert again.headers["x-delivery-replayed"] == "true"
