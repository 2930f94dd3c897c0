"""Requests of every form through a whole hub: each bad one has its named answer, and no credential
stays.
"""

import hashlib
import hmac
import json
import logging
import time
from urllib.parse import urlencode

import pytest
from catalogue import TERMINAL
from hubtest import Calls, Client, rebuilt

from hub.config.load import load
from hub.testing.memory import MemoryHub

PLUGIN = """
from hub import (
    CLOUD_EVENTS, FORM, JSON, MULTIPART, OPEN, QUERY, CheckIn, Hmac, SecretIn, Source, hookimpl,
)

def normalize(payload):
    yield CheckIn(student=payload["student"], event=payload["event"], repeatable=True)

SCHEMA = {
    "type": "object",
    "required": ["student", "event"],
    "properties": {"student": {"type": "string"}, "event": {"type": "string"}},
}

@hookimpl
def register_sources():
    usual = {"schema": SCHEMA, "normalize": normalize}
    yield Source(name="form", path="form", authenticate=OPEN, body=FORM, **usual)
    yield Source(name="parts", path="parts", authenticate=OPEN, body=MULTIPART, **usual)
    yield Source(name="query", path="query", authenticate=OPEN, body=QUERY, methods=("GET",), **usual)
    yield Source(name="many", path="many", authenticate=OPEN, body=JSON, rows="", **usual)
    yield Source(name="cloud", path="cloud", authenticate=OPEN, body=CLOUD_EVENTS,
                 schema={"type": "object"}, normalize=lambda one: normalize(one["data"]))
    for place in ("query:token", "form:token", "json:/a/token", "path:token"):
        kind = place.partition(":")[0]
        yield Source(
            name=f"secret-{kind}", path=f"secret-{kind}" + ("/{token}" if kind == "path" else ""),
            authenticate=SecretIn(place), body=FORM if kind == "form" else JSON,
            paths=("/device/{token}",) if kind == "path" else (), **usual,
        )
    yield Source(
        name="signed", path="signed", **usual,
        authenticate=Hmac("x", "X-Sig", value="t={t},v1={sig}", signed="{t}.{body}"),
    )
"""
SECRET = "S3cret-of-the-sender"
TOKEN = "0123456789abcdef"
CHECK_IN = {"student": "a1", "event": "Weekly Meeting"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client(make_hub, tmp_path):
    (tmp_path / "senders.py").write_text(PLUGIN)
    names = ("SECRET_QUERY", "SECRET_FORM", "SECRET_JSON", "SECRET_PATH", "SIGNED")
    settings = load({}, None, {f"HUB_SOURCE_{name}_SECRETS": SECRET for name in names}).settings
    hub = make_hub(plugins=str(tmp_path), sources=settings.sources, admin_token=TOKEN)
    assert hub.plugins.failed == []
    made = Client(hub)
    calls = Calls(made)
    calls.student()
    calls.event()
    made.hub = hub
    return made


def send(client, source, body=b"", content_type=None, headers=(), query="", method="POST", path=""):
    path = path or f"/api/webhook/{source}/"
    return client.request(method, path, body, headers, content_type, query)


def kept(client, source):
    with client.hub.store.reading() as db:
        rows = sorted(db.Delivery.select(lambda d: d.source == source), key=lambda row: row.id)
        return [row.to_dict() for row in rows]


class TestGoodOnes:
    def test_a_form(self, client):
        assert send(client, "form", urlencode(CHECK_IN).encode(), FORM).status == 201

    def test_a_form_from_another_sites_page_is_refused(self, client):
        headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        reply = send(client, "form", urlencode(CHECK_IN).encode(), FORM, headers)
        assert (reply.status, reply.error) == (
            403,
            "Requests from pages of other sites are not taken",
        )

    def test_parts(self, client):
        body = b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
            % (name.encode(), one.encode())
            for name, one in CHECK_IN.items()
        )
        content_type = "multipart/form-data; boundary=b"
        assert send(client, "parts", body + b"--b--\r\n", content_type).status == 201

    def test_a_query(self, client):
        query = urlencode(CHECK_IN)
        assert send(client, "query", query=query, method="HEAD").status == 200
        assert kept(client, "query") == []
        reply = send(client, "query", query=query, method="GET")
        assert reply.status == 201
        (row,) = kept(client, "query")
        headers = json.loads(row["headers"])
        assert (headers[":method"], headers[":query"]) == ("GET", query)
        assert send(client, "query", b"", query=query, method="POST").status == 405
        assert send(client, "query", method="OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"

    def test_a_link_on_another_sites_page_records_nothing(self, client):
        headers = {"Sec-Fetch-Site": "cross-site"}
        reply = send(client, "query", query=urlencode(CHECK_IN), method="GET", headers=headers)
        assert reply.status == 403

    def test_a_replay_of_a_query_needs_no_more(self, client):
        query = urlencode({**CHECK_IN, "student": "a2"})
        assert send(client, "query", query=query, method="GET").status == 404
        Calls(client).student("a2")
        (row,) = kept(client, "query")
        client.hub.replays.replay(row["id"])
        assert kept(client, "query")[0]["outcome"] == "applied"

    def test_cloud_events_in_each_mode(self, client):
        event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "a.b", "data": CHECK_IN}
        body = json.dumps(event).encode()
        assert send(client, "cloud", body, "application/cloudevents+json").status == 201
        headers = {"ce-specversion": "1.0", "ce-id": "2", "ce-type": "a.b", "ce-source": "/x"}
        body = json.dumps(CHECK_IN).encode()
        assert send(client, "cloud", body, "application/json", headers).status == 200
        assert json.loads(kept(client, "cloud")[1]["headers"])["ce-id"] == "2"

    def test_a_request_is_shown_with_all_that_is_kept_of_it(self, client, tmp_path, make_hub):
        from hub.api.shown import whole
        from hub.record import deliveries

        send(client, "query", query=urlencode(CHECK_IN), method="GET")
        with client.hub.store.reading() as db:
            found = deliveries.find(db, kept(client, "query")[0]["id"])
            told = whole(found, deliveries.attempts(db, found))
        assert (told["method"], told["path"], told["query"]) == ("GET", None, urlencode(CHECK_IN))
        assert not any(name.startswith(":") for name in told["headers"])


BIG = b"&".join(b"m%d=1" % number for number in range(100_000))


@pytest.mark.parametrize(
    ("source", "body", "content_type", "query", "status", "error"),
    [
        ("form", BIG, FORM, "", 400, "Invalid form"),
        ("form", b"a=%00", FORM, "", 400, "Invalid form"),
        ("form", b"a=1&a=2", FORM, "", 400, "Invalid form"),
        ("form", b"a=\xff", FORM, "", 400, "Invalid form"),
        ("form", b"{}", "application/json", "", 415, "Unsupported content type"),
        ("form", b"a=1", FORM + "; charset=utf-16", "", 415, "Unsupported content type"),
        ("form", b"", FORM, "", 400, "Invalid payload"),
        ("parts", b"--b", "multipart/form-data; boundary=b", "", 400, "Invalid form"),
        ("parts", b"--b", "multipart/form-data", "", 400, "Invalid form"),
        ("parts", b"", "multipart/form-data; boundary=" + "b" * 300, "", 400, "Invalid form"),
        ("query", b"", None, "a=%ff", 400, "Invalid query"),
        ("query", b"", None, "student=a1&student=a2&event=x", 400, "Invalid form"),
        ("query", b"", None, "x=" + "y" * 61_440, 400, "Invalid payload"),
        ("many", b"{}", "application/json", "", 400, "Invalid payload"),
        ("many", b"[" * 65 + b"]" * 65, "application/json", "", 400, "Invalid JSON payload"),
        ("many", b"7", "application/json", "", 400, "Invalid payload"),
    ],
)
def test_what_is_bad_has_its_named_answer(client, source, body, content_type, query, status, error):
    method = "GET" if source == "query" else "POST"
    reply = send(client, source, body, content_type, query=query, method=method)
    assert (reply.status, reply.error) == (status, error)
    assert [row["outcome"] for row in kept(client, source)] == ["refused"]


class TestRows:
    def rows(self, client, rows, **headers):
        return send(client, "many", json.dumps(rows).encode(), "application/json", headers)

    def test_one_that_is_refused_takes_no_other_down(self, client):
        rows = [CHECK_IN, {"student": "a9", "event": "Weekly Meeting"}, 7, {}, CHECK_IN]
        reply = self.rows(client, rows)
        assert reply.status == 200
        assert reply.json["rows"] == {"applied": 2, "refused": 3}
        assert [one["row"] for one in reply.json["errors"]] == [2, 3, 4]
        whole, *others = kept(client, "many")
        assert [row["of_row"] for row in others] == [1, 2, 3, 4, 5]
        assert whole["outcome"] == "applied"
        waits = [row["waiting"] for row in others if row["waiting"]]
        assert waits == ["student a_number:a9"]
        Calls(client).student("a9")
        client.hub.replays.replay(others[1]["id"])
        assert kept(client, "many")[2]["outcome"] == "applied"

    def test_rebuild_derives_rows_and_not_what_they_came_in(self, client):
        self.rows(client, [CHECK_IN])
        hub = client.hub
        found = rebuilt(hub)
        assert (found.differences, found.failed) == ((), 0)

    def test_a_key_remembers_the_whole(self, client):
        first = self.rows(client, [CHECK_IN], **{"Idempotency-Key": "k"})
        again = self.rows(client, [CHECK_IN], **{"Idempotency-Key": "k"})
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["x-delivery-replayed"] == "true"
        assert len(kept(client, "many")) == 3
        other = self.rows(client, [CHECK_IN, CHECK_IN], **{"Idempotency-Key": "k"})
        assert (other.status, other.error) == (409, "Idempotency key was used with another body")

    def test_a_key_does_not_remember_what_may_do_better(self, client):
        rows = [{"student": "a9", "event": "Weekly Meeting"}]
        self.rows(client, rows, **{"Idempotency-Key": "k"})
        Calls(client).student("a9")
        assert self.rows(client, rows, **{"Idempotency-Key": "k"}).json["rows"] == {"applied": 1}

    def test_the_desk_sees_and_mends_those_that_wait(self, client):
        self.rows(client, [CHECK_IN, {"student": "a9", "event": "Weekly Meeting"}, {}])
        headers = {"Authorization": f"Bearer {TOKEN}"}
        waits, refused = client.get("/api/deliveries/causes/", headers=headers).json["causes"]
        assert (waits["waiting_for"], waits["sources"]) == ("student a_number:a9", {"many": 1})
        assert (refused["error"], refused["sources"]) == ("Invalid payload", {"many": 1})
        wanted = json.dumps({"waiting_for": waits["waiting_for"], "student": "a1"}).encode()
        done = client.request(
            "POST", "/api/deliveries/mend/", wanted, headers, "application/json"
        ).json
        assert (done["attempted"], done["applied"]) == (1, 1)
        assert kept(client, "many")[2]["outcome"] == "applied"

    def test_what_the_plugin_makes_of_one_is_shown(self, client):
        self.rows(client, [CHECK_IN])
        whole, row = kept(client, "many")
        headers = {"Authorization": f"Bearer {TOKEN}"}
        made = [
            client.request(
                "GET", f"/api/deliveries/{one['id']}/", headers=headers, query="operations=true"
            ).json["operations"][0]["operation"]
            for one in (whole, row)
        ]
        assert made == ["Ignore", "CheckIn"]

    def test_the_pulse_counts_each(self, client):
        self.rows(client, [CHECK_IN, {}])
        told = client.get("/api/sources/", headers={"Authorization": f"Bearer {TOKEN}"}).json
        (many,) = (one for one in told["sources"] if one["name"] == "many")
        today = many["days"][-1]
        assert (today["applied"], today["refused"]) == (2, 1), "the batch itself was applied"

    def test_none_at_all(self, client):
        assert self.rows(client, []).json["message"] == "0 rows received"

    def test_many(self, client):
        reply = self.rows(client, [CHECK_IN] * 1000)
        assert reply.json["rows"] == {"applied": 1000}


class TestCredentials:
    def everything(self, client, caplog):
        with client.hub.store.reading() as db:
            rows = [row.to_dict() for row in db.Delivery.select()]
        status = client.get("/api/webhook/status/").body
        return f"{rows} {caplog.text} {status}"

    @pytest.mark.parametrize("wrong", [False, True])
    @pytest.mark.parametrize(
        ("source", "body", "content_type", "query", "path"),
        [
            ("secret-query", json.dumps(CHECK_IN), "application/json", "x=1&token={}", ""),
            ("secret-form", urlencode(CHECK_IN) + "&token={}", FORM, "", ""),
            (
                "secret-json",
                json.dumps({**CHECK_IN, "a": {"token": "{}"}}),
                "application/json",
                "",
                "",
            ),
            (
                "secret-path",
                json.dumps(CHECK_IN),
                "application/json",
                "",
                "/api/webhook/secret-path/{}/",
            ),
            ("secret-path", json.dumps(CHECK_IN), "application/json", "", "/device/{}"),
        ],
    )
    def test_one_stays_nowhere(
        self, client, caplog, source, body, content_type, query, path, wrong
    ):
        caplog.set_level(logging.DEBUG)
        given = "Wr0ng-of-the-sender" if wrong else SECRET
        reply = send(
            client, source, body.replace("{}", given).encode(), content_type,
            query=query.replace("{}", given), path=path.replace("{}", given),
        )  # fmt: skip
        assert reply.status == (401 if wrong else 201), reply.body
        assert given not in self.everything(client, caplog)
        assert given not in f"{reply.headers} {reply.body}"
        assert len(kept(client, source)) == (0 if wrong else 1)

    def test_the_query_is_kept_as_far_as_the_source_reads_it(self, client):
        send(client, "signed", b"{}", query="api_key=hidden")
        send(client, "form", b"a=1", FORM, query="api_key=hidden")
        assert "hidden" not in str(kept(client, "form"))

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            (lambda t, sig: f"t={t},v1={sig}", 201),
            (lambda t, sig: f"t={t},v1={'0' * 64},v1={sig}", 201),
            (lambda t, sig: f"t={t},t={t},v1={sig}", 401),
            (lambda t, sig: f"t={t},v1={sig[:-2]}", 401),
            (lambda t, sig: f"v1={sig}", 401),
            (lambda t, sig: "", 401),
            (lambda t, sig: "t=" + "1" * 5000, 401),
        ],
    )
    def test_a_signature_of_members(self, client, change, status):
        body = json.dumps(CHECK_IN).encode()
        t = int(time.time())
        signature = hmac.new(SECRET.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
        reply = send(client, "signed", body, "application/json", {"X-Sig": change(t, signature)})
        assert reply.status == status, reply.body


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/x", "not with a part that is the hub's"),
        ("/console/x", "not with a part that is the hub's"),
        ("/API/x", "not with a part that is the hub's"),
        ("x", "begin it with /"),
        ("/", "begin it with /"),
        ("/{any}/x", "its first part must be a text of its own"),
        ("/a/../api", "begin it with /"),
        ("//api", "begin it with /"),
        ("/a b", "begin it with /"),
    ],
)
def test_a_path_that_is_the_hubs_own_cannot_be_taken(path, said):
    from hub import OPEN, Source

    with pytest.raises(ValueError, match=r"source path") as error:
        Source(name="x", path="x", paths=(path,), authenticate=OPEN, schema={}, normalize=list)
    assert said in str(error.value) or "begin it with /" in str(error.value)


class TestTheTerminal:
    """A ZKTeco terminal, which understands OK and nothing else."""

    @pytest.fixture
    def hub(self):
        terminals = {"HUB_PLUGIN_ZKTECO_TERMINALS": f"{TERMINAL} = Weekly Meeting"}
        settings = load({}, None, {"HUB_ENABLE": "zkteco", **terminals}).settings
        hub = MemoryHub("zkteco", settings)
        yield hub
        hub.close()

    def send(self, hub, method, path, query, body=b""):
        from dataclasses import replace

        request = hub.request("zkteco", body)
        return hub.send(None, replace(request, method=method, path=path, query=query), sign=False)

    def test_it_says_hello_and_asks_for_commands(self, hub):
        asked = self.send(hub, "GET", "/iclock/cdata", f"SN={TERMINAL}&options=all&pushver=2.4.1")
        assert asked.status == 200
        assert asked.body.startswith(b"GET OPTION FROM: ABC1234567\n")
        for method, path in (("GET", "/iclock/getrequest"), ("POST", "/iclock/devicecmd")):
            assert self.send(hub, method, path, f"SN={TERMINAL}").body == b"OK"
        assert hub.rows("delivery") == []
        assert hub.endpoint().counters.shown()["deliveries"] == {"total": 3, "handshake": 3}

    def test_a_terminal_that_is_not_listed(self, hub):
        for method in ("GET", "POST"):
            assert self.send(hub, method, "/iclock/cdata", "SN=OTHER&table=ATTLOG").status == 401

    def test_rows_of_strangers_are_kept_and_it_is_told_ok(self, hub):
        row = b"1001\t2026-03-10 18:02:11\t0\t1\n"
        posted = self.send(hub, "POST", "/iclock/cdata", f"SN={TERMINAL}&table=ATTLOG", row * 2)
        assert (posted.status, posted.body) == (200, b"OK: 2")
        rows = [one for one in hub.rows("delivery") if one["of_delivery"]]
        assert [(one["outcome"], one["waiting"]) for one in rows] == [
            ("refused", "student zkteco_pin:1001")
        ] * 2


class TestWhoIsForgotten:
    """In whatever form a request told of a person, nothing is left of it."""

    @pytest.mark.parametrize(
        ("source", "body", "content_type", "query", "method"),
        [
            ("form", b"student=ada.lovely%40example.edu&event=Nowhere", FORM, "", "POST"),
            ("query", b"", None, "student=ada.lovely%40example.edu&event=Nowhere", "GET"),
            ("many", b'[{"student": "ada.lovely@example.edu"}]', "application/json", "", "POST"),
        ],
    )  # fmt: skip
    def test_nothing_stays(self, client, source, body, content_type, query, method):
        from hub.jobs.forget import forget

        Calls(client).student("a7", email="ada.lovely@example.edu")
        send(client, source, body, content_type, query=query, method=method)
        forget(client.hub.store, "a7")
        assert "lovely" not in str(kept(client, source))

    def test_the_claims_of_a_token_are_read(self):
        from hub.jobs.mentions import Mentions, Person, forms

        claims = b"eyJhbGciOiJSUzI1NiJ9.eyJlbWFpbCI6ImFkYS5sb3ZlbHlAZXhhbXBsZS5lZHUifQ.c2ln"
        person = Person(("email:ada.lovely@example.edu",))
        assert Mentions(person).identifier(forms(claims))
