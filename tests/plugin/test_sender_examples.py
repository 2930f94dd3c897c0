"""Each section of docs/senders.md: its plugin is loaded, and takes the request that stands under it."""

import re
from pathlib import Path

import pytest

from hub.config.load import load
from hub.testing.memory import MemoryHub
from hub.wire.message import read_message

PAGE = (Path(__file__).parents[2] / "docs" / "senders.md").read_text("utf-8")
EXAMPLES = {
    name: (code, request)
    for name, code, request in re.findall(
        r"<!-- sender: (\w+) -->\n```python\n(.*?)```\n\n```http\n(.*?)```", PAGE, re.DOTALL
    )
}
FETCHED = {"badge": "a12345678", "room": "Weekly Meeting"}


@pytest.fixture
def sent(tmp_path):
    hubs = []

    def sent(name, **environment):
        code, request = EXAMPLES[name]
        (tmp_path / "example.py").write_text(code)
        hub = MemoryHub(tmp_path / "example.py", load({}, None, environment).settings)
        hubs.append(hub)
        written = read_message(request.encode())
        asked = hub.of_written(None, written)
        hub.know_named(hub.operations_of(None, asked, FETCHED if name == "fetch" else None))
        return hub, hub.send(None, asked)

    yield sent
    for hub in hubs:
        hub.close()


def test_there_is_one_for_each_ability():
    assert set(EXAMPLES) == {
        "form", "places", "signed", "handshake", "reply", "rows", "fetch", "called",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["form", "places", "signed", "called"])
def test_it_checks_in(sent, name):
    hub, posted = sent(name)
    assert posted.status == 201, posted.body
    assert len(hub.rows("attendance")) == 1


def test_a_handshake_is_answered_and_not_kept(sent):
    hub, posted = sent("handshake")
    assert (posted.status, posted.body) == (200, b"1158201444")
    assert posted.headers["content-type"] == "text/plain; charset=utf-8"
    assert hub.rows("delivery") == []
    assert hub.endpoint().counters.shown()["deliveries"] == {"total": 1, "handshake": 1}


def test_a_reply_is_told_and_what_happened_is_kept(sent):
    hub, posted = sent("reply")
    assert (posted.status, posted.body) == (200, b"OK")
    refused = hub.post(None, b'{"badge": "a99999999", "room": "Weekly Meeting"}')
    assert (refused.status, refused.body) == (
        200,
        b"NO Student with identifier a99999999 not found",
    )
    kept = hub.rows("delivery")[-1]
    assert (kept["outcome"], kept["status"], kept["told_status"]) == ("refused", 404, 200)
    assert kept["waiting"] == "student a_number:a99999999"


def test_rows_are_deliveries_of_their_own(sent):
    hub, posted = sent("rows")
    assert posted.json["rows"] == {"applied": 2}
    whole, *rows = hub.rows("delivery")
    assert [row["of_row"] for row in rows] == [1, 2]
    assert {row["of_delivery"] for row in rows} == {whole["id"]}
    assert len(hub.rows("attendance")) == 2


def test_what_must_be_fetched_waits_and_is_applied(sent):
    hub, posted = sent("fetch")
    assert posted.status == 202
    (kept,) = hub.rows("delivery")
    assert kept["waiting"] == "fetch https://door.example/scans/7f3a"
    hub.fetched(kept["id"], FETCHED)
    (kept,) = hub.rows("delivery")
    assert (kept["outcome"], kept["waiting"]) == ("applied", None)
    assert len(hub.rows("attendance")) == 1


def test_a_room_is_mapped_by_its_id(sent):
    hub, _ = sent("called", HUB_SOURCE_DOOR_EVENTS="R7 = Weekly Meeting")
    assert [row["name"] for row in hub.rows("event")] == ["Weekly Meeting"]
