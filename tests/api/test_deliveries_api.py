"""The API of the kept deliveries: search, show and replay, for whoever has the admin token."""

import base64
import threading

import pytest
import requests
from hubtest import LEGACY, UNIFIED, Client

from hub.domain.tokens import Scope
from hub.errors import StoreUnavailable, TooManyAttempts, Unauthenticated
from hub.intake.tokens import Guard, Tokens

TOKEN = "0123456789abcdef-admin"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
LIST = "/api/deliveries/"
CHECK_IN = {"student_identifier": "a1", "event_identifier": "Weekly Meeting"}


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def api(client):
    def api(path=LIST, method="GET", **query):
        return client.request(method, path, headers=HEADERS, query="&".join(
            f"{name}={value}" for name, value in query.items()
        ))  # fmt: skip

    return api


def ids(reply):
    assert reply.status == 200, reply.body
    return [delivery["id"] for delivery in reply.json["deliveries"]]


class TestToken:
    def test_without_a_configured_one_it_opens_nothing(self, make_hub):
        client = Client(make_hub())
        for path in (LIST, f"{LIST}{'0' * 28}/"):
            assert client.request("GET", path, headers=HEADERS).status == 401
        assert client.request("POST", f"{LIST}replay/", headers=HEADERS).status == 401

    @pytest.mark.parametrize(
        ("authorization", "error"),
        [
            (None, "Missing token"),
            ("", "Missing token"),
            (TOKEN, "Invalid token"),
            (f"Basic {TOKEN}", "Invalid token"),
            (f"Bearer {TOKEN}x", "Invalid token"),
            (f"Bearer {TOKEN[:-1]}", "Invalid token"),
            ("Bearer ", "Invalid token"),
            ("Bearer é", "Invalid token"),
        ],
    )
    def test_a_wrong_one_is_401(self, client, rows, authorization, error):
        delivery = client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]
        headers = {} if authorization is None else {"Authorization": authorization}
        for method, path in (
            ("GET", LIST),
            ("GET", f"{LIST}{delivery}/"),
            ("POST", f"{LIST}{delivery}/replay/"),
            ("POST", f"{LIST}replay/"),
        ):
            reply = client.request(method, path, headers=headers)
            assert (reply.status, reply.error) == (401, error)
            assert reply.headers["www-authenticate"] == "Bearer"
        assert rows.count("Attempt") == 0

    def test_the_scheme_is_in_any_case_and_the_path_with_or_without_its_slash(self, client):
        for path in (LIST, LIST.rstrip("/")):
            reply = client.request("GET", path, headers={"Authorization": f"bearer  {TOKEN}"})
            assert (reply.status, reply.json) == (200, {"deliveries": [], "next": None})
            assert reply.headers["cache-control"] == "no-store"

    def test_after_several_wrong_ones_an_address_waits(self, client):
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [client.request("GET", LIST, headers=wrong).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        reply = client.request("GET", LIST, headers=wrong)
        assert (reply.status, reply.error) == (429, "Too many wrong tokens")
        assert reply.headers["retry-after"] == "1"

    def test_a_right_one_is_let_in_whatever_wrong_ones_came_from_its_address(self, client):
        for _ in range(9):
            client.request("GET", LIST, headers={"Authorization": "Bearer wrong"})
        assert client.request("GET", LIST, headers=HEADERS).status == 200

    def test_the_wait_doubles_up_to_a_minute_and_is_forgotten(self, hub):
        now = [0.0]
        tokens = Tokens(hub.store, TOKEN, Guard(clock=lambda: now[0]))

        def verify(authorization, address):
            tokens.require(authorization, address, Scope.READ)

        def wait():
            with pytest.raises(Unauthenticated):
                verify("Bearer wrong", "192.0.2.1")
            with pytest.raises(TooManyAttempts) as raised:
                verify("Bearer wrong", "192.0.2.1")
            for address in ("192.0.2.1", "192.0.2.2"):
                verify(f"Bearer {TOKEN}", address)
            now[0] += raised.value.seconds
            return raised.value.seconds

        for _ in range(4):
            with pytest.raises(Unauthenticated):
                verify("Bearer wrong", "192.0.2.1")
        assert [wait() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
        now[0] += 601
        for _ in range(4):
            with pytest.raises(Unauthenticated):
                verify("Bearer wrong", "192.0.2.1")
        verify(f"Bearer {TOKEN}", "192.0.2.1")

    def test_who_is_turned_away_is_logged_without_the_token(self, client, caplog):
        for _ in range(6):
            client.request("GET", f"{LIST}hush", headers={"Authorization": "Bearer wr0ng"})
        said = [record.getMessage() for record in caplog.records]
        assert said[0] == "request to the API from : 401 Invalid token"
        assert said[5].endswith("429 Too many wrong tokens")
        assert "wr0ng" not in caplog.text
        assert "hush" not in caplog.text

    def test_no_number_of_addresses_fills_the_memory(self):
        guard = Guard()
        for number in range(1100):
            guard.wrong(f"2001:db8::{number:x}")
        assert len(guard._guesses) == 1000


class TestSearch:
    @pytest.fixture
    def kept(self, client, calls):
        """Ids by what they are."""
        kept = {"waiting": client.post(LEGACY, CHECK_IN)}
        kept["student"] = calls.student("a1", email="ada@example.edu")
        kept["event"] = calls.event()
        kept["applied"] = calls.attend("ada@example.edu")
        kept["refused"] = calls.attend("a1", "1")
        kept["other"] = calls.student("a2")
        return {name: reply.headers["x-delivery-id"] for name, reply in kept.items()}

    def test_the_newest_first_with_what_the_sender_was_told(self, api, kept):
        reply = api()
        assert ids(reply) == list(reversed(kept.values()))
        assert reply.json["deliveries"][-1] == {
            "id": kept["waiting"],
            "source": "legacy",
            "received_at": reply.json["deliveries"][-1]["received_at"],
            "outcome": "refused",
            "status": 404,
            "error": "Student with identifier a1 not found",
            "waiting_for": "student a_number:a1",
            "attempts": 1,
            "emptied": None,
            "key_of": None,
            "of": None,
            "row": None,
        }

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"status": "refused"}, ["refused", "waiting"]),
            ({"status": "waiting"}, ["waiting"]),
            ({"status": "404"}, ["waiting"]),
            ({"status": "failed"}, []),
            ({"source": "legacy"}, ["waiting"]),
            ({"source": "none"}, []),
            ({"student": "A1"}, ["refused", "applied", "student", "waiting"]),
            ({"student": "ada@example.edu"}, ["refused", "applied", "student", "waiting"]),
            ({"student": "a_number:a2"}, ["other"]),
            ({"student": "a"}, []),
            ({"event": "1"}, ["refused", "applied", "event", "waiting"]),
            ({"event": "Weekly%20Meeting"}, ["refused", "applied", "event", "waiting"]),
            ({"event": "Weekly"}, []),
            ({"student": "a1", "status": "201", "event": "1"}, ["applied"]),
            ({"since": "1h"}, ["other", "refused", "applied", "event", "student", "waiting"]),
            (
                {"since": "2001-01-01"},
                ["other", "refused", "applied", "event", "student", "waiting"],
            ),
            ({"since": "9999-01-01T00:00:00%2B02:00"}, []),
            ({"since": "999999d", "status": "404"}, ["waiting"]),
        ],
    )
    def test_filters(self, api, kept, query, found):
        assert ids(api(**query)) == [kept[name] for name in found]

    def test_pages_go_on_where_the_last_one_ended(self, api, kept, calls):
        first = api(limit=4)
        assert ids(first) == list(reversed(kept.values()))[:4]
        calls.student("a3")
        second = api(limit=4, cursor=first.json["next"])
        assert ids(second) == list(reversed(kept.values()))[4:]
        assert second.json["next"] is None
        assert api(limit=7).json["next"] is None

    @pytest.mark.parametrize(
        ("query", "error"),
        [
            ({"cursor": "garbage"}, "Invalid cursor: use the next member of the page before"),
            ({"cursor": "%00"}, "Invalid cursor: use the next member of the page before"),
            ({"student": "a%00b"}, "Invalid student: it has a NUL character"),
            ({"source": "%00"}, "Invalid source: it has a NUL character"),
            ({"event": "%00"}, "Invalid event: it has a NUL character"),
            ({"dry_run": "true"}, "Unknown parameter: dry_run"),
            ({"cursor": "0" * 29}, "Invalid cursor: use the next member of the page before"),
            ({"limit": "0"}, "Invalid limit: use a whole number from 1 to 500"),
            ({"limit": "501"}, "Invalid limit: use a whole number from 1 to 500"),
            ({"limit": "٣"}, "Invalid limit: use a whole number from 1 to 500"),
            ({"status": "refuse"}, None),
            ({"since": "yesterday"}, None),
            ({"since": "2024-13-01"}, None),
            ({"sorce": "legacy"}, "Unknown parameter: sorce"),
            ({"status": "404&status=400"}, "Parameter status is given twice"),
        ],
    )
    def test_what_cannot_be_read_is_named(self, api, kept, query, error):
        reply = api(**{name: value.encode().decode("latin-1") for name, value in query.items()})
        assert reply.status == 400
        assert reply.error == error or (error is None and "use" in reply.error)

    def test_a_store_that_is_away_is_503(self, hub, api, monkeypatch):
        monkeypatch.setattr(hub.store, "_unavailable_until", float("inf"))
        reply = api()
        assert (reply.status, reply.error) == (503, "Temporarily unavailable")
        assert reply.headers["retry-after"]

    def test_what_nobody_foresaw_is_500_and_tells_nothing(self, hub, api, monkeypatch):
        monkeypatch.setattr(hub.store, "reading", lambda: 1 / 0)
        reply = api()
        assert (reply.status, reply.error) == (500, "Internal server error")
        assert b"Zero" not in reply.body


class TestShow:
    def test_everything_that_is_kept(self, api, client):
        headers = {"User-Agent": "reader/7", "X-Api-Key": "hush"}
        reply = client.post(LEGACY, CHECK_IN, headers=headers)
        delivery = reply.headers["x-delivery-id"]
        shown = api(f"{LIST}{delivery}").json
        assert shown["body"] == (
            '{"student_identifier": "a1", "event_identifier": "Weekly Meeting"}'
        )
        assert shown["headers"]["user-agent"] == "reader/7"
        assert "hush" not in str(shown)
        assert shown["answer"] == reply.json
        (attempt,) = shown["attempts"]
        assert (attempt["number"], attempt["status"], attempt["answer"]) == (1, 404, reply.json)
        assert attempt["duration_ms"] > 0

    def test_a_body_that_is_not_utf_8_is_in_base64(self, api, client):
        delivery = client.post(LEGACY, body=b"\xff\xfe").headers["x-delivery-id"]
        shown = api(f"{LIST}{delivery}/").json
        assert base64.b64decode(shown["body_base64"]) == b"\xff\xfe"

    @pytest.mark.parametrize("identifier", ["0" * 28, "x", "%00", "a%2Fb"])
    def test_an_unknown_id_is_404(self, api, identifier):
        reply = api(f"{LIST}{identifier}/")
        assert (reply.status, "not found" in reply.error.lower()) == (404, True)


class TestReplay:
    def test_one(self, api, client, calls, rows):
        delivery = client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]
        calls.student("a1")
        calls.event()
        path = f"{LIST}{delivery}/replay/"
        tried = api(path, "POST", dry_run="true")
        assert (tried.status, tried.json["outcome"], tried.json["attempt"]) == (
            200,
            "applied",
            None,
        )
        assert rows.count("Attendance") == 0
        done = api(path, "POST")
        assert done.json["attempt"] == 2
        assert (done.json["before"], done.json["outcome"], done.json["status"]) == (
            "refused", "applied", 201,
        )  # fmt: skip
        assert done.json["answer"]["message"] == "Attendance recorded successfully"
        assert [one["number"] for one in api(f"{LIST}{delivery}").json["attempts"]] == [1, 2]
        again = api(path, "POST")
        assert (again.status, "was applied" in again.error) == (409, True)

    def test_all_that_match_a_page_at_a_time(self, api, client, calls, rows):
        waiting = []
        for number in range(5):
            payload = {**CHECK_IN, "student_identifier": f"a{number}"}
            waiting.append(client.post(LEGACY, payload).headers["x-delivery-id"])
        calls.event()
        for number in range(4):
            calls.student(f"a{number}")
        first = api(f"{LIST}replay/", "POST", status="waiting", limit="3")
        assert [one["id"] for one in first.json["replayed"]] == waiting[:3]
        assert {one["outcome"] for one in first.json["replayed"]} == {"applied"}
        query = {"status": "waiting", "limit": "3", "cursor": first.json["next"]}
        second = api(f"{LIST}replay/", "POST", **query)
        assert [one["outcome"] for one in second.json["replayed"]] == ["applied", "refused"]
        assert second.json["next"] is None
        assert rows.count("Attendance") == 4

    def test_all_is_not_meant_by_accident(self, api, rows):
        reply = api(f"{LIST}replay/", "POST")
        assert (reply.status, "Name a filter" in reply.error) == (400, True)
        assert api(f"{LIST}replay/", "POST", status="waiting", dry_run="yes").status == 400

    def test_a_body_and_parameters_that_mean_nothing_are_refused(self, api, client, rows):
        delivery = client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]
        reply = client.request(
            "POST", f"{LIST}replay/", b'{"dry_run": true}', HEADERS, query="status=waiting"
        )
        assert (reply.status, "Send no body" in reply.error) == (400, True)
        reply = api(f"{LIST}{delivery}/replay/", "POST", status="waiting")
        assert (reply.status, reply.json["details"]) == (400, "Use dry_run")
        assert api(f"{LIST}{delivery}/", limit="1").json["details"] == "Use operations"
        assert rows.count("Attempt") == 0

    def test_a_store_that_fails_in_between_hides_nothing_that_was_done(
        self, api, hub, client, monkeypatch
    ):
        ids = [client.post(LEGACY, CHECK_IN).headers["x-delivery-id"] for _ in range(3)]
        replay, seen = hub.replays.replay, []

        def failing(identifier, **options):
            seen.append(identifier)
            if len(seen) == 3:
                raise StoreUnavailable("gone")
            return replay(identifier, **options)

        monkeypatch.setattr(hub.replays, "replay", failing)
        reply = api(f"{LIST}replay/", "POST", status="waiting")
        assert [one["id"] for one in reply.json["replayed"]] == ids[:2]
        assert reply.json["next"] == ids[1]
        seen[:] = ["", ""]
        assert api(f"{LIST}replay/", "POST", status="waiting").status == 503
        hub._ending.set()
        assert api(f"{LIST}replay/", "POST", status="waiting").status == 503

    def test_one_that_cannot_be_is_told_among_the_others(
        self, api, hub, client, calls, monkeypatch
    ):
        delivery = client.post(LEGACY, CHECK_IN).headers["x-delivery-id"]
        monkeypatch.setattr(hub.replays, "_endpoints", {})
        (done,) = api(f"{LIST}replay/", "POST", source="legacy").json["replayed"]
        assert done["id"] == delivery
        assert "which no plugin declares" in done["error"]


def test_the_methods_are_told(client):
    for path, allowed in (
        (LIST, "GET, HEAD, OPTIONS"),
        (f"{LIST}{'0' * 28}/replay/", "OPTIONS, POST"),
    ):
        reply = client.request("PUT", path, headers=HEADERS)
        assert (reply.status, reply.headers["allow"]) == (405, allowed)
        assert client.request("OPTIONS", path).status == 204


def test_it_does_not_keep_check_ins_waiting(serve):
    """Over HTTP it runs beside the check-ins: one that waits for the store's answer stops none."""
    server = serve(environment={"HUB_ADMIN_TOKEN": TOKEN})
    stop = threading.Event()
    statuses = []

    def search():
        with requests.Session() as session:
            while not stop.is_set():
                reply = session.get(server.url + LIST, headers=HEADERS, timeout=30)
                statuses.append(reply.status_code)

    thread = threading.Thread(target=search)
    thread.start()
    with requests.Session() as session:
        for number in range(100):
            data = {"student_identifier": f"a{number}", "email": f"a{number}@example.edu",
                    "first_name": "A", "last_name": "B"}  # fmt: skip
            reply = session.post(
                server.url + UNIFIED, json={"type": "student", "data": data}, timeout=30
            )
            assert reply.status_code == 201
    stop.set()
    thread.join()
    assert set(statuses) == {200}
    wrong = requests.get(server.url + LIST, headers={"Authorization": "Bearer no"}, timeout=30)
    assert wrong.status_code == 401
    assert (
        len(requests.get(server.url + LIST, headers=HEADERS, timeout=30).json()["deliveries"]) == 50
    )
