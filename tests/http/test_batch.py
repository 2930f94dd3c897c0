"""Batches: one transaction for those who are there, and nobody suffers from another's fault."""

import asyncio
import json
import sqlite3

import pytest
from hubtest import SECURE, STATUS, UNIFIED, application

from hub.errors import StoreConflict, StoreUnavailable
from hub.http import asgi
from hub.http.asgi import Adapter
from hub.http.batch import Request, run
from hub.store import apply, deliveries


def request(payload, method="POST", path=UNIFIED):
    body = json.dumps(payload).encode()
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.errors": None,
    }
    return Request(environ, body)


def student(number):
    data = {
        "student_identifier": f"a{number}",
        "email": f"a{number}@example.edu",
        "first_name": f"N{number}",
        "last_name": "Example",
    }
    return request({"type": "student", "data": data})


def answered(hub, requests):
    return run(application(hub), requests)


def adapted(hub, **arguments):
    return Adapter(application(hub), hub.settings, **arguments)


def test_a_batch_is_committed_once(hub, rows, monkeypatch):
    commits = []
    transaction = hub.store._transaction
    monkeypatch.setattr(hub.store, "_transaction", lambda: commits.append(1) or transaction())
    responses = run(
        application(hub), [student(n) for n in range(10)] + [request({}, "GET", STATUS)]
    )
    assert [response.status for response in responses] == [201] * 10 + [200]
    assert (rows.count("Student"), rows.count("Delivery"), len(commits)) == (10, 10, 1)


def test_what_one_records_the_next_one_sees(hub):
    responses = answered(hub, [student(1), student(1), request({"type": "x"})])
    assert [response.status for response in responses] == [201, 400, 400]


def test_reading_opens_no_transaction(hub, monkeypatch):
    monkeypatch.setattr(hub.store, "_transaction", None)
    responses = answered(hub, [request({}, "GET", STATUS)] * 3)
    assert [response.status for response in responses] == [200] * 3


def test_a_fault_of_one_is_its_own(hub, rows, monkeypatch, caplog):
    create = apply._APPLIED_BY[apply.operations.CreateStudent]

    def broken(tx, operation, context):
        result = create(tx, operation, context)
        if operation.first_name == "N3":
            raise RuntimeError(operation.first_name)
        return result

    monkeypatch.setitem(apply._APPLIED_BY, apply.operations.CreateStudent, broken)
    responses = answered(hub, [student(n) for n in range(6)])
    assert [response.status for response in responses] == [201, 201, 201, 500, 201, 201]
    assert (rows.count("Student"), rows.count("Delivery")) == (5, 6)
    assert "a batch of 6 is taken one by one: RuntimeError" in caplog.text
    assert "N3" not in caplog.text


@pytest.fixture
def troubled(monkeypatch):
    """Makes the store have trouble once, in the middle of a transaction."""
    keep = deliveries.keep

    def trouble_once(trouble):
        troubles = [trouble]

        def troubled(*arguments):
            keep(*arguments)
            if troubles:
                raise troubles.pop()

        monkeypatch.setattr(deliveries, "keep", troubled)

    return trouble_once


def test_where_another_hub_came_first_each_goes_again_alone(hub, rows, troubled):
    troubled(StoreConflict("first"))
    responses = answered(hub, [student(n) for n in range(3)])
    assert [response.status for response in responses] == [201] * 3
    assert (rows.count("Student"), rows.count("Delivery")) == (3, 3)


def test_where_the_store_is_gone_all_are_answered_503_without_waiting(hub, rows, monkeypatch):
    asked = []

    def gone(*_):
        asked.append(1)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR"
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(hub.store, "_begin", gone)
        responses = run(
            application(hub), [student(n) for n in range(20)] + [request({}, "GET", STATUS)]
        )
    assert [response.status for response in responses] == [503] * 21
    assert all(dict(response.headers).get("Retry-After") for response in responses[:20])
    assert len(asked) == 1
    assert hub.endpoints[0].counters.shown()["deliveries"] == {"total": 20, "unavailable": 20}
    monkeypatch.setattr(hub.store, "_unavailable_until", 0)
    assert rows.count("Delivery") == 0
    assert [one.status for one in answered(hub, [student(1), student(2)])] == [201, 201]


@pytest.mark.parametrize("number", [1, 3])
def test_what_may_be_recorded_is_told_so_and_does_not_go_again(hub, monkeypatch, number):
    tried = []

    def lost(*_):
        tried.append(1)
        raise StoreUnavailable("lost in the commit", may_be_recorded=True)

    monkeypatch.setattr(hub.store.database.provider, "commit", lost)
    responses = answered(hub, [student(n) for n in range(number)])
    for response in responses:
        assert response.status == 503
        assert json.loads(response.body) == {
            "error": "Temporarily unavailable",
            "details": "It may have been recorded; send the same delivery again",
        }
        assert dict(response.headers)["Retry-After"]
    assert len(tried) == 1


def test_what_is_counted_and_logged_is_so_once_though_a_batch_goes_again(
    make_hub, troubled, caplog
):
    hub = make_hub(webhook_secret=("s",))
    troubled(StoreConflict("first"))
    unsigned = request({}, path=SECURE)
    responses = answered(hub, [unsigned, student(1), student(2)])
    assert [response.status for response in responses] == [401, 201, 201]
    secure = next(one for one in hub.endpoints if one.source.name == "secure")
    assert secure.counters.shown()["deliveries"] == {"total": 1, "unauthenticated": 1}
    assert caplog.text.count("Missing X-Webhook-Signature header") == 1


def test_what_follows_a_commit_cannot_undo_it(hub, rows, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(hub.observers, "tell", broken)
    assert [one.status for one in answered(hub, [student(1), student(2)])] == [201, 201]
    assert [one.status for one in answered(hub, [student(3)])] == [201]
    assert rows.count("Delivery") == 3
    assert "a transaction is committed, and what follows it failed" in caplog.text


class TestAdapter:
    @staticmethod
    def scope(path=UNIFIED, headers=(), method="POST"):
        return {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "http_version": "1.1",
            "headers": [(b"content-type", b"application/json"), *headers],
        }

    @staticmethod
    def call(adapter, requests):
        """The answers to requests that arrive together: (scope, messages)."""

        async def one(scope, messages):
            incoming, sent = iter(messages), []

            async def receive():
                message = next(incoming, None)
                if message is None:
                    await asyncio.sleep(60)
                return message

            async def send(message):
                sent.append(message)

            await adapter(scope, receive, send)
            return sent

        async def all_of_them():
            return await asyncio.gather(*(one(*request) for request in requests))

        return asyncio.run(all_of_them())

    @staticmethod
    def body(data, more=False):
        return {"type": "http.request", "body": data, "more_body": more}

    def test_what_arrives_together_goes_in_batches(self, hub, rows, monkeypatch):
        monkeypatch.setattr(asgi, "_LARGEST_BATCH", 4)
        batches = []
        original = asgi.run
        monkeypatch.setattr(asgi, "run", lambda *a: batches.append(len(a[1])) or original(*a))
        requests = [(self.scope(), [self.body(student(n).body)]) for n in range(10)]
        answers = self.call(adapted(hub), requests)
        assert [answer[0]["status"] for answer in answers] == [201] * 10
        assert (batches, rows.count("Student")) == ([4, 4, 2], 10)

    def test_a_body_in_parts_and_doubled_headers(self, hub, rows):
        whole = student(1).body
        headers = [(b"user-agent", b"1"), (b"user-agent", b"2")]
        messages = [self.body(whole[:9], more=True), self.body(whole[9:])]
        ((start, _),) = self.call(adapted(hub), [(self.scope(headers=headers), messages)])
        assert start["status"] == 201
        assert json.loads(rows("Delivery")[0]["headers"])["user-agent"] == "1,2"

    def test_a_body_over_the_limit_is_not_read_to_its_end(self, make_hub):
        adapter = adapted(make_hub(body_limit=10))
        by_length = (self.scope(headers=[(b"content-length", b"11")]), [])
        endless = (self.scope(), [self.body(b"x" * 6, more=True)] * 2)
        answers = self.call(adapter, [by_length, endless])
        assert [answer[0]["status"] for answer in answers] == [413, 413]

    def test_a_file_may_be_larger_and_there_are_few_of_them_at_once(self, make_hub):
        adapter = adapted(make_hub(body_limit=10, import_limit=100, body_timeout=1))
        path = "/api/imports/students/"
        slow = self.scope(path=path), [self.body(b"x" * 30, more=True)]
        small = (self.scope(path=path, headers=[(b"content-length", b"5")]), [self.body(b"x" * 5)])
        answers = self.call(adapter, [slow, slow, slow, small])
        assert [answer[0]["status"] for answer in answers] == [408, 408, 503, 401]
        whole = self.scope(path=path), [self.body(b"x" * 30, more=True), self.body(b"x" * 30)]
        ((start, _),) = self.call(adapter, [whole])
        assert start["status"] == 401

    def test_a_client_that_left_gets_nothing(self, hub, rows):
        assert self.call(adapted(hub), [(self.scope(), [{"type": "http.disconnect"}])]) == [[]]
        assert rows.count("Delivery") == 0

    def test_a_server_that_ends_answers_what_never_arrived(self, hub):
        async def cancelled():
            sent = []

            async def receive():
                await asyncio.sleep(60)

            async def send(message):
                sent.append(message)

            task = asyncio.ensure_future(adapted(hub)(self.scope(), receive, send))
            await asyncio.sleep(0)
            task.cancel()
            await task
            return sent

        start, body = asyncio.run(cancelled())
        assert start["status"] == 503
        assert json.loads(body["body"])["error"] == "Temporarily unavailable"

    def test_headers_with_underscores_double_no_other(self, hub):
        headers = [(b"content_length", b"1"), (b"content_type", b"text/plain")]
        messages = [self.body(student(1).body)]
        ((start, _),) = self.call(adapted(hub), [(self.scope(headers=headers), messages)])
        assert start["status"] == 201

    def test_a_length_that_is_no_number_is_refused(self, hub):
        headers = [(b"content-length", "²".encode("latin-1"))]
        ((start, _),) = self.call(adapted(hub), [(self.scope(headers=headers), [self.body(b"{}")])])
        assert start["status"] == 400

    def test_a_bug_in_the_batch_answers_all_of_it(self, hub, monkeypatch):
        def broken(*_):
            raise ZeroDivisionError

        monkeypatch.setattr(asgi, "run", broken)
        with pytest.raises(ZeroDivisionError):
            self.call(adapted(hub), [(self.scope(), [self.body(b"{}")])])

    def test_what_may_be_slow_has_a_thread_and_nothing_else_shares_it(self, make_hub):
        lanes = adapted(make_hub(admin_token="0123456789abcdef")).lanes
        status, deliveries = lanes.of(STATUS), lanes.of("/api/deliveries/")
        assert None not in (status, deliveries)
        assert status is not deliveries
        for path in (STATUS.rstrip("/"), f"{UNIFIED}status", f"{UNIFIED}status/"):
            assert lanes.of(path) is status
        for path in ("", "/", "/01a2", "/01a2/", "/01a2/replay", "/replay/"):
            assert lanes.of(f"/api/deliveries{path}") is deliveries
        for path in (
            UNIFIED,
            "/api/webhook/statusboard/",
            "/api/deliveriesboard",
            "/api/capture/x",
        ):
            assert lanes.of(path) is None

    def test_who_was_served_last_is_expected_again(self, hub):
        """In one batch or in two; and nobody who did not come."""
        adapter = adapted(hub, connections=range(16))
        for served, expected in (
            (8, 9),  # the first time there was one before
            (8, 8),  # one more was waited for in vain: for a while, only those of now
        ):
            adapter._expect(served)
            assert adapter._expected == expected
        seen = set()
        for _ in range(40):
            adapter._expect(8)
            seen.add(adapter._expected)
        assert seen == {8, 16}
        adapter._modest = 0
        adapter._expect(16)
        assert adapter._expected == 16  # there are no more connections

    def test_a_lone_sender_is_rarely_kept_waiting(self, hub):
        adapter = adapted(hub, connections=range(4))
        in_vain = 0
        for _ in range(330):
            in_vain += adapter._expected > 1
            adapter._expect(1)
        assert in_vain <= 11
