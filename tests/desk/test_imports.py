"""Imports over the whole line: rosters, calendars and sheets, as people have them."""

import io
import sqlite3
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlencode

import openpyxl
import pytest
from api.conftest import TOKEN
from desk.test_desk import AUTH, Desk

from hub.jobs import imports
from hub.jobs.forget import forget
from hub.jobs.whole import export_all
from hub.record import imports as record

ROSTER = (
    "A-Number,E-mail,First Name,Last Name,Card UID\r\n"
    "a1,a1@example.edu,Ada,Example,04:a2:b9\r\n"
    'a2,a2@example.edu,Grace,"Sam\nple",\r\n'
    "a3,a1@example.edu,Edsger,Muster,\r\n"
    ",,Nobody,Nowhere,\r\n"
)


def can_write(store):
    """Whether a writer need not wait for another one."""
    if store.address.in_file:
        with closing(sqlite3.connect(store.address.target, timeout=0.1)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    return True


def others_may_write(monkeypatch, module, store):
    """Whether others may write while the module decides on a delivery: a list, one for each."""
    free = []
    original = module.decide

    def decide(*arguments):
        with ThreadPoolExecutor(1) as thread:
            free.append(thread.submit(can_write, store).result())
        return original(*arguments)

    monkeypatch.setattr(module, "decide", decide)
    return free


class Importer(Desk):
    def imports(self, kind, body, status=200, content_type="text/csv", **query):
        if isinstance(body, str):
            body = body.encode()
        reply = self.client.request(
            "POST", f"/api/imports/{kind}/", body, AUTH, content_type, urlencode(query, doseq=True)
        )
        assert reply.status == status, reply.body
        return reply.json

    def outcomes(self, done):
        return [(one["row"], one["outcome"]) for one in done["results"]]


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def desk(hub):
    return Importer(hub)


class TestStudents:
    def test_a_roster_twice(self, desk):
        done = desk.imports("students", ROSTER)
        assert done["columns"] == {
            "A-Number": "a_number", "E-mail": "email", "First Name": "first_name",
            "Last Name": "last_name", "Card UID": "card",
        }  # fmt: skip
        assert desk.outcomes(done) == [
            (2, "created"), (3, "created"), (5, "refused"), (6, "refused"),
        ]  # fmt: skip
        again = desk.imports("students", ROSTER)
        assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 2)
        assert again["absent"] == []
        assert len(desk.api("/api/students/").json["students"]) == 2

    def test_a_trial_changes_nothing_and_tells_the_same(self, desk):
        tried = desk.imports("students", ROSTER, dry_run="true")
        assert tried["import"] is None
        assert desk.api("/api/students/").json["students"] == []
        assert desk.api("/api/deliveries/").json["deliveries"] == []
        done = desk.imports("students", ROSTER)
        assert desk.outcomes(tried) == desk.outcomes(done)
        again = desk.imports("students", ROSTER, dry_run="true")
        assert again["unchanged"] == 2

    def test_a_trial_lets_others_write(self, desk, hub, monkeypatch):
        free = others_may_write(monkeypatch, imports, hub.store)
        desk.imports("students", ROSTER, dry_run="true")
        assert free == [True] * 4

    def test_a_trial_leaves_out_what_comes_meanwhile(self, desk, hub, monkeypatch):
        pages = record.copied

        def copied(reading, events):
            for table, rows in pages(reading, events):
                if table == "student":
                    desk.calls.student("b1")
                yield table, rows

        desk.calls.student("b0")
        monkeypatch.setattr(record, "copied", copied)
        assert desk.imports("students", ROSTER, dry_run="true")["created"] == 2

    def test_who_is_absent_is_told(self, desk):
        desk.imports("students", 'Student ID,Name\na1,Ada Example\na2,"Muster, Edsger"\n')
        done = desk.imports("students", "Student ID,Name\na1,Ada Example\n")
        assert [one["identifier"] for one in done["absent"]] == ["a2"]
        assert done["absent"][0]["name"] == "Edsger Muster"

    def test_a_row_that_names_two_is_refused_and_both_are_named(self, desk):
        desk.imports("students", "a_number,email\na1,a1@e.org\na2,a2@e.org\n")
        done = desk.imports("students", "a_number,email\na1,a2@e.org\n")
        (row,) = done["results"]
        assert row["message"] == (
            "The row names two students "
            "(a_number a1 is student 1's and email a2@e.org is student 2's)"
        )
        done = desk.imports("students", "a_number,email\na9,a2@e.org\n")
        assert "another A-number" in done["results"][0]["message"]

    def test_an_import_is_undone_and_may_come_again(self, desk):
        done = desk.imports("students", ROSTER)
        undone = desk.undo(done["import"])
        assert undone["details"].startswith("2 rows undone")
        assert desk.api("/api/students/").json["students"] == []
        again = desk.imports("students", ROSTER)
        assert again["created"] == 2

    def test_the_undo_of_an_import_is_undone(self, desk):
        done = desk.imports("students", ROSTER)
        undone = desk.undo(done["import"])
        again = desk.undo(undone["delivery"])
        assert len(desk.api("/api/students/").json["students"]) == 2
        desk.undo(again["delivery"])
        assert desk.api("/api/students/").json["students"] == []

    def test_what_came_of_who_was_imported_is_there_when_they_come_again(self, desk):
        done = desk.imports("students", ROSTER)
        desk.calls.event(date="2024-01-15T18:00:00Z")
        desk.calls.attend("a1", check_in_time="2024-01-15T18:05:00Z")
        desk.undo(done["import"])
        assert desk.rows() == []
        again = desk.imports("students", ROSTER)
        assert again["created"] == 2
        assert desk.times() == [("a1", 1, "18:05", "", "present")]
        desk.undo(again["import"])
        assert desk.rows() == []

    def test_what_the_desk_said_later_hinders_its_row_alone(self, desk):
        desk.imports("students", "a_number,first_name\na1,Ada\na2,Grace\n")
        change = desk.imports("students", "a_number,first_name\na1,Augusta\na2,Amazing\n")
        word = desk.did("save_student", student="a1", first_name="Lady")
        undone = desk.undo(change["import"])
        assert undone["details"].startswith("1 rows undone; 1 could not be: ")
        assert f"Delivery {word['delivery']} rests on it" in undone["details"]
        names = [one["first_name"] for one in desk.api("/api/students/").json["students"]]
        assert names == ["Lady", "Grace"]

    def test_one_row_is_undone(self, desk):
        done = desk.imports("students", ROSTER)
        desk.undo(done["results"][0]["delivery"])
        assert [one["identifier"] for one in desk.api("/api/students/").json["students"]] == ["a2"]

    def test_a_column_is_mapped(self, desk):
        body = "Badge;Mail\n0042;ada@example.edu\n"
        done = desk.imports("students", body, map=["Badge:card", "Mail:email"])
        assert done["form"] == "CSV with semicolons, UTF-8"
        (student,) = desk.api("/api/students/", identifier="card:0042").json["students"]
        assert student["email"] == "ada@example.edu"

    def test_xlsx(self, desk):
        book = openpyxl.Workbook()
        book.active.append(["Club roster", None, None])
        book.active.append(["A-Number", "First Name", "Last Name"])
        book.active.append([12345, "=1+1", "'=HYPERLINK(1)"])
        file = io.BytesIO()
        book.save(file)
        done = desk.imports("students", file.getvalue(), content_type="application/octet-stream")
        assert desk.outcomes(done) == [(3, "created")]
        assert "What is above the headings in line 2 was left out" in done["warnings"]
        (student,) = desk.api("/api/students/").json["students"]
        assert (student["identifier"], student["last_name"]) == ("12345", "=HYPERLINK(1)")


BOMB = io.BytesIO()
with zipfile.ZipFile(BOMB, "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("xl/worksheets/sheet1.xml", b"0" * (3 * 1024 * 1024))


@pytest.mark.parametrize(
    ("body", "query", "error"),
    [
        (b"", {}, "The request has no file"),
        (b"\x00\x01\x02", {}, "The file is no text"),
        (b"\xff\xfeA", {}, "The file is no text"),
        (b"PK\x03\x04nonsense", {}, "The file is no XLSX file"),
        (b"one,two\n1,2\n", {}, "The file has no headings that are known"),
        (b"First Name,Last Name\nAda,Example\n", {}, "No column tells who a student is"),
        (b'a_number,email\na1,"x\n', {},
         "The file cannot be read from line 2 on: unexpected end of data"),
        (b"a_number,Student ID\na1,a2\n", {}, "Two columns are a_number: a_number and Student ID"),
        (b"a_number\n" + b"," * 9999 + b"\n", {}, "The file has 10000 columns in line 2"),
        (b"a_number\na1\n", {"map": "Card:card"}, "The file has no column Card"),
        (b"a_number\na1\n", {"map": "nonsense"}, "Invalid map: nonsense"),
        (b"a_number\na1\n", {"zone": "Mars/Phobos"},
         "Invalid zone: use a name such as America/Denver"),
        (b"a_number\na1\n", {"event": "1"}, "Unknown parameter: event"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_changes_nothing(desk, body, query, error):
    assert desk.imports("students", body, 400, **query)["error"] == error
    assert desk.api("/api/deliveries/").json["deliveries"] == []


def test_a_zip_bomb(make_hub):
    desk = Importer(make_hub(admin_token=TOKEN, import_limit=100_000))
    answer = desk.imports("students", BOMB.getvalue(), 400)
    assert answer["error"] == "The file is too large unpacked"
    assert desk.imports("students", b"a" * 100_001, 413)["error"] == "Payload too large"


def test_windows_1252_is_read_with_a_warning(desk):
    done = desk.imports("students", "A-Number;Name\na1;Zoë Müster\n".encode("cp1252"))
    assert done["warnings"] == [
        "The file is not UTF-8; it was read as Windows-1252. Look at the names"
    ]
    assert desk.api("/api/students/1/").json["last_name"] == "Müster"


class TestEvents:
    def test_a_calendar_of_a_spreadsheet(self, desk):
        body = (
            "Subject,Start Date,Start Time,End Time,Points\n"
            "Kick-off,1/13/2026,6:00 PM,8:00 PM,3\n"
            "Hack Night,1/20/2026,18:00,,\n"
        )
        done = desk.imports("events", body, zone="America/Denver")
        assert desk.outcomes(done) == [(2, "created"), (3, "created")]
        first, second = desk.api("/api/events/").json["events"]
        assert (first["starts_at"], first["ends_at"], first["points"]) == (
            "2026-01-14T01:00:00Z", "2026-01-14T03:00:00Z", 3,
        )  # fmt: skip
        assert second["ends_at"] is None

    def test_a_calendar_that_was_undone_comes_again(self, desk):
        body = "Subject,Start Date\nKick-off,2026-01-13 18:00\n"
        done = desk.imports("events", body)
        desk.undo(done["import"])
        assert desk.api("/api/events/").json["events"] == []
        again = desk.imports("events", body.replace("Start Date\n", "Start Date,Points\n").replace(
            "18:00\n", "18:00,4\n"
        ))  # fmt: skip
        assert desk.outcomes(again) == [(2, "created")]
        (event,) = desk.api("/api/events/").json["events"]
        assert (event["id"], event["points"]) == (1, 4)
        desk.undo(again["import"])
        assert desk.api("/api/events/").json["events"] == []

    def test_an_order_that_cannot_be_known_is_asked_for(self, desk):
        body = "Subject,Start Date\nKick-off,3/4/2026\n"
        answer = desk.imports("events", body, 400)
        assert answer["error"] == (
            "It cannot be known whether 3/4/2026 has its day or its month first"
        )
        assert "map=Start Date:start_date:dmy" in answer["details"]
        done = desk.imports("events", body, map="Start Date:start_date:dmy")
        assert desk.outcomes(done) == [(2, "created")]
        assert desk.api("/api/events/1/").json["date"] == "2026-04-03"

    def test_dates_of_either_order(self, desk):
        body = "Subject,Start Date\nA,13/4/2026\nB,4/14/2026\n"
        answer = desk.imports("events", body, 400)
        assert answer["error"] == "The dates are in two orders: 13/4/2026 and 4/14/2026"

    def test_what_was_undone_or_hidden_is_found_by_its_identifier(self, desk):
        body = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:u1\r\n"
            "DTSTAMP:20260101T000000Z\r\nDTSTART:20260106T180000Z\r\nSUMMARY:One\r\n"
            "END:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        done = desk.imports("events", body)
        desk.undo(done["import"])
        again = desk.imports("events", body.replace("One", "Renamed"))
        assert desk.outcomes(again) == [(1, "created")]
        assert desk.api("/api/events/1/").json["name"] == "Renamed"
        same = desk.imports("events", body.replace("One", "Again"))
        assert desk.outcomes(same) == [(1, "changed")]
        desk.did("hide_event", event=1)
        (row,) = desk.imports("events", body.replace("One", "Hidden"))["results"]
        assert row["message"] == "Event with identifier Hidden not found"
        desk.did("show_event", event=1)
        desk.did("save_event", event=1, identifiers={"room": "r1"})
        desk.calls.event("Second", "2026-01-07T18:00:00Z")
        desk.did("merge_events", keep=1, merge=2)
        assert desk.did("save_event", event=1, identifiers={"room": "r1"})["success"]

    def test_icalendar_with_a_rule(self, desk):
        body = (
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:u1\r\n"
            "DTSTAMP:20260101T000000Z\r\nDTSTART:20260106T180000Z\r\nDTEND:20260106T200000Z\r\n"
            "SUMMARY:Weekly Meeting\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        )
        done = desk.imports("events", body, content_type="text/calendar")
        assert done["created"] == 3
        assert desk.imports("events", body)["unchanged"] == 3
        endless = body.replace(";COUNT=3", "").replace("u1", "u2").replace("Weekly", "Endless")
        done = desk.imports("events", endless)
        assert "repeats without an end" in done["warnings"][0]
        assert 50 < done["created"] < 200
        assert desk.imports("events", "BEGIN:VCALENDAR\nnonsense", 400)["error"] == (
            "The file is no calendar"
        )


class TestAttendances:
    @pytest.fixture(autouse=True)
    def known(self, desk):
        desk.calls.student("a1")
        desk.calls.student("a2")
        desk.calls.event(date="2024-01-15T18:00:00Z")

    def test_a_paper_sheet(self, desk):
        body = "Student ID,Time\na1,18:07\na2,\na9,18:00\n"
        done = desk.imports("attendances", body, event="Weekly Meeting")
        assert desk.outcomes(done) == [(2, "created"), (3, "created"), (4, "refused")]
        assert desk.times() == [
            ("a1", 1, "18:07", "", "present"),
            ("a2", 1, "18:00", "", "present"),
        ]
        desk.undo(done["import"])
        assert desk.rows() == []
        assert len(desk.rows(state="withdrawn")) == 2

    def test_a_vendors_export(self, desk):
        body = (
            "Participant Name,Email,Event Name,Checked In At,Checked Out At\n"
            "Ada Example,a1@example.edu,Weekly Meeting,2024-01-15T18:03:00Z,2024-01-15 19:30\n"
            "Ada Example,a2@example.edu,Weakly Meeting,2024-01-15T18:03:00Z,\n"
        )
        done = desk.imports("attendances", body)
        assert desk.outcomes(done) == [(2, "created"), (3, "refused")]
        assert desk.times() == [("a1", 1, "18:03", "19:30", "left")]

    def test_the_event_must_be_one(self, desk):
        desk.calls.event(date="2024-01-22T18:00:00Z")
        answer = desk.imports("attendances", "a_number\na1\n", 400, event="Weekly Meeting")
        assert answer["error"] == "Several events are named Weekly Meeting"
        assert desk.imports("attendances", "a_number\na1\n", 404, event="Nothing")["error"] == (
            "Event with identifier Nothing not found"
        )

    def test_a_trial_knows_what_there_is(self, desk):
        desk.calls.attend("a1", check_in_time="2024-01-15T18:05:00Z")
        done = desk.imports("attendances", "a_number\na1\na2\n", event="1", dry_run="true")
        assert desk.outcomes(done) == [(2, "changed"), (3, "created")]
        assert len(desk.rows()) == 1


def test_rows_are_of_whom_and_what_they_name_though_they_were_merged(desk):
    desk.calls.student("a1")
    desk.calls.student("a2", first_name="Bo")
    desk.calls.event(date="2024-01-15T18:00:00Z")
    desk.calls.event(date="2024-01-16T18:00:00Z")
    desk.did("merge_students", keep="a1", merge="a2")
    desk.did("merge_events", keep=2, merge=1)
    desk.imports("students", "A-Number,First Name,Card UID\na2,Ren,bb01\n")
    desk.imports("attendances", "A-Number,Time\na2,18:09\n", event="1")
    desk.did("split_students", merge="a2")
    desk.did("split_events", merge=1)
    assert desk.times() == [("a2", 1, "18:09", "", "present")]
    first, second = desk.api("/api/students/").json["students"]
    assert (first["first_name"], second["first_name"]) == ("Ada", "Ren")
    assert desk.api("/api/students/", identifier="card:bb01").json["students"] == [second]


def test_an_import_needs_the_scope_desk(desk):
    reply = desk.client.request("POST", "/api/imports/students/", b"a_number\na1\n", {}, "text/csv")
    assert (reply.status, reply.error) == (401, "Missing token")


class TestForgetting:
    """Who is forgotten is forgotten wherever the desk and imports have put them."""

    def test_through_merges_imports_corrections_and_undos(self, desk, hub):
        roster = (
            "A-Number,E-mail,First Name,Last Name\n"
            "a12345,ada@example.edu,Augusta,Lovelace-Example\n"
            "b99999,grace@example.edu,Grace,Sample\n"
        )
        desk.imports("students", roster)
        desk.calls.student("m67890", first_name="Countess", last_name="Byronne")
        desk.calls.event(date="2024-01-15T18:00:00Z")
        done = desk.did("save_student", student="a12345", identifiers={"email": "al@example.edu"})
        sheet = desk.imports("attendances", "Email\nal@example.edu\n", event="1")
        desk.calls.attend("m67890", "1", check_in_time="2024-01-15T18:05:00Z")
        merged = desk.did("merge_students", keep="a12345", merge="m67890")
        word = desk.did("withdraw", student="m67890", event=1)
        desk.undo(word["delivery"])
        desk.did("correct", student="a12345", event=1, checked_in_at="2024-01-15T18:09:00Z")
        desk.undo(done["delivery"])
        forget(hub.store, "m67890")
        told = b"".join(export_all(hub.store)).decode().lower()
        for secret in ("a12345", "m67890", "ada@", "al@example", "augusta", "lovelace", "byronne"):
            assert secret not in told, secret
        assert "grace@example.edu" in told
        assert desk.api("/api/events/1/").json["attendances"] == 1
        for one in (merged["delivery"], word["delivery"], sheet["results"][0]["delivery"]):
            assert desk("undo", delivery=one).error == "Forgotten"
        assert desk.api("/api/students/1/").status == 404
        assert [one["id"] for one in desk.api("/api/students/").json["students"]] == [2]
