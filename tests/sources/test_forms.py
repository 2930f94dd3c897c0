"""The source ``forms``: rows of Google Forms, by configured columns."""

from types import MappingProxyType

import pytest
from hubtest import Calls, Client

from hub.config.load import load

PATH = "/api/webhook/forms/"
SECRET = "a-secret-of-the-script"
ROW = {"Timestamp": "3/1/2026 18:02:11", "Student ID": "a1", "Event": "Chess"}


@pytest.fixture
def start(make_hub, tmp_path):
    """A hub with the source, configured by this text, a student and an event: what posts to it."""

    def start(toml="", **settings):
        file = tmp_path / "hub.toml"
        file.write_text(f'enable = ["forms"]\n{toml}')
        environment = {"HUB_SOURCE_FORMS_SECRETS": SECRET}
        found = load({}, str(file), environment).settings
        hub = make_hub(enable=found.enable, sources=found.sources, plugin=found.plugin, **settings)
        client = Client(hub)
        Calls(client).student("a1")
        Calls(client).event("Chess", "2026-03-01T18:00:00Z")
        headers = {"X-Webhook-Secret": SECRET}
        return lambda payload: client.post(PATH, payload, headers=headers)

    start.failed = lambda toml: _failed(make_hub, tmp_path, toml)
    return start


def _failed(make_hub, tmp_path, toml):
    file = tmp_path / "hub.toml"
    file.write_text(toml)
    found = load({}, str(file), {}).settings
    (failed,) = make_hub(enable=("forms",), plugin=found.plugin).plugins.failed
    return failed.reason


def test_a_row_and_the_trigger_of_a_script_check_in(start):
    from zoneinfo import ZoneInfo

    post = start(time_zone=ZoneInfo("America/New_York"))
    reply = post(ROW)
    assert reply.status == 201
    assert reply.json["checked_in_at"] == "2026-03-01T23:02:11Z"
    named = {column: [cell] for column, cell in ROW.items()}
    assert (
        post({"authMode": "FULL", "namedValues": named, "values": list(ROW.values())}).status == 200
    )


def test_columns_by_configuration_make_students_too(start):
    columns = """
    [plugin.forms]
    event = "Chess"
    time_format = "%d.%m.%Y %H:%M"
    [plugin.forms.columns]
    email = "Your e-mail"
    first_name = "Vorname"
    last_name = "Name"
    time = "Zeit"
    """
    post = start(columns)
    row = {"Your e-mail": "bo@example.edu", "Vorname": "Bo", "Name": "Example"}
    reply = post({**row, "Zeit": "01.03.2026 18:02"})
    assert reply.status == 201
    assert reply.json["student"]["name"] == "Bo Example"
    assert reply.json["checked_in_at"] == "2026-03-01T18:02:00Z"
    assert post({**row, "Your e-mail": "no mail"}).json["error"] == "Invalid Your e-mail"
    assert post({**row, "Zeit": "3/1/2026"}).json["error"] == "Invalid Zeit"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Student ID": [" "]}, "Student ID is required"),
        ({"Event": []}, "Event is required"),
        ({"Student ID": "x" * 300}, "Invalid Student ID"),
        ({"Event": {}}, "Invalid payload"),
        ({"Timestamp": "yesterday"}, "Invalid Timestamp"),
    ],
)
def test_what_is_wrong_is_named_by_its_column(start, change, said):
    reply = start()({**ROW, **change})
    assert (reply.status, reply.json["error"]) == (400, said)


def test_numbers_are_texts_and_an_address_may_stand_for_the_number(start):
    post = start()
    assert post({**ROW, "Student ID": "a1@example.edu"}).status == 201
    assert post({**ROW, "Student ID": 17.0}).json["error"] == "Student with identifier 17 not found"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[plugin.forms.columns]\nname = 'x'", "name is none of student, email, first_name"),
        ("[plugin.forms.columns]\nevent = 'x'", "name the column of student, or of email"),
        ("[plugin.forms.columns]\nstudent = 'x'", "name the column of event, or set the one event"),
    ],
)
def test_a_wrong_configuration_disables_it_and_says_why(start, toml, said):
    assert said in start.failed(toml)


def test_its_settings_are_frozen():
    from hub_plugins.forms import Settings

    assert isinstance(Settings().columns, MappingProxyType)
