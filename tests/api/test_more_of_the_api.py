"""What the API answers beside the specification's own: what the console stands on."""

import json
from datetime import datetime, timedelta

import pytest
from hubtest import UNIFIED, Calls, Client

from hub.domain.timestamps import utc_now
from hub.jobs import tokens

TOKEN = "0123456789abcdef"


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def ask(hub):
    client = Client(hub)

    def ask(path, body=None, token=TOKEN, **query):
        from urllib.parse import urlencode

        headers = {"Authorization": f"Bearer {token}"}
        method = "GET" if body is None else "POST"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        text = urlencode(query)
        return client.request(method, path, data, headers, "application/json", text)

    return ask


@pytest.fixture
def calls(hub):
    calls = Calls(Client(hub))
    for number in range(1, 5):
        calls.student(f"a{number}", first_name=f"Ada{number}")
    for day in (1, 2, 3):
        calls.event(f"Lab {day}", f"2026-11-0{day}T18:00:00Z")
    for number, minute in ((1, 0), (2, 4), (3, 6)):
        calls.attend(f"a{number}", "Lab 1", check_in_time=f"2026-11-01T18:0{minute}:30Z")
    return calls


def test_the_newest_first_a_page_at_a_time(ask, calls):
    for path, plural, count in (
        ("/api/events/", "events", 3),
        ("/api/attendances/", "attendances", 3),
        ("/api/events/1/attendances/", "attendances", 3),
    ):
        seen, cursor = [], None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            told = ask(path, order="newest", limit="2", **more).json
            seen += [row["id"] for row in told[plural]]
            cursor = told["next"]
            if cursor is None:
                break
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == count
    assert ask("/api/events/", order="x").error == "Invalid order: use id or newest"
    assert ask("/api/events.csv", order="newest").status == 400
    first = ask("/api/events/", order="newest")
    assert first.headers["etag"]


def test_events_by_a_part_of_their_name(ask, calls):
    calls.event("Übung", "2026-11-04T18:00:00Z")
    assert [one["name"] for one in ask("/api/events/", q="LAB 2").json["events"]] == ["Lab 2"]
    assert [one["name"] for one in ask("/api/events/", q="üBU").json["events"]] == ["Übung"]
    assert ask("/api/events/", q="%").json["events"] == []
    assert ask("/api/events/", q=" ").status == 400
    both = ask("/api/events/", q="lab", **{"from": "2026-11-02"}).json["events"]
    assert [one["id"] for one in both] == [2, 3]


def test_who_is_absent(ask, calls):
    told = ask("/api/events/1/absent/", count="true").json
    assert ([one["identifier"] for one in told["students"]], told["count"]) == (["a4"], 1)
    payload = {"action": "withdraw", "data": {"attendance": 1}, "reason": "x"}
    ask("/api/webhook/desk/", payload)
    assert len(ask("/api/events/1/absent/").json["students"]) == 2
    ask("/api/webhook/desk/", {"action": "hide_student", "data": {"student": "a4"}})
    assert [one["id"] for one in ask("/api/events/1/absent/").json["students"]] == [1]
    merge = {"action": "merge_students", "data": {"keep": "a1", "merge": "a2"}}
    ask("/api/webhook/desk/", merge)
    assert ask("/api/events/1/absent/").json["students"] == []
    assert ask("/api/events/9/absent/").status == 404
    assert ask("/api/events/1/absent.csv").body.count(b"\n") == 1


def test_arrivals(ask, calls):
    rows = ask("/api/reports/arrivals/", event="1").json["rows"]
    assert rows == [
        {"since": "2026-11-01T18:00:00Z", "came": 2, "left": 0},
        {"since": "2026-11-01T18:05:00Z", "came": 1, "left": 0},
    ]
    rows = ask("/api/reports/arrivals/", event="Lab 1", minutes="60").json["rows"]
    assert rows == [{"since": "2026-11-01T18:00:00Z", "came": 3, "left": 0}]
    payload = {
        "action": "check_out",
        "data": {"student": "a1", "event": "1", "at": "2026-11-01T19:01Z"},
    }
    ask("/api/webhook/desk/", payload)
    assert ask("/api/reports/arrivals/", event="1").json["rows"][-1]["left"] == 1
    for wrong in ("0", "x", "1441", "-5", "00010000"):
        assert ask("/api/reports/arrivals/", minutes=wrong).status == 400
    assert ask("/api/reports/arrivals.csv").body.startswith(b"since,")


class TestCauses:
    def test_they_are_told_with_what_would_find_them(self, ask, calls):
        calls.attend("a9", "Lab 1")
        calls.attend("a9", "Lab 2")
        calls.client.post(UNIFIED, {"type": "x"})
        one, other = ask("/api/deliveries/causes/").json["causes"]
        assert (one["what"], one["kind"], one["value"]) == ("student", "a_number", "a9")
        assert (one["deliveries"], one["sources"], one["owner"]) == (2, {"unified": 2}, None)
        assert (other["what"], other["deliveries"]) == ("other", 1)
        found = ask("/api/deliveries/", waiting_for=one["waiting_for"]).json["deliveries"]
        assert len(found) == 2
        found = ask("/api/deliveries/", error=other["error"]).json["deliveries"]
        assert [row["id"] for row in found] == [other["newest"]]
        assert ask("/api/deliveries/causes/", since="2030-01-01").json == {"causes": []}
        assert ask("/api/deliveries/causes/", since="x").status == 400

    def test_near_and_named_events(self, make_hub):
        hub = make_hub(admin_token=TOKEN, check_in_window=2.0)
        calls = Calls(Client(hub))
        calls.student("a1")
        calls.event("Lab", "2026-11-01T18:00:00Z")
        calls.attend("a1", "Lab", check_in_time="2026-11-08T18:00:00Z")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        path = "/api/deliveries/causes/"
        (cause,) = Client(hub).get(path, headers=headers).json["causes"]
        assert (cause["what"], cause["value"], cause["owner"]) == ("event", "Lab", None)
        calls.event("Lab", "2026-11-08T18:30:00Z")
        (cause,) = Client(hub).get(path, headers=headers).json["causes"]
        assert cause["owner"] == "Lab"

    def test_a_mend_is_tried_and_done(self, ask, calls, rows):
        for day in (1, 2, 3):
            calls.attend("a9", f"Lab {day}")
        give = {"student": "id:4", "identifiers": {"a_number": "a9"}}
        wanted = {
            "waiting_for": "student a_number:a9",
            "payload": {"action": "save_student", "data": give},
        }
        before = {name: rows.count(name) for name in ("Attendance", "Delivery", "Attempt", "Deed")}
        tried = ask("/api/deliveries/mend/", wanted, dry_run="true").json
        assert (tried["attempted"], tried["applied"], tried["more"]) == (3, 3, False)
        assert {name: rows.count(name) for name in before} == before
        done = ask("/api/deliveries/mend/", wanted).json
        assert (done["attempted"], done["applied"]) == (3, 3)
        assert done["answer"]["student"]["identifier"] == "a9"
        assert rows.count("Attendance") == before["Attendance"] + 3
        assert ask("/api/deliveries/causes/").json["causes"] == []

    def test_more_than_a_trial_takes(self, ask, calls):
        for number in range(55):
            calls.attend("a9", "Lab 1", check_in_time=f"2026-11-01T18:00:{number:02}Z")
        wanted = {"waiting_for": "student a_number:a9", "student": "a4"}
        tried = ask("/api/deliveries/mend/", wanted, dry_run="true").json
        assert (tried["attempted"], tried["more"]) == (50, True)
        done = ask("/api/deliveries/mend/", wanted).json
        assert (done["attempted"], done["applied"]) == (55, 1)

    def test_what_was_meant_can_be_undone(self, ask, calls, rows):
        calls.attend("a9", "Lab 1")
        done = ask(
            "/api/deliveries/mend/", {"waiting_for": "student a_number:a9", "student": "a4"}
        ).json
        assert done["results"][0]["attendance"]["student"]["identifier"] == "a4"
        desk = [row["id"] for row in rows("Delivery") if row["source"] == "desk"][-1]
        ask("/api/webhook/desk/", {"action": "undo", "data": {"delivery": desk}})
        assert rows("Attendance")[-1]["state"] == 2
        assert len(ask("/api/deliveries/causes/").json["causes"]) == 1

    @pytest.mark.parametrize(
        ("given", "error"),
        [
            ({}, "waiting_for or error is required"),
            ({"waiting_for": 1}, "Invalid waiting_for: it must be text"),
            (
                {"waiting_for": "x", "payload": "x"},
                "Invalid payload: it must be an object, for the desk",
            ),
            ({"waiting_for": "x", "nonsense": "x"}, "Unknown member: nonsense"),
            ({"waiting_for": "x", "payload": {"action": "x"}}, "Unknown action: x"),
            (
                {"waiting_for": "x", "payload": {"action": "undo", "data": {"delivery": "0" * 28}}},
                f"Delivery {'0' * 28} not found",
            ),
        ],
    )
    @pytest.mark.parametrize("dry_run", ["true", "false"])
    def test_what_is_wrong_is_said(self, ask, calls, given, error, dry_run):
        assert ask("/api/deliveries/mend/", given, dry_run=dry_run).error == error

    def test_the_desk_may(self, hub, ask, calls):
        desk = tokens.create(hub.store, "d", ["desk"], [], None)
        read = tokens.create(hub.store, "r", ["read"], [], None)
        assert ask("/api/deliveries/causes/", token=desk).status == 200
        assert ask("/api/deliveries/causes/", token=read).status == 403
        assert ask("/api/deliveries/mend/", {"waiting_for": "x"}, token=read).status == 403


class TestTokens:
    def test_made_listed_revoked(self, ask):
        made = ask("/api/tokens/", {"name": "n", "scopes": ["read"], "expires": "2d"})
        assert made.status == 201
        assert ask("/api/students/", token=made.json["token"]).status == 200
        (one,) = ask("/api/tokens/").json["tokens"]
        assert (one["name"], one["scopes"], one["is_valid"]) == ("n", ["read"], True)
        assert made.json["token"] not in ask("/api/tokens/").body.decode()
        assert ask("/api/tokens/revoke/", {"name": "n"}).status == 200
        assert ask("/api/students/", token=made.json["token"]).status == 401
        assert ask("/api/tokens/revoke/", {"name": "n"}).status == 404

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({}, 400),
            ({"name": "n"}, 400),
            ({"name": "n", "scopes": ["all"]}, 400),
            ({"name": "n", "scopes": "read"}, 400),
            ({"name": "n", "scopes": [1]}, 400),
            ({"name": "n", "scopes": ["read"], "sources": ["x"]}, 400),
            ({"name": "n", "scopes": ["read"], "expires": "soon"}, 400),
            ({"name": "n\n", "scopes": ["read"]}, 400),
            ({"nonsense": "x"}, 400),
        ],
    )
    def test_what_is_wrong_is_said(self, ask, given, status):
        assert ask("/api/tokens/", given).status == status
        assert ask("/api/tokens/").json == {"tokens": []}


class TestSources:
    def test_the_pulse(self, ask, calls):
        found = {one["name"]: one for one in ask("/api/sources/", days="3").json["sources"]}
        one = found["unified"]
        assert [day.get("applied", 0) for day in one["days"]] == [0, 0, 10]
        assert not one["silent"]
        assert found["legacy"]["last_delivery_at"] is None
        assert ask("/api/sources/", days="0").status == 400
        assert ask("/api/sources/", days="29").status == 400

    def test_one_is_silent_for_longer_than_it_has_been(self, hub, calls):
        from datetime import UTC

        from hub.record import pulse

        now = utc_now()
        with hub.store.reading() as db:
            (one,) = pulse.every(db, ["unified"], now + timedelta(days=1), 2, UTC)
        assert not one.is_silent  # it was heard once only
        heard = [now - timedelta(hours=hours) for hours in (12, 10, 8)]
        assert pulse._is_silent(heard, now)
        assert not pulse._is_silent(heard, now - timedelta(hours=5.5))
        assert not pulse._is_silent([], now)


class TestSetup:
    def test_it_names_no_secret(self, ask):
        told = ask("/api/setup/").json
        assert TOKEN not in json.dumps(told)
        settings = {one["name"]: one for one in told["settings"]}
        assert settings["admin_token"]["value"] == "set, not shown"
        routes = {(one["method"], one["path"]) for one in told["routes"]}
        assert ("GET", "/api/events/") in routes
        assert ask("/api/captures/1/").status == 404


class TestImports:
    def test_the_earlier_ones(self, hub, ask, calls):
        for name in (b"A-Number,First Name\nb1,Zoe\n", b"A-Number,First Name\nb2,Yan\n,No\n"):
            assert ask("/api/imports/students/", name).status == 200
        told = ask("/api/imports/", limit="1").json
        (newest,) = told["imports"]
        assert (newest["kind"], newest["created"], newest["refused"]) == ("students", 1, 1)
        (older,) = ask("/api/imports/", cursor=told["next"]).json["imports"]
        assert older["undone_by"] is None
        undo = {"action": "undo", "data": {"delivery": older["import"]}}
        by = ask("/api/webhook/desk/", undo).json["delivery"]
        assert ask("/api/imports/").json["imports"][1]["undone_by"] == by
        rows = ask("/api/deliveries/", of=newest["import"], status="refused").json["deliveries"]
        assert [row["row"] for row in rows] == [3]

    def test_a_row_of_no_file_takes_no_place_on_a_page(self, ask):
        row = {"kind": "students", "data": {"identifiers": {"a_number": "b9"}, "first_name": "Zed"}}
        made = []
        for name in (b"A-Number,First Name\nb1,Zoe\n", b"A-Number,First Name\nb2,Yan\n"):
            made.append(ask("/api/imports/students/", name).json["import"])
            assert ask("/api/webhook/import/", row).status in (200, 201)
        told, found = ask("/api/imports/", limit="1").json, []
        while True:
            found += [one["import"] for one in told["imports"]]
            if told["next"] is None:
                break
            told = ask("/api/imports/", limit="1", cursor=told["next"]).json
        assert found == made[::-1]

    def test_a_file_beside_the_record(self, ask, calls):
        body = b"A-Number,Check In Time\na1,2026-11-01T18:00:30Z\na4,\na9,\n"
        told = ask("/api/imports/reconcile/", body, event="1").json
        assert [row["student"] for row in told["in_file"]] == ["a_number:a4"]
        assert [row["id"] for row in told["in_record"]] == [2, 3]
        assert (told["same"], len(told["unread"])) == (1, 1)
        assert ask("/api/imports/reconcile/", body, event="9").status == 404
        assert ask("/api/imports/reconcile/", body).error == "event is required"
        assert ask("/api/imports/reconcile/", b"", event="1").error == "The request has no file"


def test_forgetting_wants_the_name(ask, calls, rows):
    path = "/api/students/1/forget/"
    assert ask(path, {"name": "Ada"}).error == "The name is another one"
    assert ask(path, {"name": "Ada1 Example"}).json["attendances"] == 1
    assert ask(path, {"name": "Ada1 Example"}).status == 404
    assert ask("/api/students/99/forget/", {"name": "x"}).status == 404
    assert not any("Ada1" in str(row) for row in rows("Student"))


def test_operations_of_a_delivery(ask, calls, rows):
    delivery = rows("Delivery")[-1]["id"]
    (made,) = ask(f"/api/deliveries/{delivery}/", operations="true").json["operations"]
    assert (made["operation"], made["student"], made["event"]) == ("CheckIn", "a3", "Lab 1")
    assert datetime.fromisoformat(made["at"])
    assert "operations" not in ask(f"/api/deliveries/{delivery}/").json


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"identifiers": {}, "event": "Lab 1"}, "identifiers is required"),
        ({"identifiers": {"card": None}, "event": "Lab 1"}, "identifiers is required"),
        (
            {"identifiers": {"a_number": "a1"}, "event": "Lab 1", "on": "soon"},
            "Invalid on: use a date such as 2026-11-12",
        ),
    ],
)
def test_a_row_of_a_sheet_that_names_nobody_or_no_day(ask, calls, data, said):
    reply = ask("/api/webhook/import/", {"kind": "attendances", "data": data})
    assert (reply.status, reply.error) == (400, said)
