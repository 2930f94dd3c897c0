"""Tokens: what each scope may, and how they are made, used up and revoked."""

from datetime import timedelta

import pytest
from hubtest import UNIFIED, Client

from hub.config.settings import SourceSettings
from hub.domain.timestamps import utc_now
from hub.domain.tokens import Scope, digest
from hub.errors import StoreUnavailable
from hub.store import tokens

READS = (
    "/api/students/",
    "/api/attendances/",
    "/api/changes/",
    "/api/doubts/",
    "/api/reports/students/",
)
COUNTS = ("/api/events/", "/api/reports/events/", "/api/reports/events.csv", "/api/events.xlsx")
ADMIN = ("/api/deliveries/",)


@pytest.fixture
def make(hub):
    def make(*scopes, sources=(), expires=None):
        name = " ".join(scopes)
        now = utc_now()
        with hub.store.writing() as tx:
            assert tokens.add(
                tx, name, digest(f"hub_{name}"), map(Scope, scopes), sources, now, expires
            )
        hub.tokens._read_at = float("-inf")
        return f"hub_{name}"

    return make


@pytest.mark.parametrize(
    ("scope", "may"),
    [
        ("counts", COUNTS),
        ("read", COUNTS + READS),
        ("post", ()),
        ("desk", COUNTS + READS + ADMIN),
        ("metrics", ()),
        ("admin", COUNTS + READS + ADMIN),
    ],
)
def test_a_scope_opens_what_it_says_and_nothing_else(api, make, scope, may):
    token = make(scope)
    for path in COUNTS + READS + ADMIN:
        reply = api(path, token)
        if path in may:
            assert reply.status == 200, path
            continue
        assert (reply.status, reply.error) == (403, "This token may not do that")
        wanted = "desk" if path in ADMIN else "read" if path in READS else "counts"
        assert reply.json["details"] == f"It needs the scope {wanted}"


def test_the_desk_sees_what_was_refused_or_waits_without_headers(api, make, calls):
    desk = make("desk")
    applied = calls.student("a1").headers["x-delivery-id"]
    waiting = calls.attend("a1", "Nowhere").headers["x-delivery-id"]
    listed = api("/api/deliveries/", desk).json["deliveries"]
    assert [one["id"] for one in listed] == [waiting]
    told = api(f"/api/deliveries/{waiting}/", desk).json
    assert ("Nowhere" in told["body"], "headers" in told) == (True, False)
    assert "headers" in api(f"/api/deliveries/{waiting}/").json
    for method, path in (("GET", ""), ("POST", "replay/")):
        assert api(f"/api/deliveries/{applied}/{path}", desk, method).status == 404
    calls.event("Nowhere")
    (done,) = api("/api/deliveries/replay/", desk, "POST", source="unified").json["replayed"]
    assert (done["id"], done["outcome"]) == (waiting, "applied")


@pytest.mark.parametrize("token", ["wrong", "hub_expired", "hub_revoked"])
def test_unknown_expired_and_revoked_are_the_same(api, hub, make, token):
    make("read", expires=utc_now() - timedelta(seconds=1))
    gone = make("counts")
    with hub.store.writing() as tx:
        assert tokens.revoke(tx, "counts", utc_now())
        assert not tokens.revoke(tx, "counts", utc_now())
    hub.tokens._read_at = float("-inf")
    named = {"wrong": "wrong", "hub_expired": "hub_read", "hub_revoked": gone}[token]
    reply = api("/api/events/", named)
    assert (reply.status, reply.error) == (401, "Invalid token")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_no_token_is_401(api):
    reply = api("/api/events/", None)
    assert (reply.status, reply.error) == (401, "Missing token")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_a_name_is_free_again_once_its_token_is_revoked(hub, make):
    make("read")
    with hub.store.writing() as tx:
        assert not tokens.add(tx, "read", "other", [Scope.READ], (), utc_now(), None)
        tokens.revoke(tx, "read", utc_now())
        assert tokens.add(tx, "read", "other", [Scope.READ], (), utc_now(), None)


class TestPosting:
    def test_a_source_takes_a_token_and_keeps_whose_it_was(self, make_hub):
        hub = make_hub(sources={"unified": SourceSettings(signature="token")})
        client = Client(hub)
        now = utc_now()
        with hub.store.writing() as tx:
            tokens.add(tx, "door", digest("hub_door"), [Scope.POST], ("unified",), now, None)
            tokens.add(tx, "gate", digest("hub_gate"), [Scope.POST], ("cards",), now, None)
            tokens.add(tx, "eyes", digest("hub_eyes"), [Scope.READ], (), now, None)
        payload = {"type": "event", "data": {"event_name": "M", "event_date": "2026-01-01T10:00Z"}}

        def post(token):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return client.post(UNIFIED, payload, headers=headers)

        assert (post(None).status, post(None).error) == (401, "Missing token")
        assert (post("hub_none").status, post("hub_none").error) == (401, "Invalid token")
        reply = post("hub_gate")
        assert (reply.status, reply.json["details"]) == (403, "It may post to cards")
        assert post("hub_eyes").json["details"] == "It needs the scope post"
        made = post("hub_door")
        assert made.status == 201
        with hub.store.reading() as db:
            kept = db.Delivery[made.headers["x-delivery-id"]]
            assert kept.sent_by == "door"
            assert "hub_door" not in kept.headers
        hub.tokens.keep_used()
        with hub.store.reading() as db:
            used = {token.name for token in db.Token.select() if token.last_used_at}
        assert used == {"door"}

    def test_without_the_store_the_tokens_of_before_hold(self, hub_with_token, monkeypatch):
        hub = hub_with_token
        assert hub.tokens.require("Bearer hub_read", "", Scope.READ).name == "read"

        def gone():
            raise StoreUnavailable("gone")

        monkeypatch.setattr(hub.store, "reading", gone)
        hub.tokens._read_at = float("-inf")
        assert hub.tokens.require("Bearer hub_read", "", Scope.READ).name == "read"

    @pytest.fixture
    def hub_with_token(self, make_hub):
        hub = make_hub()
        with hub.store.writing() as tx:
            tokens.add(tx, "read", digest("hub_read"), [Scope.READ], (), utc_now(), None)
        return hub


class TestCommand:
    def test_made_listed_used_and_revoked(self, run, make_hub):
        hub = make_hub()
        (token,) = run("token", "create", "wall", "--scope", "counts", "--expires", "30d")
        assert token.startswith("hub_")
        client = Client(hub)

        def ask():
            hub.tokens._read_at = float("-inf")
            return client.request(
                "GET", "/api/events/", headers={"Authorization": f"Bearer {token}"}
            ).status

        assert ask() == 200
        (line,) = run("token", "list")
        assert line.startswith("wall  counts  expires 20")
        assert line.endswith("never used")
        hub.tokens.keep_used()
        (line,) = run("token", "list")
        assert "last used 20" in line
        assert token not in line
        assert run("token", "revoke", "wall") == ["wall is revoked"]
        assert ask() == 401
        assert run("token", "list") == ["there is no token"]

    def test_what_cannot_be_made_is_named(self, run, make_hub):
        make_hub()
        run("token", "create", "door", "--scope", "post", "--source", "cards")
        for wrong, said in (
            (("door", "--scope", "read"), "There is a token named door"),
            (("two\nlines", "--scope", "read"), "A token's name is a line of text"),
            (
                ("x", "--scope", "read", "--source", "cards"),
                "Sources are for tokens with the scope post",
            ),
            (
                ("x", "--scope", "read", "--expires", "soon"),
                "Invalid expires: use a number of hours",
            ),
        ):
            (line,) = run("token", "create", *wrong, status=2)
            assert said in line
        assert "There is no token named other" in run("token", "revoke", "other", status=2)[0]
