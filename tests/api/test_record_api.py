"""The API of the record: listings, objects, filters, and what each bad request is told."""

import json
from zoneinfo import ZoneInfo

import pytest
from hubtest import ONETAP, Calls, Client

from hub.api.files import accepted
from hub.config.settings import SourceSettings
from hub.jobs.forget import forget
from hub.record import chunks

MONDAY, TUESDAY = "2026-11-09T18:00:00Z", "2026-11-10T18:00:00Z"


def visit(number, name, **more):
    """What OneTap sends of a check-in, or with ``event`` of another thing."""
    event = more.pop("event", "participant.checkin")
    return {
        "event": event, "timestamp": "2026-11-10T20:00:00Z",
        "data": {"participant": {"id": f"p{number}", **more},
                 "profile": {"id": f"f{number}", "name": name},
                 "list": {"id": "l1", "name": "Maker Monday", "date": MONDAY}},
    }  # fmt: skip


@pytest.fixture
def record(calls):
    """Three students, two meetings of one name, a list: present, left, withdrawn, seen twice."""
    for number, name in enumerate(("Ada", "Grace", "Żółć"), start=1):
        calls.student(f"a{number}", first_name=name)
    for at in (MONDAY, TUESDAY):
        calls.event(date=at, points=5, event_type="Meeting")
    calls.attend("a1", "1", check_in_time="2026-11-09T18:05:00Z")
    calls.attend("a2", "1", check_in_time="2026-11-09T18:06:00Z")
    calls.attend("a1", "2", check_in_time="2026-11-10T18:05:00Z")
    post = calls.client.post
    post(ONETAP, visit(1, "Bo Renard", checkInDate="2026-11-09T18:10:00Z"))
    post(ONETAP, visit(1, "Bo Renard", event="participant.checkout", checkOutDate=TUESDAY))
    post(ONETAP, visit(2, "Cy Renard", checkInDate="2026-11-09T18:11:00Z"))
    post(ONETAP, visit(2, "Cy Renard", event="participant.deleted"))
    calls.attend("a1", "2", check_in_time="2026-11-10T18:01:00Z")


def ids(reply, plural):
    assert reply.status == 200, reply.body
    return [row["id"] for row in reply.json[plural]]


def test_an_event_is_told_with_its_heads(api, record):
    assert api("/api/events/3/").json == {
        "id": 3, "name": "Maker Monday", "starts_at": MONDAY, "ends_at": None, "date": "2026-11-09",
        "event_type": "General", "points": 0, "description": "", "location": "",
        "identifiers": [{"kind": "onetap_list", "value": "l1"}], "hidden": False, "merged_into": None,
        "attendances": 1, "present": 0, "withdrawn": 1,
    }  # fmt: skip


def test_a_student_is_told_with_attendances_and_points(api, record):
    assert api("/api/students/1/").json == {
        "id": 1, "identifier": "a1", "email": "a1@example.edu", "name": "Ada Example",
        "first_name": "Ada", "last_name": "Example", "preferred_name": "", "is_admin": False,
        "identifiers": [{"kind": "a_number", "value": "a1"},
                        {"kind": "email", "value": "a1@example.edu"}],
        "hidden": False, "merged_into": None, "attendances": 2, "points": 10,
    }  # fmt: skip


def test_an_attendance_is_told_with_its_evidence(api, record):
    told = api("/api/attendances/5/").json
    evidence = told.pop("evidence")
    withdrawn = told.pop("withdrawn")
    assert told == {
        "id": 5, "student": {"id": 5, "identifier": None, "name": "Cy Renard", "email": None},
        "event": {"id": 3, "name": "Maker Monday", "date": "2026-11-09", "starts_at": MONDAY},
        "checked_in_at": "2026-11-09T18:11:00Z", "checked_out_at": None, "state": "withdrawn",
        "source": "onetap_webhook", "via": "onetap", "points": 0, "sightings": 0,
    }  # fmt: skip
    assert [(one["kind"], one["stands"], one["at"]) for one in evidence] == [
        ("check_in", False, "2026-11-09T18:11:00Z"),
        ("withdrawal", True, "2026-11-10T20:00:00Z"),
    ]
    assert withdrawn == {
        "at": "2026-11-10T20:00:00Z", "by": None, "reason": None, "delivery": evidence[1]["delivery"],
    }  # fmt: skip
    assert set(evidence[0]) == {
        "delivery", "source", "via", "kind", "at", "received_at", "by", "reason", "stands",
    }  # fmt: skip


@pytest.mark.parametrize("limit", [1, 2, 500])
@pytest.mark.parametrize(
    ("path", "plural", "query", "wanted"),
    [
        ("/api/events/", "events", {}, [1, 2, 3]),
        ("/api/events", "events", {"name": "Weekly Meeting"}, [1, 2]),
        ("/api/events/", "events", {"type": "Meeting", "from": "2026-11-10"}, [2]),
        ("/api/events/", "events", {"from": MONDAY, "to": TUESDAY}, [1, 3]),
        ("/api/events/", "events", {"to": "2026-11-09"}, [1, 3]),
        ("/api/events/1/attendances/", "attendances", {}, [1, 2]),
        ("/api/events/3/attendances/", "attendances", {}, [4]),
        ("/api/events/3/attendances/", "attendances", {"state": "all"}, [4, 5]),
        ("/api/events/3/attendances/", "attendances", {"state": "withdrawn"}, [5]),
        ("/api/events/3/attendances/", "attendances", {"state": "present"}, []),
        ("/api/events/3/attendances/", "attendances", {"state": "left,withdrawn"}, [4, 5]),
        ("/api/students/", "students", {}, [1, 2, 3, 4, 5]),
        ("/api/students/", "students", {"q": "reNA"}, [4, 5]),
        ("/api/students/", "students", {"q": "a2@ex"}, [2]),
        ("/api/students/", "students", {"q": "ŻÓŁĆ"}, [3]),
        ("/api/students/", "students", {"q": "%"}, []),
        ("/api/students/", "students", {"identifier": "A1"}, [1]),
        ("/api/students/", "students", {"identifier": "A2@EXAMPLE.edu"}, [2]),
        ("/api/students/", "students", {"identifier": "onetap_profile:f1"}, [4]),
        ("/api/students/", "students", {"identifier": "id:3"}, [3]),
        ("/api/students/", "students", {"identifier": "nobody"}, []),
        ("/api/students/1/attendances/", "attendances", {}, [1, 3]),
        ("/api/students/1/attendances/", "attendances", {"from": "2026-11-10"}, [3]),
        ("/api/attendances/", "attendances", {}, [1, 2, 3, 4]),
        ("/api/attendances/", "attendances", {"event": "Weekly Meeting"}, [1, 2, 3]),
        ("/api/attendances/", "attendances", {"event": "2", "student": "a1"}, [3]),
        ("/api/attendances/", "attendances", {"event": "No Meeting"}, []),
        ("/api/attendances/", "attendances", {"via": "onetap", "state": "all"}, [4, 5]),
        ("/api/attendances/", "attendances", {"source": "unified_webhook"}, [1, 2, 3]),
        ("/api/attendances/", "attendances", {"to": "2026-11-09T18:06:00Z"}, [1]),
    ],
)  # fmt: skip
def test_a_listing_is_narrowed_and_paged(api, record, path, plural, query, wanted, limit):
    found = api.pages(path, plural, limit=limit, **query)
    assert [row["id"] for row in found] == wanted
    counted = api(path, limit=1, count="true", **query)
    assert counted.json["count"] == len(wanted)


def test_dates_are_those_of_the_hubs_zone(make_hub, calls):
    hub = make_hub(admin_token="0123456789abcdef-admin", time_zone=ZoneInfo("America/Denver"))
    calls.client = Client(hub)
    calls.event(date="2026-11-10T06:30:00Z")  # late on the ninth

    def found(**query):
        text = "&".join(f"{name}={value}" for name, value in query.items())
        reply = calls.client.request(
            "GET", "/api/events/", query=text,
            headers={"Authorization": "Bearer 0123456789abcdef-admin"},
        )  # fmt: skip
        return [row["date"] for row in reply.json["events"]]

    assert found(**{"from": "2026-11-09", "to": "2026-11-09"}) == ["2026-11-09"]
    assert found(**{"from": "2026-11-10"}) == []


@pytest.mark.parametrize(
    ("path", "query", "error"),
    [
        ("/api/events/", {"nam": "x"}, "Unknown parameter: nam"),
        ("/api/events/", {"limit": "0"}, "Invalid limit: use a whole number from 1 to 500"),
        ("/api/events/", {"limit": "501"}, "Invalid limit: use a whole number from 1 to 500"),
        ("/api/events/", {"limit": "٣"}, "Invalid limit: use a whole number from 1 to 500"),
        ("/api/events/", {"cursor": "x"}, "Invalid cursor: use the next member of the page before"),
        ("/api/events/", {"cursor": ""}, "Invalid cursor: use the next member of the page before"),
        ("/api/events/", {"from": "soon"}, "Invalid from: use a date such as 2026-11-12, or"),
        ("/api/events/", {"to": "2026-02-30"}, "Invalid to: use a date such as 2026-11-12, or"),
        ("/api/events/", {"state": "seen"}, "Invalid state: use shown, hidden or all"),
        ("/api/events/", {"count": "yes"}, "Invalid count: use true or false"),
        ("/api/events/", {"name": ""}, "Invalid name: it is empty"),
        ("/api/events/", {"for": "excel"}, "Parameter for is for files"),
        ("/api/events.csv", {"for": "word"}, "Invalid for: use excel"),
        ("/api/events.csv", {"limit": "1"}, "Unknown parameter: limit"),
        ("/api/events.xlsx", {"for": "excel"}, "Unknown parameter: for"),
        ("/api/students/", {"identifier": "id:x"}, "Invalid identifier: after id: there is a"),
        ("/api/students/", {"identifier": ""}, "Invalid identifier: use an A-number, an e-mail"),
        ("/api/attendances/", {"student": "card:"}, "Invalid student: use an A-number, an e-mail"),
        ("/api/attendances/", {"state": "here"}, "Invalid state: use present, left, withdrawn or all"),
        ("/api/attendances/", {"state": "left,left"}, "Invalid state: use present, left"),
        ("/api/attendances/", {"source": "\0"}, "Invalid source: it has a NUL character"),
        ("/api/students/", {"q": "\udcff".encode("utf-8", "surrogatepass")}, None),
        ("/api/changes/", {"after": "x"}, "Invalid after: use the next member of the answer before"),
        ("/api/changes/", {"after": "9.9.00000000"}, "Invalid after: the record is another one"),
        ("/api/changes/", {"wait": "31"}, "Invalid wait: use seconds from 0 to 30"),
        ("/api/changes/", {"wait": "-1"}, "Invalid wait: use seconds from 0 to 30"),
        ("/api/reports/students/", {"at_least": "x"}, "Invalid at_least: use a whole number"),
        ("/api/reports/students/", {"order": "age"}, "Invalid order: use name, attended, points"),
        ("/api/reports/events/", {"by": "year"}, "Invalid by: use event, day, week, month"),
        ("/api/doubts/", {"kind": "mine"}, "Invalid kind: use identifiers_disagree, nameless,"),
        ("/api/doubts/", {"cursor": "mine"}, "Invalid cursor: use the next member of the page before"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(api, path, query, error):
    reply = api(path, **query)
    if error is None:
        assert reply.status in (200, 400)
        return
    assert reply.status == 400, reply.body
    assert reply.error.startswith(error)


def test_a_doubled_parameter_is_named(api, client):
    headers = {"Authorization": "Bearer 0123456789abcdef-admin"}
    reply = client.request("GET", "/api/events/", headers=headers, query="limit=1&limit=2")
    assert (reply.status, reply.error) == (400, "Parameter limit is given twice")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/api/events/9/", "Event with identifier 9 not found"),
        ("/api/events/9/attendances/", "Event with identifier 9 not found"),
        ("/api/events/x/", "Event with identifier x not found"),
        ("/api/events/01/", "Event with identifier 01 not found"),
        ("/api/students/9/", "Student with identifier 9 not found"),
        ("/api/students/9/attendances.csv", "Student with identifier 9 not found"),
        ("/api/attendances/9/", "Attendance with id 9 not found"),
    ],
)
def test_what_there_is_not_is_404(api, path, error):
    reply = api(path)
    assert (reply.status, reply.error) == (404, error)


class TestHidden:
    @pytest.fixture
    def hidden(self, api, record, calls):
        """The student of the present attendance of the list, and its event, are hidden in turn."""
        post = calls.client.post

        def hide(what):
            if what == "student":
                data = {"profileId": "f1"}
                assert post(ONETAP, {"event": "profile.deleted", "data": data}).status == 200
            else:
                assert (
                    post(ONETAP, {"event": "list.deleted", "data": {"listId": "l1"}}).status == 200
                )

        return hide

    def test_a_hidden_student_is_not_found_and_not_counted_and_nothing_is_lost(self, api, hidden):
        hidden("student")
        assert ids(api("/api/students/"), "students") == [1, 2, 3, 5]
        assert ids(api("/api/students/", state="hidden"), "students") == [4]
        assert ids(api("/api/students/", state="all"), "students") == [1, 2, 3, 4, 5]
        assert api("/api/students/4/").json["hidden"] is True
        assert api("/api/events/3/").json["attendances"] == 0
        assert ids(api("/api/events/3/attendances/"), "attendances") == []
        assert ids(api("/api/events/3/attendances/", state="all"), "attendances") == [4, 5]
        assert ids(api("/api/students/4/attendances/"), "attendances") == [4]
        assert ids(api("/api/attendances/"), "attendances") == [1, 2, 3]
        assert api("/api/attendances/4/").status == 200

    def test_so_is_a_hidden_event(self, api, hidden):
        hidden("event")
        assert ids(api("/api/events/"), "events") == [1, 2]
        assert ids(api("/api/events/", state="hidden"), "events") == [3]
        assert api("/api/events/3/").json["attendances"] == 1
        assert api("/api/students/4/").json["attendances"] == 0
        assert ids(api("/api/students/4/attendances/"), "attendances") == []
        assert ids(api("/api/students/4/attendances/", state="all"), "attendances") == [4]
        assert ids(api("/api/events/3/attendances/"), "attendances") == [4]

    def test_whoever_was_forgotten_is_counted_and_not_told(self, api, hub, record):
        forget(hub.store, "a2")
        assert ids(api("/api/students/", state="all"), "students") == [1, 3, 4, 5]
        assert api("/api/students/2/").status == 404
        assert api("/api/students/", identifier="id:2").json["students"] == []
        assert api("/api/events/1/").json["attendances"] == 2
        (_, told) = api("/api/events/1/attendances/").json["attendances"]
        assert told["student"] == {"id": 2, "identifier": None, "name": "", "email": None}
        assert [row["student"]["id"] for row in api("/api/reports/students/").json["students"]] == [
            1,
            4,
        ]


class TestConditional:
    @pytest.mark.parametrize(
        "path",
        ["/api/events/", "/api/events/1/", "/api/students/", "/api/attendances/", "/api/attendances/1/",
         "/api/events.csv", "/api/reports/events/", "/api/reports/students.jsonl", "/api/doubts/",
         "/api/changes/"],
    )  # fmt: skip
    def test_what_has_not_changed_is_304(self, api, record, calls, path):
        first = api(path)
        assert first.headers["cache-control"] == "private, no-cache"
        tag = first.headers["etag"]
        for given in (tag, f'"x", W/{tag}', "*"):
            again = api(path, headers={"If-None-Match": given})
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == tag
        calls.attend("a3", "1")
        calls.unified("event", "update", event_identifier="1", points=6)
        assert api(path, headers={"If-None-Match": tag}).status == 200

    def test_each_form_has_its_own_tag(self, api, record):
        tags = {
            api("/api/events/", headers={"Accept": kind}).headers["etag"]
            for kind in ("application/json", "text/csv", "application/jsonl")
        }
        assert len(tags) == 3


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", None), ("*/*", None), ("application/json", None), ("text/html", None),
        ("text/csv", "csv"), ("TEXT/CSV; charset=utf-8", "csv"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        ("application/x-ndjson", "jsonl"), ("application/jsonl", "jsonl"),
        ("text/csv;q=0.5, application/json", None), ("text/csv, */*;q=0.1", "csv"),
        ("text/csv;q=0", None), ("text/csv;q=x", None),
    ],
)  # fmt: skip
def test_the_form_that_is_wanted_most(accept, form):
    assert accepted(accept) == form


def test_a_link_names_the_page_that_follows(api, record, make_hub):
    reply = api("/api/students/", limit=1, q="e", headers={"Host": "hub.test"})
    assert (
        reply.headers["link"] == '<http://hub.test/api/students/?limit=1&q=e&cursor=1>; rel="next"'
    )
    reply = api("/api/students/", limit=1, headers={"Host": 'x"><'})
    assert reply.headers["link"] == '</api/students/?limit=1&cursor=1>; rel="next"'


@pytest.mark.parametrize("path", ["/api/students/", "/api/reports/students/", "/api/doubts/"])
def test_a_link_is_below_the_public_url(make_hub, calls, path):
    hub = make_hub(admin_token="0123456789abcdef-admin", public_url="https://hub.example.edu/")
    calls.client = Client(hub)
    for number in range(3):
        calls.student(f"a{number}")
    headers = {"Authorization": "Bearer 0123456789abcdef-admin"}
    query = "limit=1" + ("&at_least=0" if "reports" in path else "")
    reply = calls.client.request("GET", path, headers=headers, query=query)
    assert reply.headers["link"].startswith(f"<https://hub.example.edu{path}?limit=1")


def test_a_page_of_an_allowed_origin_may_read_it(make_hub):
    hub = make_hub(admin_token="0123456789abcdef-admin", allowed_origins=("https://club.example",))
    headers = {
        "Authorization": "Bearer 0123456789abcdef-admin",
        "Origin": "https://club.example",
    }
    reply = Client(hub).request("GET", "/api/events/", headers=headers)
    assert reply.headers["access-control-allow-origin"] == "https://club.example"
    assert reply.headers["vary"] == "Accept, Origin"
    assert "Link" in reply.headers["access-control-expose-headers"]


def test_a_body_is_refused(api, client):
    headers = {"Authorization": "Bearer 0123456789abcdef-admin"}
    reply = client.request("GET", "/api/events/", body=b"{}", headers=headers)
    assert reply.error == "Send no body: parameters are in the query"


def test_the_lines_of_a_file_are_the_rows_of_the_listing(api, record, calls):
    calls.student("a9", first_name='"q" \\ \n\u2028 é\x7f', last_name="\U0001f600")
    calls.event('Night "1"', date="2026-11-09T18:00:00.125Z")
    calls.attend("a9", 'Night "1"', check_in_time="2026-11-09T18:00:00.5Z")
    rows = api.pages("/api/attendances/", "attendances", state="all")
    text = api("/api/attendances.jsonl", state="all").body.decode()
    assert text == "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def test_a_search_beyond_ascii_finds_all_of_them(api, calls, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 2)
    for number in range(7):
        calls.student(f"a{number}", first_name="José" if number != 3 else "Jose")
    found = api.pages("/api/students/", "students", q="É", limit=3)
    assert [one["id"] for one in found] == [1, 2, 3, 5, 6, 7]
    assert api("/api/students/", q="é", count="true", limit=1).json["count"] == 6
    assert len(api("/api/students.jsonl", q="é").body.splitlines()) == 6
    assert ids(api("/api/students/", q="é", identifier="a5"), "students") == [6]


class TestReports:
    def test_who_came_how_often(self, api, record):
        assert api("/api/reports/students/", order="points").json == {
            "of": 3,
            "students": [
                {"student": {"id": 1, "identifier": "a1", "name": "Ada Example",
                             "email": "a1@example.edu"},
                 "attended": 2, "of": 3, "rate": 0.6667, "points": 10},
                {"student": {"id": 2, "identifier": "a2", "name": "Grace Example",
                             "email": "a2@example.edu"},
                 "attended": 1, "of": 3, "rate": 0.3333, "points": 5},
                {"student": {"id": 4, "identifier": None, "name": "Bo Renard", "email": None},
                 "attended": 1, "of": 3, "rate": 0.3333, "points": 0},
            ],
            "next": None,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ({}, [1, 4, 2]),
            ({"at_least": "2"}, [1]),
            ({"at_least": "0"}, [1, 4, 5, 2, 3]),
            ({"order": "attended"}, [1, 4, 2]),
            ({"type": "Meeting", "to": "2026-11-09"}, [1, 2]),
            ({"name": "Maker Monday"}, [4]),
            ({"name": "No Meeting"}, []),
        ],
    )
    def test_it_is_narrowed_and_ordered(self, api, record, query, wanted):
        for limit in (1, 500):
            found = api.pages("/api/reports/students/", "students", limit=limit, **query)
            assert [row["student"]["id"] for row in found] == wanted

    def test_nothing_has_begun_that_counts(self, api, calls):
        calls.student("a1")
        calls.event(date="2999-01-01T10:00:00Z")
        (row,) = api("/api/reports/students/", at_least="0").json["students"]
        assert (row["of"], row["rate"]) == (0, None)

    @pytest.mark.parametrize(
        ("by", "wanted"),
        [
            ("event", [(1, 2, 2, 10), (2, 1, 1, 5), (3, 1, 1, 0)]),
            ("day", [("2026-11-09", 3, 3, 10), ("2026-11-10", 1, 1, 5)]),
            ("week", [("2026-W46", 4, 3, 15)]),
            ("month", [("2026-11", 4, 3, 15)]),
        ],
    )
    def test_how_many_came(self, api, record, by, wanted):
        rows = api.pages("/api/reports/events/", "rows", by=by, limit=1)
        assert [
            (row["period"] if "period" in row else row["event"]["id"],
             row["attendances"], row["students"], row["points"])
            for row in rows
        ] == wanted  # fmt: skip


class TestChanges:
    def test_from_the_beginning_everything_is_told(self, api, record):
        cursor, found = None, []
        while True:
            more = {"after": cursor} if cursor else {}
            reply = api("/api/changes/", limit=3, **more)
            assert reply.status == 200
            if not reply.json["changes"]:
                break
            found += reply.json["changes"]
            cursor = reply.json["next"]
        kinds = [one["type"] for one in found]
        assert kinds.count("attendance.recorded") == 5
        assert kinds.count("attendance.changed") == 2
        assert kinds[-2:] == ["attendance.withdrawn", "attendance.changed"]
        last = found[-2]["attendance"]
        assert (last["id"], last["student"], last["event"], last["state"]) == (5, 5, 3, "withdrawn")
        assert set(found[0]) == {"type", "at", "delivery", "student"}
        assert "attendances" not in found[0]["student"]

    def test_now_gives_the_cursor_alone(self, api, record, calls):
        reply = api("/api/changes/", after="now")
        assert reply.json["changes"] == []
        cursor = reply.json["next"]
        assert api("/api/changes/", after=cursor).json == {"changes": [], "next": cursor}
        calls.attend("a3", "1")
        (one,) = api("/api/changes/", after=cursor).json["changes"]
        assert (one["type"], one["attendance"]["student"]) == ("attendance.recorded", 3)

    def test_one_who_was_forgotten_is_an_id_alone(self, api, hub, record):
        cursor = api("/api/changes/", after="now").json["next"]
        forget(hub.store, "a2")
        (one,) = api("/api/changes/", after=cursor).json["changes"]
        assert (one["type"], one["student"], one["delivery"]) == (
            "student.forgotten",
            {"id": 2},
            None,
        )
        told = json.dumps(api("/api/changes/", limit=500).json)
        assert "Grace" not in told

    def test_with_nothing_to_tell_it_waits_so_long(self, api, record):
        cursor = api("/api/changes/", after="now").json["next"]
        assert api("/api/changes/", after=cursor, wait="0.2").json == {
            "changes": [],
            "next": cursor,
        }

    def test_whatever_the_evidence_shows_is_a_change(self, api, calls):
        post = calls.client.post
        post(ONETAP, visit(1, "Bo Renard", checkInDate=MONDAY))
        path = "/api/attendances/1/"

        def after(payload):
            tag, cursor = api(path).headers["etag"], api("/api/changes/", after="now").json["next"]
            post(ONETAP, payload)
            assert api(path, headers={"If-None-Match": tag}).status == 200
            (one,) = api("/api/changes/", after=cursor).json["changes"]
            return one["attendance"]

        out = {"event": "participant.checkout", "checkOutDate": TUESDAY}
        assert after(visit(1, "Bo Renard", **out))["state"] == "left"
        early = after(visit(1, "Bo Renard", **{**out, "checkOutDate": MONDAY}))
        assert early["checked_out_at"] == TUESDAY
        first = after(visit(1, "Bo Renard", event="participant.deleted"))["withdrawn"]
        after(visit(1, "Bo Renard", **{**out, "checkOutDate": "2026-11-10T19:00:00Z"}))
        again = {**visit(1, "Bo Renard", event="participant.deleted"), "note": "again"}
        assert after(again)["withdrawn"] == first


class TestDoubts:
    def kinds(self, api, **query):
        return [(one["kind"], one["id"]) for one in api("/api/doubts/", **query).json["doubts"]]

    def test_a_record_without_any(self, api, record):
        assert self.kinds(api) == []

    def test_each_is_found_with_its_mend(self, api, calls):
        post = calls.client.post
        calls.student("a1", first_name="Ada")
        calls.student("a2", first_name="ADA", email="two@example.edu")
        calls.event(date=MONDAY)
        calls.event(date="2026-11-09T23:00:00Z")
        calls.attend("a1", "1", check_in_time="2026-11-09T15:59:59Z")
        calls.attend("a2", "1", check_in_time="2026-11-10T00:00:00Z")  # six hours: not yet in doubt
        post(ONETAP, {"event": "profile.created", "data": {"id": "f9", "email": "x@example.edu"}})
        both = {"id": "f1", "email": "a1@example.edu", "name": "Ada Example",
                "customFields": {"A-Number": "a2"}}  # fmt: skip
        post(ONETAP, {"event": "profile.created", "data": both})
        found = api("/api/doubts/").json["doubts"]
        assert [one["kind"] for one in found] == [
            "identifiers_disagree", "nameless", "outside", "twin_events", "twins",
        ]  # fmt: skip
        by_kind = {one["kind"]: one for one in found}
        assert by_kind["outside"]["attendance"]["id"] == 1
        assert by_kind["twins"]["mend"][0] == {
            "action": "merge_students", "data": {"keep": "id:1", "merge": "id:2"},
            "reason": "doubt: Students 1 and 2 have one name",
        }  # fmt: skip
        assert by_kind["identifiers_disagree"]["delivery"]
        assert all(one["mend"][-1]["action"] == "settle" for one in found)
        pages = api.pages("/api/doubts/", "doubts", limit=1)
        assert pages == found
        assert self.kinds(api, kind="twins") == [("twins", by_kind["twins"]["id"])]

    @pytest.mark.parametrize("at", ["0001-01-01T00:30:00Z", "9999-12-31T23:00:00Z"])
    def test_an_event_at_the_end_of_the_calendar_hurts_nobody(self, api, calls, at):
        calls.student("a1")
        assert calls.event(date=at).status == 201
        assert calls.attend("a1", "1").status == 201
        assert [kind for kind, _ in self.kinds(api)] == ["outside"]

    def test_one_that_is_mended_goes(self, api, calls):
        post = calls.client.post
        post(ONETAP, {"event": "profile.created", "data": {"id": "f9", "email": "x@example.edu"}})
        assert [kind for kind, _ in self.kinds(api)] == ["nameless"]
        calls.unified("student", "update", email="x@example.edu", first_name="Ada", last_name="E")
        assert self.kinds(api) == []

    def test_what_an_open_source_changed_of_a_signed_one(self, make_hub):
        own = {
            "onetap": SourceSettings(signature="shared-secret", secrets=("hush-hush-hush-hush",))
        }
        hub = make_hub(admin_token="0123456789abcdef-admin", sources=own)
        calls = Calls(Client(hub))
        secret = {"X-Webhook-Secret": "hush-hush-hush-hush"}
        calls.client.post(ONETAP, visit(1, "Bo Renard", checkInDate=MONDAY), headers=secret)

        def doubts():
            reply = calls.client.request(
                "GET", "/api/doubts/", headers={"Authorization": "Bearer 0123456789abcdef-admin"}
            )
            return [one["kind"] for one in reply.json["doubts"]]

        assert doubts() == []
        calls.unified("event", "update", event_identifier="1", points=500)
        assert doubts() == ["unverified"]
