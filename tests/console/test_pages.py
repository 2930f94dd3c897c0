"""What officers do, as a browser without JavaScript does it."""

import json
import re
from datetime import datetime

import pytest
from console.visitor import TOKEN, Visitor
from hubtest import Calls, Client

from hub.config.settings import Settings
from hub.hub import Hub


def ids(rows, entity):
    return [row["id"] for row in rows(entity)]


class TestTonight:
    def test_it_counts_shows_the_newest_and_says_what_waits(self, visitor, evening):
        shown = visitor.get("/console/")
        assert "herenow2came2left0" in shown.text.replace(" ", "")
        assert "Grace Example" in shown.text
        assert "2 refused or waiting today" in shown.text
        assert "/console/events/1" in shown.links

    def test_another_day(self, visitor, evening):
        shown = visitor.get("/console/?day=2020-02-29")
        assert "Saturday, 29 February 2020" in shown.text
        assert "No event begins on this day" in shown.text
        assert visitor.get("/console/?day=2020-02-30").status == 400

    def test_an_evening_does_not_end_at_midnight(self, make_hub, monkeypatch):
        hub = make_hub(admin_token=TOKEN)
        calls = Calls(Client(hub))
        calls.event("Long Night", "2026-11-12T22:00:00Z")
        calls.event("Yesterday", "2026-11-12T08:00:00Z")
        from hub.console.views import tonight

        monkeypatch.setattr(tonight, "utc_now", lambda: datetime(2026, 11, 13, 1, 30))
        text = Visitor(hub).get("/console/").text
        assert "Friday, 13 November" in text
        assert "Long Night" in text
        assert "Yesterday" not in text
        assert "Long Night" not in Visitor(hub).get("/console/?day=2026-11-13").text

    def test_who_was_taken_out_is_no_arrival(self, visitor, evening):
        assert visitor.get("/console/").html.count("<rect") == 1
        for number in ("1", "2"):
            fields = {"attendance": number, "reason": "was not there"}
            visitor.post("/console/desk/withdraw", fields)
        assert "<rect" not in visitor.get("/console/").html


class TestEvent:
    def test_the_sheet_and_its_filters(self, visitor, evening):
        shown = visitor.get("/console/events/1")
        assert {"Ada Example", "Grace Example"} <= set(re.findall(r"\w+ Example", shown.text))
        assert "Grace" not in visitor.get("/console/events/1?q=ada").text
        assert "Nobody is found" in visitor.get("/console/events/1?state=left").text
        assert visitor.get("/console/events/99").status == 404
        assert visitor.get("/console/events/x").status == 404

    def test_who_is_missing_is_put_in(self, visitor, evening):
        shown = visitor.get("/console/events/1/absent")
        assert "1 student is not known" in shown.text
        form = shown.form("/console/desk/check_in")
        shown = visitor.post("/console/desk/check_in", form)
        assert "Attendance recorded successfully: Edsger Example" in shown.notice
        assert "0 students are not known" in shown.text

    def test_somebody_is_looked_for_and_put_in_at_a_time(self, visitor, evening, rows):
        shown = visitor.get("/console/events/1/add?q=edsg")
        form = shown.form("/console/desk/check_in")
        visitor.post("/console/desk/check_in", {**form, "at": "2026-11-12T18:30"})
        assert rows("Attendance")[-1]["checked_in_at"].isoformat() == "2026-11-12T18:30:00"
        assert "Make the student" in visitor.get("/console/events/1/add?q=nobody").text

    def test_whoever_is_here_is_not_put_in_again(self, visitor, evening):
        shown = visitor.get("/console/events/1/add?q=ada")
        assert "is here already" in shown.text
        assert "/console/attendances/1" in shown.links

    def test_names_come_before_identifiers_and_domains_do_not_count(self, visitor, evening):
        evening.unified(
            "student", student_identifier="ada7", email="t@example.edu", first_name="Tim",
            last_name="Turing",
        )  # fmt: skip
        shown = visitor.get("/console/events/1/add?q=ada").text
        assert shown.index("Ada Example") < shown.index("Tim Turing")
        assert "Nobody is found" in visitor.get("/console/events/1/add?q=edu").text
        assert "Tim Turing" in visitor.get("/console/events/1/add?q=t@ex").text

    def test_what_was_typed_of_a_new_event_stays_after_a_refusal(self, visitor, evening):
        fields = {"name": "", "starts_at": "2026-07-12T18:00", "points": "3"}
        form = visitor.get("/console/events/new").form("/console/events/save")
        shown = visitor.post("/console/events/save", {**form, **fields})
        assert 'value="2026-07-12T18:00"' in shown.html

    def test_taking_out_needs_a_reason_and_is_undone(self, visitor, evening, rows):
        shown = visitor.get("/console/attendances/1")
        form = shown.form("/console/desk/withdraw")
        refused = visitor.post("/console/desk/withdraw", {**form, "reason": " "})
        assert refused.notice.startswith("A reason is required")
        shown = visitor.post("/console/desk/withdraw", {**form, "reason": "was not there"})
        assert shown.path == "/console/events/1"
        assert "Attendance withdrawn successfully: Ada Example" in shown.notice
        assert "was not there" in visitor.get("/console/attendances/1").text
        visitor.post("/console/desk/undo", shown.form("/console/desk/undo"))
        assert rows("Attendance")[0]["state"] == 0

    def test_what_is_said_is_said_once(self, visitor, evening):
        shown = visitor.post("/console/desk/withdraw", {"attendance": "1", "reason": "x"})
        assert shown.notice
        assert visitor.get("/console/").notice == ""

    def test_a_notice_of_somebody_else_is_not_said(self, visitor, evening):
        visitor.post("/console/desk/withdraw", {"attendance": "1", "reason": "x"})
        visitor.cookies["hub-said"] = "WyJQYXkgaGVyZSIsICIiLCBmYWxzZSwgbnVsbF0=.abc"
        assert visitor.get("/console/").notice == ""

    def test_only_the_time_that_was_changed_is_set(self, visitor, evening, rows):
        form = visitor.get("/console/attendances/1").form("/console/desk/correct")
        same = visitor.post("/console/desk/correct", {**form, "reason": "x"})
        assert same.notice.startswith("Both times are as they were")
        out = {"checked_out_at": "2030-01-01T10:00", "reason": "said so"}
        came = rows("Attendance")[0]["checked_in_at"]
        visitor.post("/console/desk/correct", {**form, **out})
        first = rows("Attendance")[0]
        assert (first["checked_in_at"], first["checked_out_at"].year) == (came, 2030)
        form = visitor.get("/console/attendances/1").form("/console/desk/correct")
        visitor.post("/console/desk/correct", {**form, "checked_out_at": "", "reason": "no"})
        assert rows("Attendance")[0]["checked_out_at"] is None

    def test_what_was_typed_stays_after_a_refusal(self, visitor, evening):
        form = visitor.get("/console/attendances/1").form("/console/desk/correct")
        wrong = {"checked_out_at": "2020-01-01T10:00", "reason": "said so"}
        shown = visitor.post("/console/desk/correct", {**form, **wrong})
        assert shown.notice == "The check-out is before the check-in"
        assert shown.status == 409
        assert shown.form("/console/desk/correct") == {**form, **wrong}
        form = visitor.get("/console/events/1/edit").form("/console/events/save", points="0")
        wrong = {"name": "Lab", "starts_at": "2026-07-12T18:00", "points": "-3"}
        shown = visitor.post("/console/events/save", {**form, **wrong})
        assert "Invalid points" in shown.notice
        assert shown.form("/console/events/save", points="-3") == {**form, **wrong}
        form = visitor.get("/console/students/3/edit").form("/console/students/save", kind="card")
        wrong = {"identifier.a_number": "a1", "kind": "email", "value": "e@example.edu"}
        shown = visitor.post("/console/students/save", {**form, **wrong})
        assert shown.status == 409
        assert shown.form("/console/students/save", kind="email") == {**form, **wrong}

    def test_an_event_is_made_changed_hidden_merged_and_split(self, visitor, evening):
        fields = {"name": "Lab", "starts_at": "2026-11-12T18:00", "points": "3"}
        form = visitor.get("/console/events/new").form("/console/events/save")
        shown = visitor.post("/console/events/save", {**form, **fields})
        assert shown.path == "/console/events/2"
        assert "3 points" in shown.text
        form = visitor.get("/console/events/2/edit").form("/console/events/save", points="3")
        assert "4 points" in visitor.post("/console/events/save", {**form, "points": "4"}).text
        bad = visitor.post("/console/events/save", {**form, "points": "many"})
        assert bad.notice.startswith("Invalid points")
        form = visitor.get("/console/events/2/edit").form("/console/desk/hide_event")
        assert (
            "Event hidden successfully: Lab"
            in visitor.post("/console/desk/hide_event", form).notice
        )
        assert "Lab" not in visitor.get("/console/events").text
        assert "Lab" in visitor.get("/console/events?state=hidden").text
        visitor.post("/console/desk/show_event", {"event": "2"})
        shown = visitor.get("/console/events/merge?keep=1&merge=2")
        assert "Together 2" in shown.text
        shown = visitor.post("/console/desk/merge_events", shown.form("/console/desk/merge_events"))
        assert shown.path == "/console/events/1"
        assert visitor.get("/console/events/2").path == "/console/events/1"
        form = visitor.get("/console/events/1/edit").form("/console/desk/split_events")
        assert "split successfully" in visitor.post("/console/desk/split_events", form).notice

    def test_files_of_the_api_are_given_to_who_is_logged_in(self, visitor, evening):
        reply = visitor.raw("GET", "/console/get/api/events/1/attendances.csv")
        assert reply.headers["content-type"].startswith("text/csv")
        assert reply.body.count(b"\r\n") == 3
        assert reply.headers["cache-control"] == "no-store"
        reply = visitor.raw("GET", "/console/get/api/events/1/attendances.xlsx")
        assert reply.body[:2] == b"PK"
        assert visitor.get("/console/get/api/nothing/").status == 404
        reply = visitor.raw("GET", "/console/get/api/students/", query="limit=x")
        assert (reply.status, "limit" in reply.error) == (400, True)


class TestStudent:
    def test_the_page_tells_of_them(self, visitor, evening):
        shown = visitor.get("/console/students/1")
        assert "came to 1 of 1 (100 %)" in shown.text
        assert "ada@example.edu" in shown.text

    def test_search(self, visitor, evening):
        assert "1 student " in visitor.get("/console/students?q=GRACE").text
        assert "Nobody is found" in visitor.get("/console/students?q=zz").text

    def test_one_is_made_and_changed(self, visitor, evening, rows):
        form = visitor.get("/console/students/new").form("/console/students/save")
        made = {"first_name": "Hedy", "identifier.card": "04 A2 B9"}
        shown = visitor.post("/console/students/save", {**form, **made})
        assert shown.path == "/console/students/4"
        nothing = visitor.post("/console/students/save", {"first_name": " "})
        assert (nothing.status, "There is nothing to save" in nothing.text) == (400, True)
        again = {"first_name": "Hedy", "identifier.a_number": "a1"}
        taken = visitor.post("/console/students/save", again)
        assert taken.form("/console/students/save")["first_name"] == "Hedy"
        form = visitor.get("/console/students/4/edit").form("/console/students/save", kind="card")
        visitor.post("/console/students/save", {**form, "kind": "email", "value": "h@example.edu"})
        assert "h@example.edu" in visitor.get("/console/students/4").text
        form = visitor.get("/console/students/4/edit").form("/console/students/save", kind="card")
        visitor.post("/console/students/save", {**form, "identifier.card": ""})
        assert "04 A2 B9" not in visitor.get("/console/students/4").text
        taken = visitor.post(
            "/console/students/save",
            {"student": "id:4", "kind": "a_number", "value": "A1", "back": "/console/students/4"},
        )
        assert "A-number" in taken.notice
        assert rows.count("Student") == 4

    def test_two_are_looked_at_merged_and_split(self, visitor, evening):
        shown = visitor.get("/console/students/merge?keep=1&merge=2")
        assert "Together 1 event; at 1 of them both are" in shown.text
        form = shown.form("/console/desk/merge_students")
        shown = visitor.post("/console/desk/merge_students", form)
        assert "grace@example.edu" in shown.text
        assert visitor.get("/console/students/2").path == "/console/students/1"
        shown = visitor.get("/console/students/split?merge=2")
        assert "a1" in shown.text
        assert shown.text.count("grace@example.edu") == 1
        form = shown.form("/console/desk/split_students")
        assert "split" in visitor.post("/console/desk/split_students", form).notice
        assert visitor.get("/console/students/split?merge=2").status == 404
        assert visitor.get("/console/students/split").status == 400
        assert visitor.get("/console/students/merge?keep=1&merge=99").status == 404

    def test_forgetting_wants_the_name(self, visitor, evening, rows):
        form = visitor.get("/console/students/1").form("/console/students/1/forget")
        wrong = visitor.post("/console/students/1/forget", {**form, "name": "Ada"})
        assert wrong.notice.startswith("The name is another one")
        shown = visitor.post("/console/students/1/forget", {**form, "name": "Ada Example"})
        assert "The student is forgotten" in shown.notice
        assert "Ada" not in shown.text
        assert visitor.get("/console/students/1").status == 404

    def test_whoever_was_forgotten_counts_and_has_no_page(self, visitor, evening):
        visitor.post("/console/students/1/forget", {"name": "Ada Example"})
        shown = visitor.get("/console/events/1")
        assert "2 came" in shown.text
        assert "Ada" not in shown.text
        shown = visitor.get(next(one for one in shown.links if one == "/console/students/1"))
        assert shown.status == 404
        assert "Whoever was forgotten has no page" in shown.text

    def test_their_data_as_a_file(self, visitor, evening):
        reply = visitor.raw("GET", "/console/get/api/students/1/everything.json")
        assert reply.json["student"]["name"] == "Ada Example"
        assert "attachment" in reply.headers["content-disposition"]


class TestWaiting:
    def test_causes_are_told_with_how_many_and_from_where(self, visitor, evening):
        evening.attend("a9")
        shown = visitor.get("/console/waiting")
        assert "A-number a9" in shown.text
        assert "2 deliveries: 2 from unified" in shown.text
        assert "No event is named Weekly Meetting" in shown.text

    def test_a_card_is_given_to_somebody_and_all_that_waited_is_applied(
        self, visitor, evening, rows
    ):
        for number in range(25):
            evening.event(f"Lab {number}")
            evening.attend("a9", f"Lab {number}")
        shown = visitor.get("/console/waiting/cause?waiting_for=student+a_number%3Aa9&q=zz")
        assert "Nobody is found" in shown.text
        visitor.post("/console/students/save", {"first_name": "Zoe", "identifier.card": "z1"})
        shown = visitor.get("/console/waiting/cause?waiting_for=student+a_number%3Aa9&q=zoe")
        form = next(
            one["fields"]
            for one in shown.forms
            if "save_student" in one["fields"].get("payload", "")
        )
        before = rows.count("Attendance")
        preview = visitor.post("/console/waiting/preview", form)
        assert "Nothing is changed yet. All 26 deliveries would be applied" in preview.text
        assert "Zoe" in preview.text
        assert rows.count("Attendance") == before
        shown = visitor.post("/console/waiting/apply", preview.form("/console/waiting/apply"))
        assert "26 of 26 deliveries are applied" in shown.notice
        assert rows.count("Attendance") == before + 26
        assert "a9" not in shown.text

    def test_a_student_is_made(self, visitor, evening, rows):
        shown = visitor.get("/console/waiting/cause?waiting_for=student+a_number%3Aa9")
        form = {**shown.form("/console/waiting/preview", what="student"), "first_name": "Zoe"}
        preview = visitor.post("/console/waiting/preview", form)
        assert rows.count("Student") == 3
        visitor.post("/console/waiting/apply", preview.form("/console/waiting/apply"))
        assert (rows.count("Student"), rows.count("Attendance")) == (4, 3)

    @pytest.mark.parametrize("with_alias", [True, False])
    def test_an_event_is_meant(self, visitor, evening, rows, with_alias):
        cause = "/console/waiting/cause?waiting_for=event+name%3AWeekly+Meetting"
        shown = visitor.get(cause)
        form = next(
            one["fields"]
            for one in shown.forms
            if ("payload" if with_alias else "event") in one["fields"]
        )
        preview = visitor.post("/console/waiting/preview", form)
        assert "The delivery would be applied" in preview.text
        visitor.post("/console/waiting/apply", preview.form("/console/waiting/apply"))
        assert rows.count("Attendance") == 3
        visitor.post("/console/students/save", {"first_name": "Z", "identifier.a_number": "a8"})
        assert evening.attend("a8", "Weekly Meetting").status == (201 if with_alias else 404)

    def test_an_event_is_made(self, visitor, evening, rows):
        cause = "/console/waiting/cause?waiting_for=event+name%3AWeekly+Meetting"
        form = visitor.get(cause).form("/console/waiting/preview", what="event")
        preview = visitor.post("/console/waiting/preview", form)
        visitor.post("/console/waiting/apply", preview.form("/console/waiting/apply"))
        assert [row["name"] for row in rows("Event")] == ["Weekly Meeting", "Weekly Meetting"]

    def test_what_the_desk_refuses_is_said_and_changes_nothing(self, visitor, evening, rows):
        shown = visitor.get("/console/waiting/cause?waiting_for=student+a_number%3Aa9")
        form = {
            **shown.form("/console/waiting/preview", what="student"),
            "email": "ada@example.edu",
        }
        refused = visitor.post("/console/waiting/preview", form)
        assert refused.notice
        assert rows.count("Student") == 3

    def test_what_was_mended_meanwhile_is_no_cause_any_more(self, visitor, evening):
        cause = "/console/waiting/cause?waiting_for=student+a_number%3Aa8"
        assert visitor.get(cause).status == 404
        assert visitor.get("/console/waiting/cause").status == 404

    def test_others_are_attempted_again(self, visitor, evening):
        evening.client.post("/api/webhook/unified/", {"type": "student"})
        shown = visitor.get("/console/waiting")
        link = next(one for one in shown.links if "error=" in one)
        preview = visitor.post(
            "/console/waiting/preview", visitor.get(link).form("/console/waiting/preview")
        )
        assert "would be refused again" in preview.text


class TestDelivery:
    def test_headers_body_operations_attempts(self, visitor, evening, rows):
        delivery = rows("Delivery")[-1]["id"]
        shown = visitor.get(f"/console/deliveries/{delivery}")
        for part in ("content-type", "CheckIn", "Weekly Meetting", "Attempt 1", "refused"):
            assert part in shown.text
        trial = visitor.get(f"/console/deliveries/{delivery}?dry_run=1")
        assert "It would be refused" in trial.text
        assert rows.count("Attempt") == 0
        evening.event("Weekly Meetting")
        form = shown.form(f"/console/deliveries/{delivery}/replay")
        shown = visitor.post(f"/console/deliveries/{delivery}/replay", form)
        assert "Attempt 2: applied" in shown.notice
        assert "<ins>" in shown.html
        assert "<del>" in shown.html
        again = visitor.post(f"/console/deliveries/{delivery}/replay", form)
        assert "was applied; there is nothing to replay" in again.notice

    def test_the_list_and_its_filters(self, visitor, evening):
        assert visitor.get("/console/deliveries?status=applied").text.count("applied") > 5
        assert "No delivery is found" in visitor.get("/console/deliveries?source=gate").text
        assert visitor.get("/console/deliveries?status=x").status == 400
        assert visitor.get("/console/deliveries/nothing").status == 404


def test_doubts_are_mended(visitor, evening):
    evening.student("a7", email="x@example.edu", first_name="Ada")
    shown = visitor.get("/console/doubts")
    assert "Two students have one name Ada Example a7 and Ada Example a1" in shown.text
    assert "/console/students/merge?keep=1&merge=4" in shown.links
    shown = visitor.post("/console/desk/mend", shown.form("/console/desk/mend"))
    assert "Doubt settled" in shown.notice
    assert "There is none" in shown.text
    broken = visitor.post("/console/desk/mend", {"payload": "{", "back": "/console/doubts"})
    assert broken.notice.startswith("The form cannot be read")


ROSTER = b"A-Number,First Name,Last Name\na1,Ada,Lovelace\na20,Hedy,Example\n,No,Body\n"


class TestImports:
    def test_a_file_is_looked_at_applied_and_undone(self, visitor, evening, rows):
        form = visitor.get("/console/imports").form("/console/imports/look")
        shown = visitor.upload("/console/imports/look", form, "roster.csv", ROSTER)
        assert "Nothing is changed yet" in shown.text
        assert "A-number" in shown.text
        assert "No, Body" in shown.text, "the row that is refused"
        assert rows.count("Student") == 3
        apply = shown.form("/console/imports/apply")
        shown = visitor.post("/console/imports/apply", apply)
        assert "roster.csv is imported" in shown.text
        assert rows.count("Student") == 4
        gone = visitor.post("/console/imports/apply", apply)
        assert gone.notice.startswith("The file is here no more")
        shown = visitor.get("/console/imports")
        shown = visitor.post("/console/imports/undo", shown.form("/console/imports/undo"))
        assert "Undone successfully" in shown.notice
        assert "undone" in visitor.get("/console/imports").text

    def test_nobody_applies_the_file_of_another(self, hub, visitor, evening):
        from hub.jobs import tokens

        form = visitor.get("/console/imports").form("/console/imports/look")
        shown = visitor.upload("/console/imports/look", form, "roster.csv", ROSTER)
        other = Visitor(hub, tokens.create(hub.store, "other", ["desk"], [], None))
        answer = other.post("/console/imports/apply", shown.form("/console/imports/apply"))
        assert answer.notice.startswith("The file is here no more")

    def test_columns_that_are_not_taken_are_named(self, visitor):
        form = visitor.get("/console/imports").form("/console/imports/look")
        file = b"A-Number,Shoe size,First Name\na1,39,Ada\n"
        shown = visitor.upload("/console/imports/look", form, "roster.csv", file)
        assert "Not taken: Shoe size" in shown.text

    def test_what_cannot_be_read_is_said(self, visitor):
        form = visitor.get("/console/imports").form("/console/imports/look")
        shown = visitor.upload("/console/imports/look", form, "x.csv", b"\x00\x01")
        assert shown.path == "/console/imports"
        assert shown.notice
        assert visitor.upload("/console/imports/look", form, "x.csv", b"").notice
        wrong = {**form, "kind": "nonsense"}
        assert visitor.upload("/console/imports/look", wrong, "x.csv", ROSTER).notice

    def test_a_vendors_export_beside_the_record(self, visitor, evening, rows):
        form = visitor.get("/console/imports").form("/console/imports/look")
        export = b"A-Number,Check In Time\na3,2026-11-12T18:00:00Z\na1,2026-11-12T18:01:00Z\na9,\n"
        fields = {**form, "kind": "reconcile", "event": "1"}
        shown = visitor.upload("/console/imports/look", fields, "vendor.csv", export)
        assert "In the file alone (1)" in shown.text
        assert "In the record alone (1)" in shown.text
        assert "At different times (1)" in shown.text
        form = shown.form("/console/imports/reconcile")
        grace = rows("Attendance")[1]["id"]
        shown = visitor.post("/console/imports/reconcile", {**form, "withdraw": str(grace)})
        assert "2 attendances are put right" in shown.notice
        assert {row["state"] for row in rows("Attendance")} == {0, 2}


class TestReports:
    def test_weeks_and_students(self, visitor, evening):
        shown = visitor.get("/console/reports")
        assert "<svg" in shown.html
        assert visitor.get("/console/reports?by=event").text.count("Weekly Meeting") >= 1
        assert visitor.get("/console/reports?by=nonsense").status == 400
        shown = visitor.get("/console/reports/students?at_least=0&order=attended")
        assert "3 students, of 1 event that has begun" in shown.text


class TestSources:
    def test_each_has_its_pulse_and_a_command(self, visitor, evening):
        shown = visitor.get("/console/sources")
        for name in ("unified", "secure", "desk", "console"):
            assert f'id="s-{name}"' in shown.html
        assert "openssl dgst -sha256 -hmac" in shown.text
        assert "last delivery just now" in shown.text
        assert "silent for longer" not in shown.text


class TestSetup:
    def test_the_reference(self, visitor):
        shown = visitor.get("/console/reference")
        for part in (
            "GET /api/events/{event}/attendances/",
            "List who came to an event",
            "POST /api/webhook/unified/",
            "UnifiedStudentCreatePayload",
            "Scope: read",
            'id="Attendance"',
        ):
            assert part in shown.html
        document = visitor.client.get("/api/openapi.json").json
        for path in document["paths"]:
            assert f" {path}</code>" in shown.html

    def test_settings_plugins_tokens(self, visitor):
        shown = visitor.get("/console/setup")
        for part in ("time_zone", "unified", "/console/reference", "not shown"):
            assert part in shown.html
        assert TOKEN not in shown.html

    def test_a_token_is_made_shown_once_and_revoked(self, hub, visitor):
        form = visitor.get("/console/setup").form("/console/setup/tokens", expires="")
        made = {"name": "gate", "scope": ["post", "counts"], "source": "console", "expires": "30d"}
        shown = visitor.post("/console/setup/tokens", {**form, **made})
        token = re.search(r"hub_[\w-]{43}", shown.html)[0]
        assert Visitor(hub, token).cookies
        shown = visitor.get("/console/setup")
        assert token not in shown.html
        assert "counts, post to console" in shown.text
        again = visitor.post("/console/setup/tokens", {**form, **made})
        assert again.notice.startswith("There is a token named gate")
        none = visitor.post("/console/setup/tokens", {**form, "name": "x"})
        assert none.notice.startswith("A token needs a scope")
        visitor.post("/console/setup/tokens/revoke", shown.form("/console/setup/tokens/revoke"))
        assert "gate" not in visitor.get("/console/setup").text.partition("Settings")[0]

    def test_captures(self, hub, visitor):
        from hub.domain.tokens import digest
        from hub.store import captures

        with hub.store.writing() as tx:
            captures.open_(tx, digest("secret"), datetime(2026, 1, 1), datetime(2999, 1, 1))
        visitor.client.post("/api/capture/secret/", {"<b>": "x"})
        assert "open until" in visitor.get("/console/setup").text
        shown = visitor.get("/console/setup/captures/1")
        assert "&lt;b&gt;" in shown.html
        assert visitor.get("/console/setup/captures/9").status == 404


class TestDoor:
    @pytest.mark.parametrize(
        ("code", "colour", "said"),
        [
            ("a3", "green", "Edsger Example"),
            (" A3 ", "green", "Edsger Example"),
            ("edsger@example.edu", "green", "Edsger Example"),
            ("a_number:a3", "green", "Edsger Example"),
            ("a1", "amber", "Is here already"),
            ("04DEADBE", "red", "It is noted, and waits"),
            ("", "red", "Nothing was read"),
            ("a77", "red", "It is noted"),
            ("id:1", "red", "It is noted"),
            ("Ada Example", "red", "nothing is noted"),
        ],
    )
    def test_a_code_goes_in_and_a_name_comes_out(self, visitor, evening, code, colour, said):
        shown = visitor.post("/console/door/1", {"code": code})
        assert f'id="result" class="{colour}"' in shown.html
        assert said in shown.text

    def test_a_number_may_be_a_card(self, visitor, evening, rows):
        visitor.post(
            "/console/students/save", {"student": "id:3", "kind": "card", "value": "04:A2"}
        )
        assert "Edsger" in visitor.post("/console/door/1", {"code": "04a2"}).text

    def test_what_is_unknown_waits_for_a_card_or_an_a_number(self, visitor, evening, rows):
        for code, kind in (("04 DE AD BE", "card"), ("B0001", "a_number"), ("12345678", "card")):
            visitor.post("/console/door/1", {"code": code})
            assert rows("Delivery")[-1]["waiting"].startswith(f"student {kind}:")

    @pytest.mark.parametrize("again", ["3600", "3607", "7200"])
    def test_what_comes_late_has_its_own_time_and_counts_once(self, visitor, evening, rows, again):
        fields = {"code": "a3", "json": "1", "key": "k1"}
        for age in ("3600", again):
            fields["age"] = age
            reply = visitor.raw(
                "POST",
                "/console/door/1",
                "&".join(f"{name}={one}" for name, one in fields.items()).encode(),
                "application/x-www-form-urlencoded",
            )
            assert reply.json["colour"] == "green"
        came = rows("Attendance")[-1]["checked_in_at"]
        received = rows("Delivery")[-1]["received_at"]
        assert 3500 < (received - came).total_seconds() < 3700
        assert rows.count("Attendance") == 3

    def test_what_was_taken_and_not_answered_is_sent_again_with_its_age(
        self, visitor, evening, rows
    ):
        for age in ("0", "30"):
            shown = visitor.post("/console/door/1", {"code": "a3", "key": "k2", "age": age})
            assert "Edsger ExampleWelcome" in shown.text
        assert rows.count("Attendance") == 3
        for age in ("0", "30"):
            fields = {"code": "a3", "key": "k3", "age": age, "leaves": "1"}
            shown = visitor.post("/console/door/1", fields)
            assert "Edsger ExampleGood-bye" in shown.text

    def test_the_hubs_own_id_is_no_code(self, hub, visitor, evening):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        payload = {"student": "id:1", "event": "1"}
        reply = Client(hub).post("/api/webhook/console/", payload, headers=headers)
        assert reply.status == 400
        assert "the kind id is the hub's own" in reply.json["error"]

    def test_they_leave(self, visitor, evening, rows):
        shown = visitor.post("/console/door/1", {"code": "a1", "leaves": "1"})
        assert "Good-bye" in shown.text
        assert rows("Attendance")[0]["checked_out_at"] is not None

    @pytest.mark.parametrize(
        ("codes", "said"),
        [(("a1", "A1"), "Ada ExampleHas left already"), (("a3",), "Edsger ExampleHas not come")],
    )
    def test_who_is_not_here_does_not_leave(self, visitor, evening, rows, codes, said):
        for code in codes:
            shown = visitor.post("/console/door/1", {"code": code, "leaves": "1"})
        assert 'id="result" class="amber"' in shown.html
        assert said in shown.text
        assert rows("Delivery")[-1]["source"] == "console"

    def test_the_doors_of_the_week(self, visitor, evening):
        assert "/console/door/1" in visitor.get("/console/door").links
        assert visitor.get("/console/door/99").status == 404

    def test_a_qr_code_of_the_plugin_is_read(self, url, monkeypatch):
        from datetime import UTC, timedelta

        from hub_plugins.qr import issue

        key = "k" * 32
        monkeypatch.setenv("HUB_PLUGIN_QR_KEY", key)
        from hub.config.load import load

        settings = load({"enable": ("qr",), "database": url}).settings
        hub = Hub(Settings(database=url, enable=("qr",), admin_token=TOKEN, plugin=settings.plugin))
        try:
            calls = Calls(Client(hub))
            calls.student("a1")
            calls.event()
            visitor = Visitor(hub)
            now = datetime.now(UTC)
            good = issue(key, "a1", None, now, timedelta(minutes=5))
            assert "Ada Example" in visitor.post("/console/door/1", {"code": good}).text
            old = issue(key, "a1", None, now - timedelta(hours=1), timedelta(minutes=5))
            assert "out of date" in visitor.post("/console/door/1", {"code": old}).text
            other = issue("x" * 32, "a1", None, now, timedelta(minutes=5))
            assert "Invalid token" in visitor.post("/console/door/1", {"code": other}).text
            nobody = issue(key, None, "1", now, timedelta(minutes=5))
            assert "names no student" in visitor.post("/console/door/1", {"code": nobody}).text
        finally:
            hub.close()


class TestPictures:
    @pytest.mark.parametrize("form", ["svg", "png"])
    def test_a_person_and_an_event_have_one(self, visitor, evening, form):
        for path in (f"students/1.{form}", f"events/1.{form}"):
            reply = visitor.raw("GET", f"/console/pictures/{path}")
            assert (
                reply.headers["content-type"] == {"svg": "image/svg+xml", "png": "image/png"}[form]
            )
            assert reply.body.startswith({"svg": b"<?xml", "png": b"\x89PNG"}[form])

    def test_others_are_404(self, visitor, evening):
        for path in ("students/1.gif", "students/99.svg", "students/x.svg"):
            assert visitor.get(f"/console/pictures/{path}").status == 404

    def test_it_says_what_names_the_person(self):
        from hub.console.inside import Said
        from hub.console.views.pictures import text_of

        nobody = {"identifier": None, "email": None, "identifiers": []}
        assert text_of({**nobody, "identifier": "a1", "email": "e"}) == "a1"
        assert text_of({**nobody, "email": "e@example.edu"}) == "e@example.edu"
        card = [{"kind": "card", "value": "04A2"}]
        assert text_of({**nobody, "identifiers": card}) == "card:04A2"
        with pytest.raises(Said, match="has no identifier"):
            text_of(nobody)

    def test_a_sheet_has_all(self, visitor, evening):
        html = visitor.get("/console/students/codes").html
        assert html.count("/console/pictures/students/") == 3


class TestPages:
    """Pages that plugins add."""

    def test_the_cards_plugin_tells_who_has_none(self, make_hub):
        hub = make_hub(enable=("cards",), admin_token=TOKEN)
        calls = Calls(Client(hub))
        calls.student("a1")
        calls.event()
        calls.attend()
        visitor = Visitor(hub)
        assert "/console/p/cards/missing" in visitor.get("/console/").links
        assert "Ada Example" in visitor.get("/console/p/cards/missing").text
        visitor.post("/console/students/save", {"student": "id:1", "kind": "card", "value": "c1"})
        assert "Ada Example" not in visitor.get("/console/p/cards/missing").text

    def test_html_is_escaped_and_a_fault_is_named(self, make_hub, tmp_path, caplog):
        (tmp_path / "own.py").write_text(
            "from hub import Html, Page, hookimpl\n"
            "@hookimpl\n"
            "def register_pages():\n"
            "    yield Page(name='a', title='<A>', show=lambda view: Html('<p>{{ x }}</p>', "
            "{'x': '<script>' + view.query.get('q', '')}))\n"
            "    yield Page(name='b', title='B', show=lambda view: 1 / 0)\n"
            "    yield Page(name='c', title='C', show=lambda view: 'text')\n"
        )
        visitor = Visitor(make_hub(plugins=str(tmp_path), admin_token=TOKEN))
        shown = visitor.get("/console/p/own/a?q=%22%3E")
        assert "<p>&lt;script&gt;&#34;&gt;</p>" in shown.html
        assert "&lt;A&gt;" in shown.html
        for name in ("b", "c"):
            shown = visitor.get(f"/console/p/own/{name}")
            assert (shown.status, "plugin own failed" in shown.text) == (500, True)
        assert "ZeroDivisionError" in caplog.text

    def test_two_of_one_name_disable_the_plugin(self, make_hub, tmp_path):
        (tmp_path / "own.py").write_text(
            "from hub import Html, Page, hookimpl\n"
            "@hookimpl\n"
            "def register_pages():\n"
            "    for _ in range(2):\n"
            "        yield Page(name='a', title='A', show=lambda view: Html(''))\n"
        )
        (failed,) = make_hub(plugins=str(tmp_path)).plugins.failed
        assert "there is a page named a" in failed.reason


NAUGHTY = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "'; DROP TABLE student; --",
    "\u202eRight\u202c to left",
    "Zoë\u0301 \U0001f468\u200d\U0001f469\u200d\U0001f467 末",
    "=HYPERLINK(\"http://example.org\")",
    "javascript:alert(1)//</textarea></title>",
    "a" * 150,
    "&lt;b&gt; &amp; \u2028\u2029 \t x",
)  # fmt: skip
"""Of the kinds in the Big List of Naughty Strings (https://github.com/minimaxir/big-list-of-naughty-strings)."""


def test_nobodys_name_breaks_a_page(hub, visitor):
    calls = Calls(Client(hub))
    for number, name in enumerate(NAUGHTY):
        reply = calls.student(f"n{number}", email=f"n{number}@example.edu", first_name=name)
        assert reply.status == 201, name
        calls.event(name, location=name, event_type=name[:50])
        calls.attend(f"n{number}", name)
        calls.attend(f"{name[:40]}", NAUGHTY[0])
    seen, ahead = set(), ["/console/", "/console/students/codes"]
    while ahead:
        path = ahead.pop()
        bare = path.partition("?")[0]
        known = re.sub(r"[0-9a-f]{12,}", "<delivery>", bare) + path.partition("?")[2][:12]
        if known in seen or not path.startswith("/console/") or "/get/" in path:
            continue
        seen.add(known)
        shown = visitor.get(path)
        assert shown.status in (200, 404), path
        if "html" in shown.headers.get("content-type", ""):
            assert "<script>alert" not in shown.html, path
            assert "<img src=x" not in shown.html, path
            assert not re.search(r"(?<![\d:])49(?!\d)\{%|>49<", shown.html), path
            assert 'href="javascript:' not in shown.html, path
        ahead += [link.partition("#")[0] for link in shown.links]
    assert len(seen) > 60
    reply = visitor.raw("GET", "/console/get/api/events/1/attendances.csv")
    assert "\n" not in reply.headers["content-disposition"]


class TestCauses:
    """What is told as a cause, and what is not any more."""

    def test_a_second_check_in_is_none(self, visitor, evening):
        assert evening.attend("a1").status == 400
        assert "already checked in" not in visitor.get("/console/waiting").text

    def test_what_the_desk_itself_is_refused_is_none(self, visitor, evening):
        visitor.post("/console/desk/withdraw", {"attendance": "99", "reason": "x"})
        assert "99" not in visitor.get("/console/waiting").text

    def test_one_is_set_aside_until_there_is_more(self, visitor, evening):
        shown = visitor.get("/console/waiting")
        form = next(
            one["fields"]
            for one in shown.forms
            if one["action"] == "/console/desk/settle" and "doubt" in one["fields"]
        )
        assert shown.html.count('class="cause"') == 2
        shown = visitor.post("/console/desk/settle", form)
        assert shown.html.count('class="cause"') == 1
        undone = visitor.post("/console/desk/undo", shown.form("/console/desk/undo"))
        assert undone.html.count('class="cause"') == 2
        visitor.post("/console/desk/settle", form)
        evening.attend("a3", "Weekly Meetting")
        evening.attend("a9")
        assert "a9" in visitor.get("/console/waiting").text

    def test_whoever_has_it_by_now_is_named_and_all_is_applied_in_one_step(
        self, visitor, evening, rows
    ):
        visitor.post("/console/students/save", {"first_name": "Zoe", "identifier.a_number": "a9"})
        shown = visitor.get("/console/waiting")
        assert "Zoe has it now" in shown.text
        form = shown.form("/console/waiting/preview")
        preview = visitor.post("/console/waiting/preview", form)
        visitor.post("/console/waiting/apply", preview.form("/console/waiting/apply"))
        assert rows.count("Attendance") == 3

    def test_nobody_loses_an_a_number_unasked(self, visitor, evening):
        shown = visitor.get("/console/waiting/cause?waiting_for=student+a_number%3Aa9&q=ada")
        assert "Give it to them in place of a1" in shown.text
        assert '<button class="primary">Only this means them' in shown.html


class TestOdd:
    """What was tried by somebody who meant no good."""

    def test_a_name_ends_no_line_of_a_stream(self, visitor, evening):
        name = "Quiz\r\rdata: CANCELLED\r\nevent: x"
        evening.event(name, date=evening.now)
        text = visitor.raw("GET", "/console/live/tonight").body.decode()
        for line in re.split(r"\r\n|\r|\n", text):
            assert line == "" or line.startswith(("data:", "retry: 5000")), line
        assert "CANCELLED" in text

    def test_a_stream_is_of_one_address(self, hub, visitor, evening):
        keys = set()
        for host in ("localhost:8000", "127.0.0.1:8000"):
            made = hub.console._live.answer(_environ(visitor, host), "sources")
            keys.add(made.key)
        assert len(keys) == 2

    @pytest.mark.parametrize("body", [b'{"a": "\\ud800"}', b"[" * 5000, b'"\xff', b"{}" * 3])
    def test_every_body_can_be_looked_at(self, visitor, evening, rows, body):
        evening.client.post("/api/webhook/unified/", body=body)
        delivery = rows("Delivery")[-1]["id"]
        for query in ("", "?dry_run=1"):
            assert visitor.get(f"/console/deliveries/{delivery}{query}").status == 200

    @pytest.mark.parametrize("path", ["events/\u20ac", "students/\u0661", "\u20ac", "events/\xe9"])
    def test_addresses_in_any_script(self, hub, visitor, evening, path):
        wire = f"/console/{path}".encode().decode("latin-1")
        for one in (visitor, Visitor(hub, token=None)):
            reply = one.raw("GET", wire)
            assert reply.status in (303, 404)
            assert reply.headers.get("location", "").isascii()

    @pytest.mark.parametrize(
        "cookie",
        [
            '__Host-hub="1.1.\\351"', '__Host-hub="7.\\262.x"', 'hub-said="a.\\351"', "hub-said=.",
            "__Host-hub=1.1.x; __Host-hub=2.2.x", "a" * 7000, "=;=;", "__Host-hub=0.1." + "a" * 64,
        ],
    )  # fmt: skip
    def test_odd_cookies_are_none(self, visitor, cookie):
        for path in ("/console/", "/console/login", "/console/live/tonight"):
            reply = visitor.client.get(path, headers={**visitor.headers, "Cookie": cookie})
            assert reply.status in (200, 303, 401)

    def test_who_has_logged_out_is_out_with_every_copy(self, make_hub):
        hub, other = make_hub(admin_token=TOKEN), make_hub(admin_token=TOKEN)
        visitor = Visitor(hub)
        kept = dict(visitor.cookies)
        visitor.post("/console/logout", {})
        for one in (hub, other):
            copy = Visitor(one, token=None)
            copy.cookies = dict(kept)
            assert copy.get("/console/").path.startswith("/console/login")
        assert Visitor(hub).get("/console/").path == "/console/"

    def test_a_notice_is_said_to_nobody_else(self, hub, visitor, evening):
        from hub.jobs import tokens

        visitor.raw("POST", "/console/desk/withdraw", b"attendance=1&reason=x", FORM)
        other = Visitor(hub, tokens.create(hub.store, "o", ["counts"], [], None))
        said = {"hub-said": visitor.cookies["hub-said"]}
        other.cookies |= said
        assert other.get("/console/").notice == ""
        nobody = Visitor(hub, token=None)
        nobody.cookies = said
        assert "Ada" not in nobody.get("/console/login").html

    def test_a_form_is_no_json(self, visitor, evening, rows):
        for kind in ("application/json", "application/x+json"):
            reply = visitor.raw(
                "POST", "/console/desk/hide_event", b"event=1", kind,
                Origin="http://evil.example", **{"Sec-Fetch-Site": "cross-site"},
            )  # fmt: skip
            assert reply.status == 403
        assert rows("Event")[0]["hidden_at"] is None

    def test_get_is_for_the_api_alone(self, visitor):
        for path in ("console/login", "console/", "", "x"):
            assert visitor.get(f"/console/get/{path}").status == 404

    def test_nobody_revokes_the_token_that_asks(self, hub):
        from hub.jobs import tokens

        visitor = Visitor(hub, tokens.create(hub.store, "mine", ["admin"], [], None))
        form = visitor.get("/console/setup").form("/console/setup/tokens/revoke", name="mine")
        shown = visitor.post("/console/setup/tokens/revoke", form)
        assert "You are using this token" in shown.notice
        assert shown.status == 200

    def test_files_with_long_names_are_none(self, visitor):
        assert visitor.raw("GET", "/console/static/" + "a" * 300).status == 404

    def test_a_long_way_back_is_none(self, visitor, evening):
        fields = {"attendance": "1", "reason": "x", "back": "/console/" + "a" * 5000}
        assert visitor.post("/console/desk/withdraw", fields).path == "/console/"

    def test_rows_of_a_form_are_all_read_before_the_first_is_done(self, visitor, evening, rows):
        fields = {"event": "1", "record": "a_number:a3|", "withdraw": "abc"}
        visitor.post("/console/imports/reconcile", fields)
        assert rows.count("Attendance") == 2

    def test_a_hidden_event_of_an_import_is_not_found(self, visitor, evening):
        visitor.post("/console/desk/hide_event", {"event": "1"})
        form = visitor.get("/console/imports").form("/console/imports/look")
        fields = {**form, "kind": "attendances", "event": "Weekly Meeting"}
        shown = visitor.upload("/console/imports/look", fields, "x.csv", b"A-Number\na1\n")
        assert "hidden" in shown.notice


FORM = "application/x-www-form-urlencoded"


def _environ(visitor, host):
    cookie = "; ".join(f"{name}={one}" for name, one in visitor.cookies.items())
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/console/live/sources", "QUERY_STRING": "",
        "HTTP_HOST": host, "HTTP_COOKIE": cookie, "wsgi.url_scheme": "http",
    }  # fmt: skip


def test_odd_addresses_are_no_faults(visitor, evening, caplog):
    for path in (
        "events/0", "events/-1", "events/99999999999999999999", "events/²", "events/1?cursor=x",
        "events/1?state=nonsense", "events/1?q=%00", "students?q=%FF", "students/1/edit?q=%00",
        "attendances/x", "deliveries?since=yesterday", "waiting?since=x", "doubts?kind=x",
        "reports/students?at_least=x", "events?from=x", "p/none/none", "door/x", "tonight?day=",
        "waiting/cause?waiting_for=%00", "waiting/cause?waiting_for=nonsense", "setup/captures/x",
        "live/events/99", "live/nothing", "live/tonight?day=x", "live/waiting?since=zz",
        "get/api/deliveries/causes/?since=", "deliveries?student=id:" + "9" * 30, "get/",
        "get/console/", "students/merge", "events/merge?keep=1",
    ):  # fmt: skip
        shown = visitor.get(f"/console/{path}")
        assert 200 <= shown.status < 500, path
    for path, fields in (
        ("desk/nothing", {}), ("desk/withdraw", {}), ("desk/withdraw", {"attendance": "x"}),
        ("desk/correct", {"attendance": "1", "checked_in_at": "x", "reason": "x"}),
        ("desk/undo", {"delivery": "x"}), ("desk/merge_students", {"keep": "id:1"}),
        ("events/save", {"name": "x"}), ("students/save", {"student": "id:9", "first_name": "x"}),
        ("waiting/preview", {}), ("waiting/apply", {"waiting_for": "x", "payload": "[]"}),
        ("imports/look", {}), ("imports/apply", {}), ("imports/undo", {}),
        ("imports/reconcile", {"event": "x", "record": "|"}), ("deliveries/x/replay", {}),
        ("setup/tokens", {"name": "\x00", "scope": "x"}), ("setup/tokens/revoke", {}),
        ("students/x/forget", {"name": "x"}), ("door/99", {"code": "a1"}), ("events", {"x": "y"}),
        ("imports/reconcile", {"event": "1", "withdraw": "x", "correct": "y|z"}),
    ):  # fmt: skip
        shown = visitor.post(f"/console/{path}", fields)
        assert 200 <= shown.status < 500, (path, fields)
    reply = visitor.raw("POST", "/console/desk/withdraw", b"\xff=1", "multipart/form-data")
    assert reply.status == 400
    deep = {"payload": "[ " * 100_000, "waiting_for": "x"}
    assert visitor.post("/console/waiting/preview", deep).status < 500
    odd = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\nContent-Type: text/plain; charset=zzz'
    )
    body = odd + b"\r\n\r\nx\r\n--x--\r\n"
    reply = visitor.raw("POST", "/console/desk/withdraw", body, "multipart/form-data; boundary=x")
    assert reply.status < 500
    reply = visitor.raw("POST", "/console/desk/withdraw", b"a=%FF", "text/plain")
    assert reply.status < 500
    assert "page failed" not in caplog.text


def test_a_store_that_is_away_is_said_and_shows_nothing(hub, visitor, evening, monkeypatch):
    from hub.errors import StoreUnavailable

    def away(*_):
        raise StoreUnavailable("the file is gone: /secret/path")

    monkeypatch.setattr(hub.store, "reading", away)
    shown = visitor.get("/console/students")
    assert shown.status == 503
    assert "secret" not in shown.html


def test_a_stream_on_a_server_that_sends_whole_answers_is_asked_again(visitor, evening):
    reply = visitor.raw("GET", "/console/live/tonight")
    assert reply.headers["content-type"] == "text/event-stream"
    text = reply.body.decode()
    assert text.startswith("retry: 5000\n\n")
    shown = "\n".join(line.removeprefix("data: ") for line in text.split("\n")[2:])
    assert "Weekly Meeting" in shown
    assert "<html" not in shown


def test_the_files_of_others_are_as_they_were_published():
    import hashlib
    from pathlib import Path

    import hub.console

    static = Path(hub.console.__file__).parent / "static"
    told = json.loads((Path(__file__).parent / "vendored.json").read_text("utf-8"))
    for name, digest in told.items():
        assert hashlib.sha256((static / name).read_bytes()).hexdigest() == digest, name
