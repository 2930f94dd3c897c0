"""What the ready-made sources tell in words, and what they refuse of what was fetched."""

import pytest

from hub.domain.delivery import Outcome
from hub.errors import Refused
from hub.plugin.sender import Happened
from hub_plugins.catalogue.eventbrite import normalize
from hub_plugins.chat import sentence


@pytest.mark.parametrize(
    ("outcome", "status", "error", "told"),
    [
        (Outcome.IGNORED, 202, "", "Write: here, and the name of the event."),
        (Outcome.REFUSED, 404, "Student with identifier U1 not found", "I do not know you yet."),
        (Outcome.REFUSED, 404, "Event with identifier Tea not found", "I know no event named Tea."),
        (Outcome.REFUSED, 400, "The event is over", "Not checked in: The event is over."),
        (Outcome.FAILED, 500, "Internal server error", "Something went wrong."),
    ],
)
def test_what_a_chat_is_told(outcome, status, error, told):
    assert sentence(Happened(outcome, status, {"error": error})).startswith(told)


def attendee(**changed):
    event = {"name": {"text": "Weekly Meeting"}, "start": {"utc": "2026-03-10T18:00:00Z"}}
    profile = {"email": "ada@example.edu", "first_name": "Ada", "last_name": "Example"}
    return {"profile": profile, "event": event, "event_id": "27274500000", **changed}


def operations(action, found):
    return list(normalize({"config": {"action": action}}, found))


@pytest.mark.parametrize(
    ("found", "error"),
    [
        ({}, "What was fetched is no attendee with an event"),
        (attendee(event={"name": None}), "What was fetched is no attendee with an event"),
        (attendee(profile={"email": None}), "The attendee has no e-mail"),
    ],
)
def test_an_attendee_that_eventbrite_refuses(found, error):
    with pytest.raises(Refused, match=error):
        operations("attendee.checked_in", found)


def test_eventbrite_takes_a_check_in_back():
    (made,) = operations("barcode.un_checked_in", attendee())
    assert type(made).__name__ == "Withdraw"
