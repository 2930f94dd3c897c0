"""The usual answers, for each operation that a source may ask for."""

import pytest
from hubtest import Calls, Client

SOURCE = """
from hub import (
    OPEN, CheckIn, CheckOut, HideEvent, HideStudent, Identifier, Ignore, SaveEvent, SaveStudent,
    Source, UpdateEvent, Withdraw, hookimpl, parse_timestamp,
)

AT = parse_timestamp("2024-01-15T12:00:00Z")
CARD = Identifier("card", "04A2")
ROOM = Identifier("room", "7")
WHO = {"student": "a1", "event": "Weekly Meeting"}
OPERATIONS = {
    "save student": SaveStudent(identifiers=(CARD,), first_name="Grace", last_name="Example"),
    "save event": SaveEvent(identifiers=(ROOM,), name="Lab", starts_at=AT, location="Room 7"),
    "first": SaveEvent(identifiers=(), name="First", starts_at=parse_timestamp("0001-01-01T00:00Z")),
    "seen": CheckIn(**WHO, repeatable=True),
    "by card": CheckIn(student=CARD, event=ROOM),
    "unknown card": CheckIn(student=Identifier("card", "x"), event=ROOM),
    "unknown room": CheckIn(student=CARD, event=Identifier("room", "x")),
    "check out": CheckOut(**WHO, at=AT),
    "check out now": CheckOut(**WHO),
    "check out by name": CheckOut(student="a1", event="No Meeting"),
    "withdraw": Withdraw(**WHO),
    "hide student": HideStudent(student="a1"),
    "hide event": HideEvent(event="Weekly Meeting"),
    "update nothing": UpdateEvent(points=1),
    "ignore": Ignore(reason="Not today"),
}


def normalize(payload):
    yield OPERATIONS[payload["do"]]


@hookimpl
def register_sources():
    yield Source(name="any", path="any", authenticate=OPEN, schema={}, normalize=normalize)
"""


@pytest.fixture
def do(make_hub, tmp_path):
    (tmp_path / "any.py").write_text(SOURCE)
    client = Client(make_hub(plugins=str(tmp_path)))
    calls = Calls(client)
    calls.student("a1")
    calls.event()
    client.post("/api/webhook/any/", {"do": "seen"})
    return lambda what: client.post("/api/webhook/any/", {"do": what})


@pytest.mark.parametrize(
    ("operation", "status", "message"),
    [
        ("save student", 201, "Student created successfully"),
        ("save event", 201, "Event created successfully"),
        ("first", 201, "Event created successfully"),
        ("check out", 200, "Check-out recorded successfully"),
        ("check out now", 200, "Check-out recorded successfully"),
        ("check out by name", 200, "Delivery received; nothing to record"),
        ("withdraw", 200, "Attendance withdrawn successfully"),
        ("hide student", 200, "Student deleted successfully"),
        ("hide event", 200, "Event deleted successfully"),
        ("ignore", 200, "Delivery received; nothing to record"),
    ],
)
def test_each_operation_has_its_answer(do, operation, status, message):
    reply = do(operation)
    assert (reply.status, reply.json["message"]) == (status, message)
    assert reply.json["source"] == "any"


def test_saving_again_creates_nothing(do):
    for operation in ("save student", "save event"):
        first, again = do(operation), do(operation)
        assert (first.status, again.status) == (201, 200)


def test_a_new_kind_of_identifier_needs_no_new_column(do):
    do("save student")
    do("save event")
    reply = do("by card")
    assert (reply.status, reply.json["event"]["name"]) == (201, "Lab")
    assert reply.json["student"] == {"id": 2, "name": "Grace Example", "email": None}
    assert do("unknown card").error == "Student with identifier x not found"
    assert do("unknown room").error == "Event with identifier x not found"


def test_a_check_out_shows_its_time(do):
    assert do("check out").json["checked_out_at"] == "2024-01-15T12:00:00Z"


def test_an_update_that_names_nothing_is_refused(do):
    assert do("update nothing").error == "event_identifier or event_name is required"


AUTHORITY = """
from hub import OPEN, CheckIn, Source, Withdraw, hookimpl

WHO = {"student": "a1", "event": "Weekly Meeting"}
TWICE = [CheckIn(**WHO), CheckIn(**WHO)]
OPERATIONS = {"in": [CheckIn(**WHO)], "again": [CheckIn(**WHO, repeatable=True)],
              "out": [Withdraw(**WHO)], "twice": TWICE}


def normalize(payload):
    return OPERATIONS[payload["do"]]


@hookimpl
def register_sources():
    for name, authority in (("office", True), ("door", False)):
        yield Source(name=name, path=name, authenticate=OPEN, schema={}, normalize=normalize,
                     authority=authority)
"""


@pytest.fixture
def sources(make_hub, tmp_path):
    (tmp_path / "sources.py").write_text(AUTHORITY)
    client = Client(make_hub(plugins=str(tmp_path)))
    calls = Calls(client)
    calls.student("a1")
    calls.event()
    return lambda source, what: client.post(f"/api/webhook/{source}/", {"do": what})


def test_what_was_said_with_authority_stands_above_what_others_see(sources):
    assert sources("door", "in").status == 201
    assert sources("office", "out").json["message"] == "Attendance withdrawn successfully"
    refused = sources("door", "in")
    assert (refused.status, refused.error) == (400, "Attendance was withdrawn at the desk")
    ignored = sources("door", "again")
    message = "Delivery received; nothing to record"
    assert (ignored.status, ignored.json["message"]) == (200, message)
    assert sources("office", "in").status == 201
    assert sources("door", "out").json["message"] == "Attendance withdrawn successfully"
    assert sources("door", "in").status == 400  # the office has said that the student was there


def test_one_who_is_checked_in_twice_by_one_delivery_is_refused(sources):
    reply = sources("door", "twice")
    assert (reply.status, reply.error) == (400, "Student already checked in to this event")
    assert sources("door", "in").status == 201
