"""The commands that read the record, over a store and over a running hub."""

import csv
import io
import json

import pytest
import requests

from hub.cli.tables import bars, columns, table

MONDAY = "2026-11-09T18:00:00Z"


@pytest.fixture
def record(hub, calls):
    calls.student("a1", first_name="Ada")
    calls.student("a2", first_name="=Grace")
    calls.event(date=MONDAY, points=5)
    calls.event(date="2026-11-16T18:00:00Z", points=5)
    calls.event(date="2999-11-16T18:00:00Z")
    calls.attend("a1", "1", check_in_time="2026-11-09T18:05:00Z")
    calls.attend("a2", "1", check_in_time="2026-11-09T18:06:00Z")
    calls.attend("a1", "2", check_in_time="2026-11-16T18:05:00Z")


def test_who_came_to_the_last_one_that_has_begun(run, record):
    first, heading, _, line = run("who", "Weekly Meeting")
    assert first == "Weekly Meeting, 2026-11-16 18:00:00 UTC (event 2): 1 came"
    assert heading.split() == ["name", "identifier", "in", "(UTC)", "out", "source"]
    assert line.split() == ["Ada", "Example", "a1", "2026-11-16", "18:05:00", "unified_webhook"]


@pytest.mark.parametrize("arguments", [("1",), ("Weekly Meeting", "--on", "2026-11-09")])
def test_who_came_that_day(run, record, arguments):
    found = run("who", *arguments)
    assert found[0].endswith("(event 1): 2 came")
    assert [line.split()[0] for line in found[3:]] == ["Ada", "=Grace"]
    assert [json.loads(line)["id"] for line in run("who", *arguments, "--json")] == [1, 2]


def test_as_csv_and_as_a_sheet(run, record, tmp_path):
    lines = run("who", "1", "--csv")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [row["student.name"] for row in rows] == ["Ada Example", "=Grace Example"]
    (said,) = run("who", "1", "--xlsx", "sheet.xlsx")
    assert said.startswith("sheet.xlsx: ")
    assert (tmp_path / "sheet.xlsx").read_bytes()[:2] == b"PK"
    assert list(tmp_path.glob("*.part")) == []


def test_what_a_student_attended(run, record):
    for named in ("a1", "A1@example.edu", "id:1", "ada"):
        first, second, _, _, *lines = run("student", named)
        assert first == "Ada Example  (student 1: a_number a1, email a1@example.edu)"
        assert second == "2 attendances, 10 points"
        assert len(lines) == 2


def test_several_who_may_be_meant_are_named(run, record):
    (line,) = run("student", "example", status=2)
    assert "2 students are meant by example: Ada Example (id:1); =Grace Example (id:2)" in line


def test_reports(run, record):
    assert run("report", "students")[0] == "2 events so far; 2 students"
    assert [line.split()[2:7] for line in run("report", "students")[3:]] == [
        ["a2", "1", "of", "2", "50%"], ["a1", "2", "of", "2", "100%"],
    ]  # fmt: skip
    assert run("report", "students", "--at-least", "2")[0] == "2 events so far; 1 student"
    weeks = run("report", "events", "--by", "week", "--to", "2026-12-31")
    assert [line.split() for line in weeks[2:]] == [
        ["2026-W46", "2", "2", "10"], ["2026-W47", "1", "1", "5"],
    ]  # fmt: skip
    chart = run("report", "events", "--by", "week", "--chart", "--to", "2026-12-31")
    assert [(line.split()[0], line.split()[-1]) for line in chart] == [
        ("2026-W46", "2"), ("2026-W47", "1"),
    ]  # fmt: skip
    assert chart[0].count("█") == pytest.approx(2 * chart[1].count("█"), abs=1)


def test_doubts(run, record, calls):
    assert run("doubts") == ["there is no doubt"]
    calls.attend("a2", "2", check_in_time=MONDAY)
    assert run("doubts")[2].split()[:2] == ["outside", "attendance"]
    assert run("doubts", "--kind", "twins") == ["there is no doubt"]


@pytest.mark.parametrize("form", ["csv", "xlsx", "jsonl"])
def test_export_writes_what_the_file_is_called(run, record, tmp_path, form):
    run("export", "attendances", f"all.{form}", "--event", "Weekly Meeting", "--state", "all")
    assert (tmp_path / f"all.{form}").stat().st_size > 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("export", "students", "x.doc"),
            "x.doc is no file that can be written; call it .csv, .xlsx",
        ),
        (
            ("export", "students", "no/x.csv"),
            "no/x.csv cannot be written: No such file or directory",
        ),
        (("export", "students", "x.csv", "--event", "1"), "Unknown parameter: event"),
        (("who", "Nothing"), "Event with identifier Nothing not found"),
        (("who", "Weekly Meeting", "--on", "2026-01-01"), "not found on 2026-01-01"),
        (("who", "1", "--on", "today"), "Invalid --on: use a date such as 2026-11-12"),
        (("who", "1", "--json", "--csv"), "Use one of these: --json, --csv, --xlsx"),
        (("student", "nobody"), "Student with identifier nobody not found"),
        (("report", "events", "--from", "soon"), "Invalid from: use a date such as 2026-11-12"),
        (("who", "1", "--token", "x"), "--token is for --url: the store asks for none"),
        (
            ("who", "1", "--url", "ftp://x"),
            "--url: ftp://x is no address such as http://127.0.0.1:8000",
        ),
    ],
)
def test_what_is_wrong_is_named(run, record, arguments, said):
    (line,) = run(*arguments, status=2)
    assert said in line


def test_the_same_of_a_running_hub(run, shared, tmp_path, monkeypatch):
    token = "0123456789abcdef-admin"
    server = shared(HUB_ADMIN_TOKEN=token)
    for payload in (
        {"type": "student", "data": {"student_identifier": "cli1", "email": "cli1@example.edu",
                                     "first_name": "Żółć", "last_name": "Example"}},
        {"type": "event", "data": {"event_name": "CLI / night", "event_date": MONDAY}},
        {"type": "attendance", "data": {"student_identifier": "cli1", "event_identifier": "CLI / night"}},
    ):  # fmt: skip
        assert requests.post(f"{server.url}/api/webhook/unified/", json=payload).status_code == 201
    at = ("--url", server.url)
    (line,) = run("who", "CLI / night", *at, status=2)
    assert "Missing token" in line
    monkeypatch.setenv("ATTENDANCE_HUB_TOKEN", token)
    assert run("who", "CLI / night", *at)[3].startswith("Żółć Example")
    assert run("student", "cli1", *at)[1] == "1 attendance, 0 points"
    assert run("export", "students", "all.jsonl", *at)[0].startswith("all.jsonl: ")
    assert run("doubts", *at)
    (line,) = run("who", "1", "--url", "http://127.0.0.1:9", status=2)
    assert "http://127.0.0.1:9 cannot be asked: " in line


def test_a_table_fits_and_counts_what_is_seen():
    rows = [("Ada" * 40, "a1"), ("春" * 30, "a2"), ("e\u0301", "a3")]
    lines = list(table(("name", "id"), rows, width=40))
    assert all(columns(line) <= 40 for line in lines)
    assert {columns(line.rstrip()) for line in lines if line.endswith(("a1", "a2", "a3"))} == {40}
    assert "…" in lines[2]


def test_bars_of_nothing():
    assert list(bars([])) == []
    assert list(bars([("x", 0)], width=30)) == ["x  0"]
