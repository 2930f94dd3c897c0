"""What is found in files: dates and times, columns, cells, calendars."""

import io
import sys
import zipfile
from datetime import UTC, date, datetime, time, timedelta

import openpyxl
import pytest

from hub.errors import Refused
from hub.sheets import columns, csv, ics, xlsx
from hub.sheets.columns import Kind, wish
from hub.sheets.moments import Order, is_in_doubt, order_of, read_date, read_moment, read_time
from hub.sheets.rows import Meeting, Rows
from hub.sheets.sheet import MissingExtra, Unreadable


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2026-11-12", None, date(2026, 11, 12)),
        ("12.11.26", None, date(2026, 11, 12)),
        ("13/11/2026", None, date(2026, 11, 13)),
        ("11/13/2026", None, date(2026, 11, 13)),
        ("3/3/2026", None, date(2026, 3, 3)),
        ("3/4/2026", Order.DAY_FIRST, date(2026, 4, 3)),
        ("3/4/2026", Order.MONTH_FIRST, date(2026, 3, 4)),
    ],
)
def test_dates(text, order, day):
    assert read_date(text, order) == day


@pytest.mark.parametrize("text", ["nonsense", "3/4/2026", "31/31/2026", "2026-13-01"])
def test_no_dates(text):
    with pytest.raises(ValueError):  # noqa: PT011 - each says why in its own words
        read_date(text, None)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("18:05", time(18, 5)),
        ("6:05 PM", time(18, 5)),
        ("12 am", time()),
        ("6:05:07 a.m.", time(6, 5, 7)),
    ],
)
def test_times(text, at):
    assert read_time(text) == at


@pytest.mark.parametrize("text", ["18", "13:00 pm", "25:00", "soon"])
def test_no_times(text):
    with pytest.raises(ValueError):  # noqa: PT011
        read_time(text)


def test_moments():
    day = date(2026, 11, 12)
    assert read_moment("18:05", None, day) == datetime(2026, 11, 12, 18, 5)
    assert read_moment("2026-11-12T18:05:00Z", None, None).tzinfo is UTC
    assert read_moment("11/13/2026, 6:05 PM", None, None) == datetime(2026, 11, 13, 18, 5)
    assert read_moment("13.11.2026", None, None) == datetime(2026, 11, 13)
    with pytest.raises(ValueError, match="it has no date"):
        read_moment("18:05", None, None)


def test_the_order_of_dates():
    assert order_of(["3/4/2026", "5/13/2026", "2026-11-12"]) is Order.MONTH_FIRST
    assert order_of(["3/4/2026", "13/4/2026"]) is Order.DAY_FIRST
    assert order_of(["2026-11-12", "", "3/4/2026"]) is None
    assert is_in_doubt("3/4/2026")
    assert not is_in_doubt("3.4.2026")
    assert not is_in_doubt("3/3/2026")


def payloads(text, kind, wishes=(), meeting=None):
    found = columns.find(csv.read(text.encode()), kind, [wish(one) for one in wishes])
    rows = Rows(found, kind, UTC, meeting)
    made = []
    for line in found.rows:
        try:
            made.append(rows.payload(line)["data"])
        except Refused as refused:
            made.append(refused.error)
    return made


def test_rows_of_a_calendar():
    text = (
        "Title,Start,End,Type,Points,Room\n"
        "A,2026-11-12 18:00,2026-11-12 20:00,Social,3,R1\n"
        ",2026-11-12,,,,\nB,,,,,\nC,2026-11-12,,,many,\nD,soon,,,,\n"
    )
    assert payloads(text, Kind.EVENTS) == [
        {"name": "A", "starts_at": "2026-11-12T18:00:00Z", "ends_at": "2026-11-12T20:00:00Z",
         "event_type": "Social", "points": 3, "location": "R1"},
        "The row has no name of an event",
        "The row does not tell when the event starts",
        "points is no whole number",
        "Start: it is no time such as 18:05",
    ]  # fmt: skip
    with pytest.raises(Refused, match="No column tells when an event starts"):
        payloads("Title\nA\n", Kind.EVENTS)
    with pytest.raises(Refused, match="an event has no card"):
        payloads("Title,Start,C\nA,2026-11-12,1\n", Kind.EVENTS, ["C:card"])


def test_rows_of_a_sheet():
    text = "Card,Event,Date,Time In,Time Out\n1,M,2026-11-12,18:05,19:00\n2,M,2026-11-12,,\n3,,,,\n"
    assert payloads(text, Kind.ATTENDANCES) == [
        {"identifiers": {"card": "1"}, "event": "M", "checked_in_at": "2026-11-12T18:05:00Z",
         "checked_out_at": "2026-11-12T19:00:00Z"},
        {"identifiers": {"card": "2"}, "event": "M", "on": "2026-11-12"},
        "The row names no event",
    ]  # fmt: skip
    late = payloads(
        "Card,Time\n1,0001-01-01 00:00:00+14:00\n", Kind.ATTENDANCES, (), Meeting(1, datetime(2026, 1, 1))
    )  # fmt: skip
    assert late[0].startswith("A moment of the row: ")


def test_names():
    text = "Email,Name\na@e.org,Ada Maria Example\nb@e.org,Bo\n"
    first, second = payloads(text, Kind.STUDENTS)
    assert (first["first_name"], first["last_name"]) == ("Ada Maria", "Example")
    assert second["first_name"] == "Bo"


def test_headings_that_come_again_are_left_out():
    found = columns.find(csv.read(b"Email\na@e.org\nEmail\nb@e.org\n"), Kind.STUDENTS, [])
    assert [line.cells for line in found.rows] == [["a@e.org"], ["b@e.org"]]
    assert found.warnings == ("Line 3 repeats the headings, and was left out",)


def test_what_no_csv_may_have():
    with pytest.raises(Unreadable, match="A cell in line 2 is too long"):
        csv.read(b"Email\n" + b"x" * 10_001)
    with pytest.raises(Refused, match="The file is empty"):
        columns.find(csv.read(b"\n\n"), Kind.STUDENTS, [])
    assert csv.read("Email\na@e.org\n".encode("utf-16")).form == "CSV with commas, UTF-16"


def test_cells_of_a_spreadsheet():
    book = openpyxl.Workbook()
    book.active.append([True, 1.5, 7, datetime(2026, 11, 12, 18, 5), date(2026, 11, 12),
                        time(18, 5), timedelta(hours=30), "00123"])  # fmt: skip
    book.create_sheet("Second")
    file = io.BytesIO()
    book.save(file)
    sheet = xlsx.read(file.getvalue(), 1 << 20)
    (line,) = sheet.lines
    assert list(line.cells[:4]) == ["true", "1.5", "7", "2026-11-12 18:05:00"]
    assert line.cells[4].startswith("2026-11-12")
    assert line.cells[7] == "00123"
    assert "2 sheets; only the first was read: Sheet" in sheet.warnings[0]
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("nothing.xml", b"<x/>")
    with pytest.raises(Unreadable, match="The file is no XLSX file"):
        xlsx.read(other.getvalue(), 1 << 20)


@pytest.mark.parametrize(
    ("module", "read"),
    [
        ("python_calamine", lambda: xlsx.read(b"PK\x03\x04", 1)),
        ("icalendar", lambda: ics.read(b"", UTC, datetime(2026, 1, 1))),
    ],
)
def test_a_library_that_is_missing_is_named(monkeypatch, module, read):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match="cannot be read by this hub"):
        read()


def calendar(*lines):
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:x", "BEGIN:VEVENT", *lines, "END:VEVENT",
             "END:VCALENDAR", ""]  # fmt: skip
    return "\r\n".join(whole).encode()


def test_calendars(monkeypatch):
    now = datetime(2026, 1, 1)
    (event,), warnings = ics.read(
        calendar("DTSTART;VALUE=DATE:20260106", "DTSTAMP:20260101T000000Z"), UTC, now
    )
    assert (event["name"], event["starts_at"], warnings) == ("Event", "2026-01-06T00:00:00Z", ())
    monkeypatch.setattr(ics, "MOST_EVENTS", 2)
    rule = calendar("UID:1", "DTSTART:20260106T180000Z", "RRULE:FREQ=DAILY;COUNT=9")
    with pytest.raises(Unreadable, match="more than 2 events"):
        ics.read(rule, UTC, now)
    assert ics.is_calendar(b"\xef\xbb\xbfBEGIN:VCALENDAR", "")
    assert not ics.is_calendar(b"Subject", "text/csv")
