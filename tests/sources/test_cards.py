"""The source ``cards``: scans, and cards that are given to students."""

import pytest
from hubtest import Calls, Client

from hub.config.load import load

PATH = "/api/webhook/cards/"
SECRET = "a-secret-of-the-readers"
SCAN = {"uid": "04:A2:B9", "reader": "gate-7"}


@pytest.fixture
def client(make_hub):
    """A hub with the source, a student with a card, and an event behind a reader."""
    environment = {
        "HUB_ENABLE": "cards",
        "HUB_SOURCE_CARDS_SECRETS": SECRET,
        "HUB_PLUGIN_CARDS_READERS": "gate-7 = Chess",
    }
    settings = load({}, None, environment).settings
    made = Client(
        make_hub(enable=settings.enable, sources=settings.sources, plugin=settings.plugin)
    )
    calls = Calls(made)
    calls.student("a1")
    calls.student("a2")
    calls.event("Chess", "2026-03-01T18:00:00Z")
    return made


@pytest.fixture
def post(client):
    def post(payload, secret=SECRET):
        return client.post(PATH, payload, headers={"X-Webhook-Secret": secret})

    return post


def test_it_is_off_unless_it_is_enabled(hub):
    assert "cards" not in {endpoint.source.name for endpoint in hub.endpoints}
    assert hub.plugins.off[:4] == ("cards", "forms", "qr", "forward")


def test_a_card_is_given_and_checks_in(post):
    assert post(SCAN).status == 404
    assert post({"uid": "04a2b9", "student_identifier": "A1"}).status == 200
    reply = post({**SCAN, "time": "2026-03-01T18:02:11+01:00"})
    assert reply.status == 201
    assert reply.json["student"]["name"] == "Ada Example"
    assert reply.json["event"]["name"] == "Chess"
    assert reply.json["checked_in_at"] == "2026-03-01T17:02:11Z"
    assert reply.json["source"] == "cards"


@pytest.mark.parametrize("uid", ["04A2B9", "04 a2 b9", "04-a2-B9", " 04.a2.b9 "])
def test_however_a_reader_writes_it(post, uid):
    post({"uid": uid, "student_identifier": "a1"})
    assert post(SCAN).status == 201
    assert post(SCAN).status == 200  # held to it twice


def test_a_new_card_is_in_place_of_the_old_and_never_another_students(post):
    post({"uid": "04a2b9", "student_identifier": "a1"})
    assert post({"uid": "04a2b9", "student_identifier": "a2"}).status == 400
    assert post({"uid": "ffff", "student_identifier": "a1@example.edu"}).status == 200
    assert post(SCAN).status == 404
    assert post({**SCAN, "uid": "FFFF"}).status == 201


def test_a_reader_that_is_not_configured_is_an_events_name(post):
    post({"uid": "04a2b9", "student_identifier": "a1"})
    assert post({**SCAN, "reader": "Chess"}).status == 201
    assert post({**SCAN, "reader": "gate-8"}).json["error"] == (
        "Event with identifier gate-8 not found"
    )


def test_what_is_wrong_is_refused(post):
    assert post(SCAN, "another").status == 401
    for wrong in ({"uid": "04::a2"}, {"uid": "<04>"}, {"reader": ""}, {"time": "later"}):
        assert post({**SCAN, **wrong}).status == 400
