"""``attendance-hub forget``, as a person types it."""

import re

import pytest
from hubtest import LEGACY, UNIFIED

QUESTION = "Remove all that tells of a1234, for good? [y/N]: "


@pytest.fixture
def ada(calls, client):
    calls.student("a1234", first_name="Ada\x1b[2J", last_name="Renard", email="ada@example.edu")
    calls.event()
    calls.attend("a1234")
    client.post(LEGACY, {"student_identifier": "ADA@example.edu", "event_identifier": "X"})
    client.post(UNIFIED, {"type": "nothing", "text": "a1234"})


SHOWN = [
    r"name: Ada\x1b[2J Renard",
    "a_number: a1234",
    "email: ada@example.edu",
    "attendances: 1",
    "deliveries with an identifier of theirs: 3",
]


def test_it_shows_whom_it_means_asks_and_forgets(run, ada, rows):
    asked = run("forget", "a1234", input="n\n", status=1)
    assert asked[:5] == SHOWN
    assert asked[5].startswith(QUESTION)
    assert rows("Student")[0]["last_name"] == "Renard"
    assert rows("Forgetting") == []
    lines = run("forget", "a1234", input="y\n")
    assert lines[:5] == SHOWN
    assert lines[-1] == "complete: 1 attendances stay counted, 4 deliveries were emptied"
    assert rows("Student")[0]["last_name"] == ""


def test_yes_skips_the_question(run, ada):
    done = "complete: 1 attendances stay counted, 4 deliveries were emptied"
    assert run("forget", "a1234", "--yes") == [*SHOWN, done]


def test_all_that_was_found_is_told(run, calls, client, hub):
    calls.student("a1234", first_name="Ada", last_name="Renard")
    calls.student("a5678", about={"friend": "a1234"})
    calls.event("Party of Ada Renard")
    path = re.search(r"/api/capture/[\w-]+/", "\n".join(run("capture")))[0]
    assert client.post(path, {"who": "a1234"}).status == 202
    lines = run("forget", "a1234", "--yes")
    assert lines[-4:] == [
        "complete: 0 attendances stay counted, 3 deliveries were emptied",
        "1 captured requests were removed",
        "the metadata of 1 students, events and attendances was removed",
        "1 events mention the person; edit their texts: 1",
    ]


def test_whom_nobody_knows_is_one_line(run, hub):
    (line,) = run("forget", "a1234", "--yes", status=2)
    assert line == "attendance-hub: Student with identifier a1234 not found"


def test_where_nobody_has_it_and_deliveries_tell_of_it(run, client):
    client.post(LEGACY, {"student_identifier": "a1234", "event_identifier": "X"})
    client.post(UNIFIED, {"type": "nothing", "text": "a1234"})
    lines = run("forget", "a1234", input="y\n")
    assert lines[:2] == [
        "nobody has the identifier a1234",
        "deliveries with an identifier of theirs: 1",
    ]
    assert lines[-2:] == [
        "nobody has this identifier, and what tells of it is removed",
        "complete: 0 attendances stay counted, 2 deliveries were emptied",
    ]


def test_a_former_identifier_is_refused_before_the_question(run, calls):
    calls.student("a1\x1b[2J", email="old@example.edu")
    calls.unified("student", "update", student_identifier="a1\x1b[2J", email="new@example.edu")
    (line,) = run("forget", "old@example.edu", status=2)
    assert line == (
        "attendance-hub: old@example.edu is no identifier any more; forget the student "
        r"a1\x1b[2J"
    )


class TestWhatIsNotCompleted:
    @pytest.fixture
    def broken(self, run, ada, client, monkeypatch):
        """The command was ended after the first page."""
        monkeypatch.setattr("hub.jobs.traces._PAGE", 2)

        def interrupted(self):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("hub.jobs.traces._Search._rest", interrupted)
            return run("forget", "a1234", "--yes", status=1)

    def test_it_says_who_goes_on(self, broken):
        assert broken[5].startswith("not complete: a hub that serves goes on with it in a minute")

    def test_it_is_listed_without_a_name(self, run, broken):
        (line,) = run("forget", "--list")
        columns = line.split("  ")
        assert columns[0] == "1"
        assert columns[2:] == ["not complete, 2 of 5 deliveries looked at", "3 emptied"]
        run("forget", "--resume")
        (line,) = run("forget", "--list")
        assert line.split("  ")[2:] == ["complete", "4 emptied"]

    def test_resume_goes_on_at_once(self, run, broken, rows):
        assert run("forget", "--resume") == ["complete: request 1, 4 deliveries were emptied"]
        assert rows("Forgetting")[0]["names"] == ""
        emptied = [row["emptied"] for row in rows("Delivery")]
        assert emptied == ["forgotten", None, "forgotten", "forgotten", "forgotten"]
        assert run("forget", "--resume") == ["every request is complete"]


def test_another_process_may_take_it_over(run, ada, monkeypatch):
    def lost(*_, **__):
        return None

    monkeypatch.setattr("hub.cli.forget.complete", lost)
    assert run("forget", "a1234", "--yes")[-1].startswith("another process goes on with it")
    monkeypatch.setattr("hub.jobs.traces.claim", lost)
    assert run("forget", "--resume")[-1].startswith("another process goes on with it")


@pytest.mark.parametrize(
    "arguments", [(), ("a1", "--resume"), ("a1", "--list"), ("--list", "--resume")]
)
def test_one_thing_at_a_time(run, arguments):
    (line,) = run("forget", *arguments, status=2)
    assert line == "attendance-hub: Use one of these: a STUDENT, --resume, or --list"
