"""The public keys of senders: fetched beside the deliveries, kept, renewed, and never trusted blindly."""

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hubtest import Calls, Client
from serving import http_server

from hub.config.settings import SourceSettings
from hub.jobs import keysets

PLUGIN = """
from hub import JWT, CheckIn, Jwt, Source, hookimpl

def normalize(payload):
    yield CheckIn(student=payload["student"], event="Weekly Meeting", repeatable=True)

@hookimpl
def register_sources():
    yield Source(
        name="tokens", path="tokens", authenticate=Jwt("body", audience="hub", jwks="{url}"), body=JWT,
        schema={{"type": "object", "required": ["student"]}}, normalize=normalize,
    )
"""
KEYS = {name: rsa.generate_private_key(public_exponent=65537, key_size=2048) for name in "ab"}


def jwks(*names):
    made = [
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[name].public_key())) for name in names
    ]
    return json.dumps(
        {"keys": [{**one, "kid": name} for one, name in zip(made, names, strict=True)]}
    )


def token(name, **claims):
    return jwt.encode(
        {"student": "a1", "aud": "hub", "iat": datetime.now(UTC), **claims},
        KEYS[name], algorithm="RS256", headers={"kid": name},
    ).encode()  # fmt: skip


@contextmanager
def serving():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked += 1
            self.send_response(server.status)
            self.end_headers()
            self.wfile.write(server.document)

        def log_message(self, *_):
            pass

    with http_server(Handler) as server:
        server.asked, server.status, server.document = 0, 200, jwks("a").encode()
        yield server


@pytest.fixture
def server():
    with serving() as server:
        yield server


@pytest.fixture
def make(make_hub, tmp_path, server):
    def make():
        url = f"http://127.0.0.1:{server.server_address[1]}/jwks"
        (tmp_path / "tokens.py").write_text(PLUGIN.format(url=url))
        sources = {"tokens": SourceSettings(fetch_private=True)}
        hub = make_hub(plugins=str(tmp_path), sources=sources)
        client = Client(hub)
        calls = Calls(client)
        calls.student()
        calls.event()
        return hub, client

    return make


def post(client, body):
    return client.post("/api/webhook/tokens/", body=body, content_type="application/jwt")


def test_they_are_fetched_and_a_token_is_proved(make, server):
    hub, client = make()
    reply = post(client, token("a"))
    assert (reply.status, reply.error) == (401, "Invalid token")
    assert server.asked == 0  # never on the way of a check-in
    hub.key_sets.do_what_is_due()
    assert post(client, token("a")).status == 201
    assert post(client, token("a", aud="others")).status == 401
    assert post(client, token("b")).status == 401


def test_new_keys_are_fetched_when_one_is_not_known(make, server):
    hub, client = make()
    hub.key_sets.do_what_is_due()
    server.document = jwks("a", "b").encode()
    assert hub.key_sets.do_what_is_due() > 60
    assert post(client, token("b")).status == 401
    # Not at once: strangers may send any number of unknown keys.
    assert hub.key_sets.do_what_is_due() <= 10
    assert server.asked == 1
    hub.key_sets._every[0].asked_at -= 10
    hub.key_sets.do_what_is_due()
    assert server.asked == 2
    assert post(client, token("b")).status == 201


@pytest.mark.parametrize("more", ["", "\u00fc"], ids=["utf-8", "latin-1"])
def test_they_are_kept_for_the_next_start(make, server, more):
    # As some servers write it, whatever JSON says of its encoding.
    server.document = json.dumps({**json.loads(jwks("a")), "by": more}, ensure_ascii=False).encode(
        "latin-1"
    )
    hub, _ = make()
    hub.key_sets.do_what_is_due()
    server.status = 503
    again, client = make()
    again.key_sets.start()
    assert post(client, token("a")).status == 201


@pytest.mark.parametrize(
    ("status", "document"),
    [
        (200, b" " * 10_000_000),
        (200, b"{"),
        (200, b"[" * 100_000),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}'),
        (404, b""),
        (503, b""),
    ],
)
def test_those_that_are_wrong_or_away_leave_what_was_known(make, server, caplog, status, document):
    hub, client = make()
    hub.key_sets.do_what_is_due()
    server.status, server.document = status, document
    (one,) = hub.key_sets._every
    one.due, one.asked_at = 0.0, float("-inf")
    hub.key_sets.do_what_is_due()
    assert "are not renewed" in caplog.text
    assert post(client, token("a")).status == 201


def test_a_hub_renews_by_itself_and_ends(make, server):
    hub, client = make()
    hub.start()
    end = time.monotonic() + 10
    while post(client, token("a")).status == 401 and time.monotonic() < end:
        time.sleep(0.01)
    assert post(client, token("a")).status == 200
    hub.close()
    assert keysets._RENEW_EVERY == 3600
