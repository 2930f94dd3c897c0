"""``attendance-hub deliveries`` and ``rebuild``, as a person types them."""

import json
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hubtest import LEGACY, UNIFIED, Calls, Client

from hub.store import captures

CHECK_IN = {"student_identifier": "a1", "event_identifier": "Weekly Meeting"}


@pytest.fixture
def waiting(client):
    return client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]


class TestList:
    def test_a_line_each_the_newest_first(self, run, waiting, calls):
        applied = calls.student("a1").headers["x-delivery-id"]
        first, second = run("deliveries", "list")
        assert re.fullmatch(
            rf"{applied}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC  unified  applied  201", first
        )
        assert second.startswith(waiting)
        assert second.endswith(
            "legacy  refused  404  Student with identifier a1 not found"
            "  waits for student a_number:a1"
        )

    @pytest.mark.parametrize(
        "filters",
        [
            ("--status", "waiting"),
            ("--status", "refused", "--source", "legacy", "--since", "1h"),
            ("--student", "a1", "--event", "Weekly Meeting", "--status", "404"),
        ],
    )
    def test_filters(self, run, waiting, calls, filters):
        calls.student("a1")
        line, *more = run("deliveries", "list", *filters)
        assert line.startswith(waiting)
        assert [line.split(" (")[0] for line in more] == ["1 delivery"] * ("--event" in filters)

    def test_limit_and_json(self, run, calls):
        for number in range(3):
            calls.student(f"a{number}")
        assert len(run("deliveries", "list", "--limit", "2")) == 3  # and that there are more
        assert len(run("deliveries", "list", "--limit", "0")) == 3
        lines = run("deliveries", "list", "--json")
        assert [json.loads(line)["outcome"] for line in lines] == ["applied"] * 3

    def test_of_an_event_it_says_that_it_is_no_head_count(self, run, waiting, calls):
        lines = run("deliveries", "list", "--event", "Weekly Meeting")
        assert lines[1:] == ["1 delivery (no head count: refused and repeated ones count too)"]
        calls.event()
        run("deliveries", "replay", waiting, status=1)
        *_, last = run("deliveries", "list", "--event", "Weekly Meeting")
        assert last.startswith("2 deliveries (no head count: ")
        assert len(run("deliveries", "list", "--event", "Weekly Meeting", "--json")) == 2
        assert len(run("deliveries", "list")) == 2

    def test_a_filter_that_cannot_be_read_is_one_line(self, run):
        (line,) = run("deliveries", "list", "--status", "lost", status=2)
        assert line.startswith("attendance-hub: Unknown status: use one of applied, ")
        (line,) = run("deliveries", "list", "--since", "never", status=2)
        assert line.startswith("attendance-hub: Invalid since: ")


class TestShow:
    def test_everything_that_is_kept(self, run, waiting, calls):
        calls.student("a1")
        calls.event()
        run("deliveries", "replay", waiting)
        lines = run("deliveries", "show", waiting)
        assert lines[0].startswith(f"delivery {waiting} to legacy, received 20")
        assert lines[1] == "outcome: applied"
        assert [line.split(",")[0] for line in lines if line.startswith("attempt")] == [
            "attempt 1",
            "attempt 2",
        ]
        assert "  content-type: application/json" in lines
        assert '  "student_identifier": "a1",' in lines
        shown = json.loads("\n".join(run("deliveries", "show", waiting, "--json")))
        assert [attempt["status"] for attempt in shown["attempts"]] == [404, 201]

    def test_what_a_sender_wrote_cannot_steer_the_terminal(self, run, client):
        reply = client.post(UNIFIED, body=b"\x1b[2J\x07 no JSON \xe2\x80\xae")
        lines = run("deliveries", "show", reply.headers["x-delivery-id"])
        assert r"\x1b[2J\x07 no JSON \u202e" in lines

    def test_a_body_that_is_no_text_and_one_that_is_gone(self, run, client):
        reply = client.post(UNIFIED, body=b"\xff")
        delivery = reply.headers["x-delivery-id"]
        assert "body, not UTF-8, in Base64: /w==" in run("deliveries", "show", delivery)
        reply = client.post(LEGACY, {"student_identifier": "ab12", "event_identifier": "x"})
        run("forget", "ab12", "--yes")
        lines = run("deliveries", "show", reply.headers["x-delivery-id"])
        assert lines[-1] == "no body: forgotten"

    def test_an_unknown_id_is_one_line(self, run, hub):
        (line,) = run("deliveries", "show", "nothing", status=2)
        assert line.startswith("attendance-hub: Delivery nothing not found (Ids are in the X-")


class TestReplay:
    def test_one(self, run, waiting, calls, rows):
        calls.student("a1")
        calls.event()
        assert run("deliveries", "replay", waiting, "--dry-run") == [
            f"{waiting}  refused -> applied  201",
            "1 tried, and nothing changed: 1 applied",
        ]
        assert rows.count("Attendance") == 0
        assert run("deliveries", "replay", waiting) == [
            f"{waiting}  refused -> applied  201",
            "1 replayed: 1 applied",
        ]
        assert run("deliveries", "replay", waiting, status=1) == [
            f"{waiting}  Delivery {waiting} was applied; there is nothing to replay",
            "1 replayed: 1 not replayable",
        ]

    def test_all_that_wait_for_what_has_appeared(self, run, waiting, client, calls, rows):
        client.post(LEGACY, {**CHECK_IN, "student_identifier": "a2"})
        calls.student("a1")
        calls.event()
        assert run("deliveries", "replay", "--waiting")[-1] == "1 replayed: 1 applied"
        assert run("deliveries", "replay", "--waiting") == ["0 replayed"]
        assert rows.count("Attendance") == 1

    def test_all_that_match_the_oldest_first(self, run, waiting, client, calls):
        other = client.post(LEGACY, {**CHECK_IN, "student_identifier": "a2"})
        client.post(UNIFIED, {})
        calls.student("a1")
        calls.student("a2")
        lines = run("deliveries", "replay", "--source", "legacy", status=1)
        assert [line.split()[0] for line in lines[:-1]] == [waiting, other.headers["x-delivery-id"]]
        assert lines[-1] == "2 replayed: 2 refused"
        # What was applied is not among them.
        assert run("deliveries", "replay", "--status", "applied") == ["0 replayed"]

    def test_what_a_replay_makes_is_waited_for_too(
        self, run, client, hub, rows, monkeypatch, calls
    ):
        calls.event()
        student = {"student_identifier": "a1", "email": "a1@example.edu", "first_name": "A"}
        payload = {"type": "student", "data": {**student, "last_name": "B"}}
        monkeypatch.setattr(hub.plugins.hooks, "veto", lambda *_: "Not today")
        vetoed = client.post(UNIFIED, payload).headers["x-delivery-id"]
        monkeypatch.undo()
        monkeypatch.setenv("HUB_DATABASE", hub.settings.database)
        monkeypatch.setenv("HUB_APPLY_WAITING", "true")
        assert client.post(LEGACY, CHECK_IN).status == 404
        run("deliveries", "replay", vetoed)
        assert rows.count("Attendance") == 1

    @pytest.mark.parametrize(
        ("filters", "chosen"),
        [
            ((), "both"),
            (("--source", "legacy"), "legacy"),
            (("--source", "legacy", "--status", "404", "--student", "a1"), "legacy"),
            (("--event", "Weekly Meeting", "--since", "1h", "--status", "waiting"), "both"),
            (("--event", "Choir"), "none"),
            (("--status", "applied"), "none"),
        ],
    )
    def test_those_that_wait_can_be_narrowed(self, run, waiting, client, calls, filters, chosen):
        other = calls.attend("a1", "Weekly Meeting").headers["x-delivery-id"]
        client.post(LEGACY, {**CHECK_IN, "student_identifier": "a2"})
        calls.student("a1")
        calls.event()
        lines = run("deliveries", "replay", "--waiting", "--dry-run", *filters)
        expected = {"both": [waiting, other], "legacy": [waiting], "none": []}[chosen]
        assert [line.split()[0] for line in lines[:-1]] == expected

    @pytest.mark.parametrize("arguments", [(), ("x", "--status", "404"), ("x", "--waiting")])
    def test_all_is_not_meant_by_accident(self, run, arguments):
        (line,) = run("deliveries", "replay", *arguments, status=2)
        assert line.startswith("attendance-hub: Name either ids of deliveries, or filters such as ")

    def test_an_unknown_id_among_others_is_a_line_and_stops_nothing(self, run, waiting):
        lines = run("deliveries", "replay", "nothing", waiting, status=1)
        assert lines[0].startswith("nothing  Delivery nothing not found (Ids are in ")
        assert lines[1].startswith(f"{waiting}  refused -> refused")
        assert lines[2] == "2 replayed: 1 not replayable, 1 refused"

    def test_a_long_run_has_a_bar_where_somebody_looks(self, run, client, monkeypatch):
        monkeypatch.setattr("hub.cli.progress._WORTH_A_BAR", 1)
        monkeypatch.setattr("hub.cli.progress._is_watched", lambda: True)
        client.post(LEGACY, CHECK_IN)
        client.post(LEGACY, CHECK_IN)
        lines = run("deliveries", "replay", "--status", "404", status=1)
        assert any("replaying" in line for line in lines)
        assert lines[-1] == "2 replayed: 2 refused"


class TestRebuild:
    def test_it_shows_the_differences(self, run, calls, hub):
        for student in ("a1", "a2", "a3"):
            calls.student(student)
        calls.event()
        calls.event("Chess")
        calls.attend("a1", check_in_time="2024-01-15T10:00:00Z")
        calls.attend("a2", check_in_time="2024-01-15T10:00:00Z")
        calls.attend("a3", "Chess", check_in_time="2024-01-15T10:00:00Z")
        with hub.store.writing() as tx:
            tx.run("DELETE FROM attendance WHERE student = 1")
            tx.run("UPDATE attendance SET checked_out_at = checked_in_at WHERE student = 2")
            tx.run("UPDATE attendance SET event = 1 WHERE student = 3")
        lines = [line.split("  delivery ")[0] for line in run("rebuild", "--dry-run", status=1)]
        event = "(2024-01-15 10:00:00 UTC)"
        moment = "2024-01-15 10:00:00 UTC"
        assert sorted(lines[:4]) == [
            f"+ a1  Weekly Meeting {event}  {moment}",
            f"+ a3  Chess {event}  {moment}",
            f"- a3  Weekly Meeting {event}  {moment}",
            f"~ a2  Weekly Meeting {event}  {moment} to {moment} -> {moment}",
        ]
        assert lines[4:] == [
            "attendances: 2 missing, 1 too many, 1 with other times",
            "deliveries: 8 derived, 0 without body or plugin, whose attendances are taken as they "
            "stand, 0 failed",
        ]

    def test_it_is_dry_and_says_so(self, run):
        (line,) = run("rebuild", status=2)
        assert line.startswith("attendance-hub: rebuild: add --dry-run")


def test_moments_are_in_the_zone_of_the_hub(run, make_hub, monkeypatch):
    """Thursday evening in Denver is Friday in UTC; what is for programs stays in UTC."""
    monkeypatch.setenv("HUB_TIME_ZONE", "America/Denver")
    hub = make_hub(time_zone=ZoneInfo("America/Denver"), check_in_window=3)
    calls = Calls(Client(hub))
    calls.student("a1")
    delivery = calls.event(date="2026-10-30T00:00:00Z").headers["x-delivery-id"]
    calls.attend("a1", check_in_time="2026-10-30T00:00:07.5Z")
    early = calls.attend("a1", check_in_time="2026-10-29T04:00:00Z").headers["x-delivery-id"]
    received = datetime(2026, 10, 30, 0, 1, 2, 345_000)
    with hub.store.writing() as tx:
        tx.run("DELETE FROM attendance")
        tx.run("UPDATE delivery SET received_at = ?", received)
        tx.run("UPDATE attempt SET attempted_at = ?", received)
        captures.open_(tx, "digest", received, received)
    in_denver = "2026-10-29 18:01:02 America/Denver"
    assert (
        "Weekly Meeting (2026-10-29 18:00:00 America/Denver)  2026-10-29 18:00:07.500000 "
        "America/Denver  delivery"
    ) in run("rebuild", "--dry-run", status=1)[0]
    assert all(f"  {in_denver}  unified  " in line for line in run("deliveries", "list"))
    shown = run("deliveries", "show", delivery)
    assert shown[0] == f"delivery {delivery} to unified, received {in_denver}"
    assert [line for line in shown if line.startswith("attempt ")] == [
        f"attempt 1, {in_denver}: applied"
    ]
    near = "2026-10-28 19:00:00 America/Denver to 2026-10-29 01:00:00 America/Denver"
    awaited = f"waits for event name:Weekly Meeting from {near}"
    assert run("deliveries", "list")[0].endswith(f"  {awaited}")
    assert run("deliveries", "show", early)[1] == f"outcome: refused, {awaited}"
    assert run("capture", "--list") == [f"1: ended {in_denver}, 0 requests"]
    assert run("capture")[0].endswith(" America/Denver:")
    told = json.loads("\n".join(run("deliveries", "show", delivery, "--json")))
    assert told["received_at"] == told["attempts"][0]["at"] == "2026-10-30T00:01:02.345Z"
    assert "2026-10-30T00:01:02.345Z" in run("deliveries", "list", "--json")[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ("deliveries", "list", "--student", "a\udcff"),
        ("deliveries", "replay", "--event", "a\udcff"),
        ("forget", "a\udcff", "--yes"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_one_line(run, hub, arguments):
    (line,) = run(*arguments, status=2)
    assert line.startswith("attendance-hub: Invalid ")
    assert line.endswith(": it is not UTF-8")


@pytest.mark.parametrize(
    "arguments",
    [
        ("deliveries", "list"),
        ("deliveries", "show", "x"),
        ("deliveries", "replay", "x"),
        ("rebuild", "--dry-run"),
        ("forget", "x", "--yes"),
    ],
)
def test_a_store_that_is_not_there_is_named_and_not_made(run, tmp_path, empty_url, arguments):
    (line,) = run(*arguments, "--database", empty_url, status=2)
    assert line.startswith("attendance-hub: database: there is no store at ")
    assert list(tmp_path.glob("empty.db*")) == []
