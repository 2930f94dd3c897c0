"""The commands that put the record right, over a store and over a running hub."""

import json

import pytest
import requests

from hub.record import changes
from hub.store.store import Store

MONDAY = "2026-11-09T18:00:00Z"


@pytest.fixture
def record(hub, calls):
    calls.student("a1", first_name="Ada")
    calls.student("a2", first_name="Grace")
    calls.event(date=MONDAY, points=5)
    calls.attend("a1", "1", check_in_time="2026-11-09T18:05:00Z")


def test_a_word_and_its_undo(run, record):
    words = ("a1", "Weekly Meeting", "--on", "2026-11-09", "--reason", "was not there")
    (line,) = run("desk", "withdraw", *words)
    assert line.startswith(
        "Attendance withdrawn successfully: attendance 1, a1 at Weekly Meeting, withdrawn, "
    )
    delivery = line.rpartition(" ")[2]
    assert run("who", "1")[0].endswith("0 came, 1 withdrawn")
    (again,) = run("desk", "withdraw", *words, status=2)
    assert again == "attendance-hub: Already withdrawn"
    (line,) = run("desk", "undo", delivery)
    assert line.startswith("Undone successfully: attendance 1, a1 at Weekly Meeting, present")
    assert json.loads(run("desk", "check_in", "a2", "1", "--json")[0])["attendance"]["id"] == 2


def test_a_student_is_found_by_each_identifier_of_those_who_were_merged(run, record):
    run("desk", "merge-students", "a1", "a2")
    for named in ("a1", "a2", "id:1", "id:2"):
        assert run("student", named)[0].startswith("Ada Example  (student 1: ")


def test_identifiers_numbers_and_ends(run, record):
    (line,) = run("desk", "save-student", "a1", "--identifier", "a_number=A9", "--is-admin", "true")
    assert line.startswith("Student saved successfully: student 1 Ada Example  delivery ")
    run("desk", "save-event", "1", "--ends-at", "2026-11-09T20:00:00Z", "--points", "7")
    told = json.loads(run("desk", "save-event", "1", "--ends-at", "-", "--json")[0])["event"]
    assert (told["ends_at"], told["points"]) == (None, 7)
    for wrong, why in (
        (("save-student", "A9", "--identifier", "card"), "Invalid --identifier: card"),
        (("save-student", "A9", "--is-admin", "maybe"), "Invalid --is-admin"),
        (("withdraw", "--attendance", "one"), "Invalid --attendance: it is a whole number"),
        (("withdraw", "A9", "1"), "A reason is required"),
        (("undo", "nonsense"), "Invalid payload"),
    ):
        (line,) = run("desk", *wrong, status=2)
        assert line.startswith(f"attendance-hub: {why}")


def test_a_roster_and_what_became_of_its_rows(run, record, tmp_path):
    (tmp_path / "roster.csv").write_text("A-Number,Name\na3,Edsger Muster\n,Nobody\n")
    lines = run("import", "students", "roster.csv", "--dry-run", status=1)
    assert lines == [
        "read as CSV with commas, UTF-8: A-Number is a_number, Name is name",
        "row 3: The row has nothing that tells who it is",
        "2 rows: 1 created, 0 changed, 0 unchanged, 1 refused  tried, and nothing changed",
    ]
    lines = run("import", "students", "roster.csv", "--results", "done.csv", status=1)
    assert lines[0] == "done.csv: 2 rows"
    assert (tmp_path / "done.csv").read_text().splitlines() == [
        "A-Number,Name,outcome,message",
        "a3,Edsger Muster,created,",
        ",Nobody,refused,The row has nothing that tells who it is",
    ]
    (line,) = run("import", "students", "roster.csv", "--results", "done.pdf", status=2)
    assert line.endswith("done.pdf is no file that can be written; call it .csv")
    imported = lines[-1].rpartition(" ")[2]
    assert run("desk", "undo", imported)[0].startswith("Undone successfully (1 rows undone)")


def test_a_vendors_export_beside_the_record(run, record, calls, tmp_path):
    calls.attend("a2", "1", check_in_time="2026-11-09T18:30:00Z")
    calls.student("a3")
    (tmp_path / "vendor.csv").write_text(
        "Email,Check In Time\na1@example.edu,18:05\na3@example.edu,18:20\nx@example.edu,18:00\n"
    )
    lines = run("reconcile", "vendor.csv", "--event", "Weekly Meeting", status=1)
    assert lines == [
        "+ in the file alone, row 3: email:a3@example.edu  2026-11-09T18:20:00Z",
        "- in the record alone: a2 Grace Example  2026-11-09T18:30:00Z",
        "? row 4: The row names nobody who is known: email:x@example.edu",
        "1 in the file alone, 1 in the record alone, 0 at different times, 1 of nobody that is known, "
        "1 the same",
    ]
    lines = run("reconcile", "vendor.csv", "--event", "1", "--apply", "--withdraw")
    assert lines[-1] == "1 check-in recorded, 1 attendance withdrawn"
    told = json.loads(run("reconcile", "vendor.csv", "--event", "1", "--json", status=1)[0])
    assert (told["in_file"], told["in_record"], told["same"]) == ([], [], 2)
    withdrawn = json.loads(
        run("export", "attendances", "w.jsonl", "--state", "withdrawn")
        and (tmp_path / "w.jsonl").read_text()
    )
    assert withdrawn["withdrawn"]["reason"] == "reconcile vendor.csv"
    (line,) = run("reconcile", "vendor.csv", "--event", "1", "--withdraw", status=2)
    assert line == "attendance-hub: --withdraw is for --apply"


def test_refused_deliveries_mean_another_event(run, record, calls):
    calls.attend("a2", "Weakly Meeting", check_in_time="2026-11-09T18:10:00Z")
    lines = run(
        "deliveries", "replay", "--event", "Weakly Meeting", "--set", "event=Weekly Meeting",
        "--set", "on=2026-11-09", "--reason", "a typing error",
    )  # fmt: skip
    assert lines[-1] == "1 replayed: 1 applied"
    assert "Delivery replayed successfully: attendance 2, a2 at Weekly Meeting" in lines[0]
    assert run("who", "1")[0].endswith("2 came")
    run("desk", "undo", lines[0].rpartition(" ")[2])
    assert run("who", "1")[0].endswith("1 came, 1 withdrawn")
    for wrong in ("nothing", "room=1"):
        (line,) = run("deliveries", "replay", "0" * 28, "--set", wrong, status=2)
        assert line.startswith(f"attendance-hub: Invalid --set: {wrong}")


def cursor_of(url):
    store = Store.open(url)
    try:
        with store.reading() as db:
            return changes.cursor(db, changes.now(db))
    finally:
        store.close()


def test_a_whole_record_of_many_pages(run, record, calls, tmp_path, monkeypatch):
    run("export", "all", "one.jsonl")
    monkeypatch.setattr("hub.record.whole._PAGE", 2)
    run("export", "all", "pages.jsonl")
    assert (tmp_path / "pages.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()


def test_a_vendors_export_with_other_times_and_doubles(run, record, tmp_path):
    (tmp_path / "vendor.csv").write_text(
        "Email,A-Number,Check In Time\na1@example.edu,,18:25\na1@example.edu,,18:26\n,,18:00\n"
        "a1@example.edu,a2,18:00\n"
    )
    lines = run("reconcile", "vendor.csv", "--event", "1", status=1)
    assert lines[0] == (
        "~ at different times: a1  2026-11-09T18:05:00Z, in the file 2026-11-09T18:25:00Z"
    )
    assert [line.partition(":")[0] for line in lines[1:3]] == ["? row 4", "? row 5"]


def test_the_whole_record_goes_to_another_store(run, record, calls, tmp_path, url, empty_url):
    calls.attend("a9", "1")
    run("desk", "merge-students", "a1", "a2")
    calls.attend("a2", "1", check_in_time="2026-11-09T18:01:00Z")
    run("desk", "correct", "a1", "1", "--checked-out-at", "2026-11-09T19:00:00Z", "--reason", "x")
    assert run("export", "all", "whole.jsonl")[0].startswith("whole.jsonl: ")
    (line,) = run("import", "all", "whole.jsonl", status=2)
    assert line == "attendance-hub: The store is not empty (Import into a new one: --database)"
    other = ("--database", f"sqlite:///{tmp_path}/other.db")
    assert run("import", "all", "whole.jsonl", *other)[0].endswith(
        f"rows imported into sqlite:///{tmp_path}/other.db"
    )
    run("export", "all", "again.jsonl", *other)
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    # And from SQLite to what is tested: back, or to PostgreSQL.
    third = ("--database", empty_url)
    run("import", "all", "again.jsonl", *third)
    run("export", "all", "third.jsonl", *third)
    assert (tmp_path / "third.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert cursor_of(empty_url) == cursor_of(url) == cursor_of(f"sqlite:///{tmp_path}/other.db")
    for store in (other, third):
        assert run("rebuild", "--dry-run", *store)[0] == (
            "attendances: 0 missing, 0 too many, 0 with other times"
        )
        told = json.loads(
            run("desk", "save-student", "--identifier", "card=1", "--json", *store)[0]
        )
        assert told["student"]["id"] == 3
    assert run("who", "1", *other) == run("who", "1")
    run("desk", "split-students", "a2", *other)
    assert "2 came" in run("who", "1", *other)[0]
    assert (
        json.loads(run("desk", "check-in", "a2", "1", "--json", *other)[0])["attendance"]["id"] == 2
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda lines: lines[1:], "The file is no whole record"),
        (lambda lines: lines[:-1], "The file is not whole: it has"),
        (lambda lines: [*lines[:-2], lines[-1]], "The file is not whole: it has"),
        (lambda lines: [lines[0], b"nonsense\n"], "Line 2 of the file is no JSON object"),
        (lambda lines: [b'{"format":"attendance-hub","schema":1}\n'], "The file has schema version 1"),
        (lambda lines: [lines[0], b'{"table":"x","row":{}}\n'], "The file has a table that is unknown"),
        (lambda lines: [lines[0], b'{"table":"student","row":{}}\n'], "The file has rows with other"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_whole_record_changes_nothing(run, record, tmp_path, change, why):
    run("export", "all", "whole.jsonl")
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "broken.jsonl").write_bytes(b"".join(change(lines)))
    other = ("--database", f"sqlite:///{tmp_path}/other.db")
    (line,) = run("import", "all", "broken.jsonl", *other, status=2)
    assert line.startswith(f"attendance-hub: {why}")
    assert run("export", "students", "s.jsonl", *other)[0] == "s.jsonl: 0 bytes"


def test_on_a_running_hub(run, serve_http, tmp_path):
    server = serve_http(environment={"HUB_ADMIN_TOKEN": "t" * 20})
    remote = ("--url", server.url, "--token", "t" * 20)
    (tmp_path / "roster.csv").write_text("A-Number,Name\na3,Edsger Muster\n")
    assert run("import", "students", "roster.csv", *remote)[-1].startswith("1 row: 1 created")
    assert run("import", "students", "roster.csv", "--dry-run", *remote)[-1].startswith(
        "1 row: 0 created, 0 changed, 1 unchanged"
    )
    (line,) = run("desk", "hide-student", "a3", *remote)
    assert line.startswith("Student hidden successfully: student 1 Edsger Muster")
    (line,) = run("desk", "hide-student", "a3", "--url", server.url, "--token", "x", status=2)
    assert line.startswith("attendance-hub: Invalid token")
    (line,) = run("desk", "undo", "0" * 28, "--url", "http://127.0.0.1:9", "--token", "x", status=2)
    assert "cannot be asked" in line
    (line,) = run("import", "all", "roster.csv", *remote, status=2)
    assert line.endswith("import all is for a store: leave out --url")
    assert requests.get(f"{server.url}/api/students/", timeout=5).status_code == 401
