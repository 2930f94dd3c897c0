"""Handshakes: answered as the sender has it, signed where it signs, and never kept."""

import hashlib
import hmac
import json

import pytest

from hub import OPEN, Source, handshakes
from hub.config.load import load
from hub.testing.memory import MemoryHub

PLUGIN = """
from hub import OPEN, Ignore, Source, handshakes, hookimpl

@hookimpl
def register_sources():
    yield Source(
        name="known", path="known", authenticate=OPEN, schema={}, handshakes=handshakes.KNOWN,
        normalize=lambda payload: [Ignore(reason="a test")],
    )
"""


@pytest.fixture
def hubs(tmp_path):
    made = []

    def make(name, **environment):
        if name == "known":
            (tmp_path / "known.py").write_text(PLUGIN)
        plugin = tmp_path / "known.py" if name == "known" else name
        made.append(MemoryHub(plugin, load({}, None, environment).settings))
        return made[-1]

    yield make
    for hub in made:
        hub.close()


@pytest.mark.parametrize(
    ("name", "payload", "answer"),
    [
        ("slack", {"type": "url_verification", "challenge": "3eZbrw1a"}, {"challenge": "3eZbrw1a"}),
        ("discord", {"type": 1, "id": "1", "application_id": "2"}, {"type": 1}),
    ],
)
@pytest.mark.parametrize("signs", [True, False])
def test_one_that_is_signed(hubs, name, payload, answer, signs):
    hub = hubs(name)
    request = hub.request(name, json.dumps(payload).encode(), {"content-type": "application/json"})
    posted = hub.send(name, request, sign=signs)
    assert posted.status == (200 if signs else 401)
    if signs:
        assert posted.json == answer
    assert hub.rows("delivery") == []
    outcome = "handshake" if signs else "unauthenticated"
    assert hub.endpoint().counters.shown()["deliveries"] == {"total": 1, outcome: 1}


def test_zooms_is_an_hmac_of_its_token(hubs):
    hub = hubs("zoom", HUB_SOURCE_ZOOM_SECRETS="a secret")
    payload = {
        "event": "endpoint.url_validation",
        "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"},
    }
    posted = hub.post("zoom", json.dumps(payload).encode())
    digest = hmac.new(b"a secret", b"qgg8vlvZRS6UYooatFL8Aw", hashlib.sha256).hexdigest()
    assert posted.json == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": digest}
    assert hub.rows("delivery") == []


def test_slack_looks_at_the_certificate_without_a_signature(hubs):
    hub = hubs("slack")
    request = hub.with_payload("slack", {"ssl_check": "1", "token": "x"})
    assert hub.send("slack", request, sign=False).status == 200


@pytest.mark.parametrize(
    "challenge", ["<script>alert(1)</script>", "a\r\nSet-Cookie: a=b", "x" * 1001, "\u00e9", ""]
)
def test_what_is_echoed_is_no_page(hubs, challenge):
    from dataclasses import replace
    from urllib.parse import urlencode

    hub = hubs("known")
    query = urlencode({"validationToken": challenge})
    request = replace(
        hub.request("known", b"{}", {"content-type": "application/json"}), query=query
    )
    posted = hub.send("known", request)
    if posted.headers["content-type"].startswith("text/plain"):
        assert posted.headers["x-content-type-options"] == "nosniff"
        assert posted.body.decode() == challenge
    else:
        assert "reason" not in posted.json
        assert len(hub.rows("delivery")) == 1  # no handshake: a delivery
    assert "set-cookie" not in posted.headers


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "url_verification"},
        {"type": "url_verification", "challenge": 7},
        {"type": "url_verification", "challenge": ["x"]},
        {"type": True},
        {"event": "endpoint.url_validation", "payload": []},
        {"event": "endpoint.url_validation", "payload": {"plainToken": {"a": 1}}},
        [],
        [{}],
        7,
    ],
)
def test_what_looks_like_one_and_is_none_is_a_delivery(hubs, payload):
    hub = hubs("known")
    posted = hub.post("known", json.dumps(payload).encode())
    assert posted.status in (200, 400)
    assert len(hub.rows("delivery")) == 1


def test_a_fault_in_one_is_the_plugins(hubs, tmp_path):
    (tmp_path / "bad.py").write_text(
        PLUGIN.replace('name="known", path="known"', 'name="bad", path="bad"')
        .replace("handshakes.KNOWN", "(Handshake(lambda request, secrets: 1 / 0),)")
        .replace("import OPEN,", "import Handshake, OPEN,")
    )
    hub = MemoryHub(tmp_path / "bad.py")
    posted = hub.post("bad", b"{}")
    hub.close()
    assert posted.status == 500
    assert posted.json["error"] == "Internal server error"
    assert "plugin bad: handshake failed" in posted.faults[0]


def test_what_is_no_handshake_is_no_source():
    with pytest.raises(TypeError, match="handshakes: give a tuple of hub.Handshake values"):
        Source(name="x", path="x", authenticate=OPEN, schema={}, normalize=list, handshakes=(7,))
    assert len(handshakes.KNOWN) == 7
