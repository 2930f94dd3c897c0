"""What holds for every endpoint: paths, methods, content types, limits, the shape of errors."""

import io
import json

import pytest
from hubtest import LEGACY, ONETAP, SECURE, STATUS, UNIFIED, Calls, Client, Rows, application

from hub.config.settings import SourceSettings
from hub.errors import InvalidPayload, PayloadTooLarge, Refused
from hub.wire.body import read_body

SOURCES = {"unified": UNIFIED, "legacy": LEGACY, "secure": SECURE, "onetap": ONETAP}


@pytest.mark.parametrize("path", SOURCES.values())
def test_every_path_answers_with_and_without_its_trailing_slash(client, path):
    with_slash, without = client.post(path, {}), client.post(path.rstrip("/"), {})
    assert (with_slash.status, with_slash.body) == (without.status, without.body)
    assert "location" not in without.headers
    for form in (f"{path}status", f"{path}status/"):
        assert client.get(form).status == 200


def test_an_unknown_path_is_404(client):
    for path in ("/", "/api/webhook/", "/api/webhook/nothing/", "/api/webhook/unified/x"):
        reply = client.post(path, {})
        assert (reply.status, reply.error) == (404, "Not found")
        assert reply.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", SOURCES.values())
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_a_wrong_method_is_405_with_allow(client, path, method):
    reply = client.request(method, path)
    assert (reply.status, reply.error) == (405, "Method not allowed")
    assert set(reply.headers["allow"].replace(" ", "").split(",")) == {"OPTIONS", "POST"}
    assert reply.headers["x-delivery-id"]


def test_a_post_to_a_status_page_is_405_with_allow(client):
    reply = client.post(STATUS, {})
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", [*SOURCES.values(), STATUS])
def test_options_is_204_with_allow(client, path):
    reply = client.request("OPTIONS", path)
    assert (reply.status, reply.body) == (204, b"")
    assert ("GET" if path == STATUS else "POST") in reply.headers["allow"]
    assert "access-control-allow-origin" not in reply.headers


def test_head_of_a_status_page_has_no_body(client):
    reply = client.request("HEAD", STATUS)
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/vnd.api+json",
        "application/json ; version=1",
    ],
)
def test_json_content_types_and_none_are_taken(client, content_type):
    assert client.post(UNIFIED, {}, content_type=content_type).status == 400


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/jsonx",
        "json",
        "application/xml, application/json",
    ],
)
def test_other_content_types_are_415(client, content_type):
    reply = client.post(UNIFIED, {"type": "student"}, content_type=content_type)
    assert (reply.status, reply.error) == (415, "Unsupported content type")


class TestBodyLimit:
    def test_a_body_over_the_limit_is_413(self, make_hub):
        client = Client(make_hub(body_limit=100))
        assert client.post(UNIFIED, body=b" " * 100).status == 400
        reply = client.post(UNIFIED, body=b" " * 101)
        assert (reply.status, reply.error) == (413, "Payload too large")
        assert reply.headers["x-delivery-id"]

    @pytest.mark.parametrize(("length", "status"), [("-1", 400), ("x", 400), ("9" * 30, 413)])
    def test_a_wrong_length_is_refused(self, length, status):
        with pytest.raises(Refused) as refused:
            read_body({"CONTENT_LENGTH": length}, 100)
        assert refused.value.status == status

    def test_a_body_that_ends_early_is_refused(self):
        with pytest.raises(InvalidPayload, match="Invalid JSON payload"):
            read_body({"CONTENT_LENGTH": "5", "wsgi.input": io.BytesIO(b"{}")}, 100)

    def test_a_chunked_body_is_read_to_its_end_within_the_limit(self):
        chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
        assert read_body({**chunked, "wsgi.input": io.BytesIO(b"{}")}, 2) == b"{}"
        with pytest.raises(PayloadTooLarge):
            read_body({**chunked, "wsgi.input": io.BytesIO(b"{ }")}, 2)
        with pytest.raises(Refused, match="Length required"):
            read_body({"HTTP_TRANSFER_ENCODING": "chunked"}, 2)


class TestBrowserOrigins:
    ORIGIN = "https://club.example"

    def test_none_is_allowed_by_default(self, client):
        reply = client.post(UNIFIED, {}, headers={"Origin": self.ORIGIN})
        assert "access-control-allow-origin" not in reply.headers

    def test_a_configured_one_may_post_and_read(self, make_hub):
        client = Client(make_hub(allowed_origins=(self.ORIGIN,)))
        asked = {"Origin": self.ORIGIN, "Access-Control-Request-Headers": "content-type"}
        preflight = client.request("OPTIONS", UNIFIED, headers=asked)
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == self.ORIGIN
        assert preflight.headers["access-control-allow-headers"] == "content-type"
        reply = client.post(UNIFIED, {}, headers={"Origin": self.ORIGIN})
        assert reply.headers["access-control-allow-origin"] == self.ORIGIN
        other = client.post(UNIFIED, {}, headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
        assert other.headers["vary"] == "Origin"
        missing = client.get("/nowhere", headers={"Origin": self.ORIGIN})
        assert missing.headers["access-control-allow-origin"] == self.ORIGIN


class TestStatus:
    def test_it_tells_of_the_hub(self, make_hub):
        client = Client(make_hub())
        Calls(client).student()
        client.post(UNIFIED, {})
        status = client.get(STATUS).json
        assert (status["status"], status["store"]) == ("healthy", {"reachable": True})
        assert status["version"]
        assert status["plugins"] == {
            "loaded": ["unified", "legacy", "secure", "onetap", "desk", "imports", "console"],
            "failed": [],
        }
        sources = {source["name"]: source for source in status["sources"]}
        assert list(sources) == [*SOURCES, "desk", "import", "console"]
        unified = sources["unified"]
        assert unified["path"] == UNIFIED
        assert unified["open"] is True
        assert unified["deliveries"] == {"total": 2, "applied": 1, "refused": 1}
        assert unified["last_delivery"]["outcome"] == "refused"
        assert unified["last_delivery"]["status"] == 400
        assert sources["secure"]["open"] is False

    def test_it_tells_of_one_source(self, client):
        status = client.get("/api/webhook/attendance/secure/status").json
        assert status["source"]["name"] == "secure"
        assert status["status"] == "healthy"

    def test_it_is_503_when_the_store_does_not_answer(self, hub, client, monkeypatch):
        monkeypatch.setattr(hub.store, "is_reachable", lambda: False)
        for path in (STATUS, f"{UNIFIED}status/"):
            reply = client.get(path)
            assert (reply.status, reply.json["status"]) == (503, "unhealthy")


class TestDeliveries:
    def test_every_delivery_is_kept_with_its_answer(self, client, rows, calls):
        replies = [calls.student(), calls.student(), client.post(UNIFIED, body=b"{")]
        kept = {row["id"]: row for row in rows("Delivery")}
        for reply, outcome in zip(replies, ["applied", "refused", "refused"], strict=True):
            row = kept[reply.headers["x-delivery-id"]]
            assert (row["source"], row["outcome"]) == ("unified", outcome)
            assert row["status"] == reply.status
            assert row["answer"].encode() == reply.body
            assert row["duration"] > 0
        assert bytes(kept[replies[2].headers["x-delivery-id"]]["body"]) == b"{"

    def test_headers_are_kept_that_are_known_to_be_no_credentials(self, client, rows):
        client.post(
            UNIFIED,
            {},
            headers={
                "User-Agent": "scanner/1",
                "Idempotency-Key": "k",
                "Authorization": "Bearer abc",
                "Cookie": "a=b",
                "X-Access-Key": "hush",
                "X-Club-Pin": "hush",
                "X-Anything": "hush",
            },
        )
        (row,) = rows("Delivery")
        assert json.loads(row["headers"]) == {
            "content-type": "application/json",
            "content-length": "2",
            "user-agent": "scanner/1",
            "idempotency-key": "k",
        }

    def test_of_a_credential_it_is_kept_that_there_was_one(self, make_hub):
        own = SourceSettings(signature="shared-secret", secrets=("hush",))
        hub = make_hub(sources={"unified": own})
        Client(hub).post(UNIFIED, {}, headers={"X-Webhook-Secret": "hush"})
        kept = json.loads(Rows(hub)("Delivery")[0]["headers"])
        assert kept["x-webhook-secret"] == "[removed]"

    def test_ids_sort_by_time(self, calls):
        ids = [calls.student(f"a{n}").headers["x-delivery-id"] for n in range(3)]
        assert len(set(ids)) == 3
        assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)

    def test_the_log_has_ids_and_no_people(self, calls, caplog):
        with caplog.at_level("DEBUG", logger="hub"):
            calls.student("a77777777")
            calls.student("a77777777")
            calls.attend("a88888888")
        text = caplog.text
        assert "refused: 400" in text
        assert "refused: 404" in text
        for person in ("a77777777", "a88888888", "Ada", "example.edu"):
            assert person not in text


class TestFaults:
    """Whatever breaks: an id to quote, and nothing of the inside."""

    def test_a_fault_in_the_store_is_500_and_the_delivery_is_kept(
        self, client, calls, rows, monkeypatch, caplog
    ):
        from hub.store import apply

        def broken(_, operation, __):
            raise RuntimeError(operation.first_name)

        monkeypatch.setitem(apply._APPLIED_BY, apply.operations.CreateStudent, broken)
        reply = calls.student()
        assert (reply.status, reply.error) == (500, "Internal server error")
        assert reply.json["details"] == f"Quote delivery {reply.headers['x-delivery-id']}"
        assert b"RuntimeError" not in reply.body
        (delivery,) = rows("Delivery")
        assert (delivery["outcome"], delivery["status"]) == ("failed", 500)
        assert "RuntimeError" in caplog.text
        assert "Ada" not in caplog.text

    def test_an_answer_is_text_in_utf_8(self, calls):
        assert "José".encode() in calls.student(first_name="José").body

    def test_a_fault_outside_of_a_delivery_is_500_too(self, hub, client, monkeypatch):
        monkeypatch.setattr(hub.store, "is_reachable", None)
        reply = client.get(STATUS)
        assert (reply.status, reply.error) == (500, "Internal server error")

    def test_a_store_that_cannot_take_it_is_503_with_retry_after(
        self, hub, client, calls, monkeypatch, rows
    ):
        from contextlib import contextmanager

        from hub.errors import StoreUnavailable

        @contextmanager
        def gone():
            raise StoreUnavailable("gone")
            yield

        with monkeypatch.context() as patch:
            patch.setattr(hub.store, "_transaction", gone)
            reply = calls.student()
        monkeypatch.setattr(hub.store, "_unavailable_until", 0)
        assert (reply.status, reply.error) == (503, "Temporarily unavailable")
        assert int(reply.headers["retry-after"]) > 0
        assert reply.headers["x-delivery-id"]
        assert rows.count("Delivery") == 0
        assert calls.student().status == 201

    def test_other_writers_who_always_come_first_end_in_503(self, hub, calls, monkeypatch):
        from hub.errors import StoreConflict
        from hub.store import deliveries

        def conflict(*_):
            raise StoreConflict("first")

        monkeypatch.setattr(deliveries, "keep", conflict)
        assert calls.student().status == 503

    def test_another_writer_who_came_first_is_no_trouble(self, calls, monkeypatch, rows):
        from hub.errors import StoreConflict
        from hub.store import deliveries

        keep, attempts = deliveries.keep, []

        def conflict_once(*arguments):
            attempts.append(1)
            if len(attempts) == 1:
                raise StoreConflict("first")
            keep(*arguments)

        monkeypatch.setattr(deliveries, "keep", conflict_once)
        assert calls.student().status == 201
        assert (rows.count("Student"), rows.count("Delivery")) == (1, 1)


def test_a_status_page_that_many_ask_for_is_not_made_for_each(hub, client, monkeypatch):
    made = []
    reachable = hub.store.is_reachable
    monkeypatch.setattr(hub.store, "is_reachable", lambda: made.append(1) or reachable())
    for _ in range(200):
        assert client.get(STATUS).json["status"] == "healthy"
    assert 20 <= len(made) < 200


def test_a_path_with_parts_is_one_rule_with_its_slash_and_without(hub):
    """With each rule that has parts, Bottle compiles all of them anew: that is a part of every start."""
    rules = application(hub)._bottle.router.dyna_routes["GET"]
    with_parts = [one for one in hub.routes if one.method == "GET" and "<" in one.path]
    assert len(rules) == len(with_parts)
