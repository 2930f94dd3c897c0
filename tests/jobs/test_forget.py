"""Forgetting a student: nothing tells of the person any more, and head counts stay."""

import pytest
from conftest import STORE
from hubtest import LEGACY, ONETAP, UNIFIED, fixture

from hub.errors import NotFound, Refused
from hub.jobs.forget import forget

PERSON = ("ada@example.edu", "A01234567", "rtPDDDDDDR", "5550100", "Ada Mary")


def everything(rows):
    """Every value of every row, as text."""
    names = (
        "Student", "StudentIdentifier", "Event", "EventIdentifier", "Attendance",
        "AttendanceIdentifier", "WithdrawnAttendance", "Delivery", "Attempt",
    )  # fmt: skip
    return "\n".join(repr(row) for name in names for row in rows(name))


@pytest.fixture
def ada(hub, client, calls):
    """A student who came in every way, and another one."""
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    client.post(ONETAP, fixture("onetap/participant.checkin__seen"))
    calls.unified("student", "update", email="ada@example.edu", last_name="Renamed")
    early = client.post(LEGACY, {"student_identifier": "ADA@example.edu", "event_identifier": "X"})
    hub.replays.replay(early.headers["x-delivery-id"])
    client.post(UNIFIED, {"type": "student", "data": {"email": "ada@example.edu"}})
    client.post(UNIFIED, body=b'{"type": "student", "data": "a01234567 is no object"}')
    calls.student("a2", first_name="Grace", metadata={"friend": "nobody"})
    calls.attend("a2", "Maker Monday")


@pytest.mark.parametrize("named", ["A01234567", " ADA@EXAMPLE.EDU", "onetap_profile:rtPDDDDDDR"])
def test_nothing_tells_of_the_person_any_more(hub, rows, ada, named):
    told = everything(rows)
    assert all(word.lower() in told.lower() for word in PERSON)
    done = forget(hub.store, named)
    assert done.student
    told = everything(rows)
    assert [word for word in PERSON if word.lower() in told.lower()] == []
    assert "Renamed" not in told


def test_head_counts_stay_and_others_are_left_alone(hub, calls, rows, ada):
    kept = rows.count("Delivery")
    done = forget(hub.store, "A01234567")
    assert (done.attendances, done.deliveries) == (1, 6)
    assert rows.count("Attendance") == 2
    assert rows.count("Delivery") == kept
    assert sorted(row["outcome"] for row in rows("Delivery")) == sorted(
        ["applied", "applied", "applied", "applied", "repeated", "refused", "refused", "refused"]
    )
    assert calls.attend("a2", "Maker Monday").status == 400
    assert [row["first_name"] for row in rows("Student")] == ["", "Grace"]
    # The same person may come again, as somebody new.
    assert calls.student("A01234567").json["student"]["id"] == 3


def test_a_longer_identifier_is_somebody_elses(hub, client, rows):
    for text in ("a12345", "xa1234", "a1234@example.edu", "a1234-b", "ba1234.c"):
        client.post(UNIFIED, {"type": "nothing", "text": text})
    client.post(UNIFIED, {"type": "nothing", "text": "(A1234)."})
    assert forget(hub.store, "a1234").deliveries == 1
    assert [row["emptied"] for row in rows("Delivery")] == [None] * 5 + ["forgotten"]


def test_an_identifier_that_json_escapes_is_found(hub, client, rows):
    client.post(UNIFIED, {"type": "nothing", "text": "josé@example.edu"})
    client.post(UNIFIED, body='{"type": "nothing", "text": "josé@example.edu"}'.encode())
    client.post(UNIFIED, {"type": "nothing", "text": "jos@example.edu"})
    assert forget(hub.store, "José@example.edu").deliveries == 2


def test_whom_nobody_knows_is_named(hub, client, calls, rows):
    calls.student("a1")
    before = everything(rows)
    with pytest.raises(NotFound, match="^Student with identifier a9 not found$"):
        forget(hub.store, "a9")
    assert everything(rows) == before
    client.post(LEGACY, {"student_identifier": "a9", "event_identifier": "X"})
    done = forget(hub.store, "a9")
    assert (done.student, done.deliveries) == (False, 1)
    assert "'a9'" not in everything(rows)


def test_a_short_identifier_is_found_where_an_operation_named_it(hub, client, rows):
    client.post(LEGACY, {"student_identifier": "7", "event_identifier": "7"})
    client.post(UNIFIED, {"type": "nothing", "points": 7})
    assert forget(hub.store, "7").deliveries == 1


def test_more_deliveries_than_a_page(hub, client, monkeypatch):
    monkeypatch.setattr("hub.record.deliveries._PAGE", 2)
    for number in range(7):
        client.post(UNIFIED, {"type": "nothing", "text": f"{'ada@example.edu' * (number % 2)}"})
    looked_at = []
    assert forget(hub.store, "ada@example.edu", looked_at.append).deliveries == 3
    assert sum(looked_at) == 7


@pytest.mark.skipif(STORE != "sqlite", reason="about SQLite's file")
def test_the_file_does_not_tell_either(hub, rows, ada, url, tmp_path):
    def file():
        return b"".join(path.read_bytes() for path in tmp_path.glob("hub.db*")).lower()

    assert all(word.lower().encode() in file() for word in PERSON)
    forget(hub.store, "A01234567")
    assert [word for word in PERSON if word.lower().encode() in file()] == []


class TestFormerIdentifiers:
    @pytest.fixture(autouse=True)
    def _renamed(self, client, calls):
        calls.student("s1234", email="old@example.edu")
        calls.unified("student", "update", student_identifier="s1234", email="new@example.edu")
        calls.student("s9999", email="other@example.edu")

    def test_what_was_said_under_them_is_forgotten_too(self, hub, client, rows):
        client.post(LEGACY, {"student_identifier": "old@example.edu", "event_identifier": "X"})
        client.post(UNIFIED, {"type": "nothing", "text": "old@example.edu"})
        client.post(UNIFIED, {"type": "nothing", "text": "other@example.edu"})
        assert forget(hub.store, "s1234").deliveries == 4
        told = everything(rows)
        assert "old@example.edu" not in told
        assert "other@example.edu" in told

    def test_by_one_of_them_the_student_of_now_is_named(self, hub, rows):
        before = everything(rows)
        with pytest.raises(Refused, match="is no identifier any more; forget the student s1234"):
            forget(hub.store, "old@example.edu")
        assert everything(rows) == before

    def test_one_that_is_somebody_elses_now_is_not_among_them(self, hub, calls, rows):
        calls.student("s5555", email="old@example.edu")
        forget(hub.store, "s1234")
        assert "old@example.edu" in everything(rows)
        assert [row["first_name"] for row in rows("Student")] == ["", "Ada", "Ada"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"type": "x", "text": "first\\na1234567 came"}',
        b'{"type": "x", "text": "\\u0041\\u0031234567"}',
        '{"type": "x", "text": "ÉLAN@example.edu"}'.encode(),
        b"no JSON, \xff, A1234567",
    ],
)
def test_however_it_is_written(hub, client, body):
    client.post(UNIFIED, body=body)
    named = "élan@example.edu" if "É".encode() in body else "a1234567"
    assert forget(hub.store, named).deliveries == 1


def test_a_student_who_changes_meanwhile_is_looked_at_again(hub, client, calls, rows, monkeypatch):
    calls.student("s1234", email="one@example.edu")
    client.post(UNIFIED, {"type": "nothing", "text": "two@example.edu"})
    from hub.jobs import forget as module

    about = module._about

    def late(*arguments):
        found = about(*arguments)
        calls.unified("student", "update", student_identifier="s1234", email="two@example.edu")
        return found

    monkeypatch.setattr(module, "_about", late)
    forget(hub.store, "s1234")
    assert "two@example.edu" not in everything(rows)


def test_what_arrives_while_the_others_are_searched_is_forgotten_too(
    hub, client, calls, rows, monkeypatch
):
    from hub.jobs import forget as module

    calls.student("ab12")
    search = module._about

    def slow(*arguments):
        found = search(*arguments)
        client.post(UNIFIED, {"type": "student", "data": {"note": "ab12 was here"}})
        return found

    monkeypatch.setattr(module, "_about", slow)
    forget(hub.store, "ab12")
    assert "ab12" not in everything(rows)


def test_a_captured_request_that_is_no_text_goes_too(hub, calls, rows):
    from hub.domain.timestamps import utc_now
    from hub.store import captures

    now = utc_now()
    with hub.store.writing() as tx:
        capture = captures.open_(tx, "digest", now, now)
        for body in (b"\xff", b"a\0b", b"nobody", b'{"who": "ab12"}'):
            captures.keep(tx, capture, now, {}, body)
    done = forget(hub.store, "ab12")
    assert (done.student, done.attendances, done.deliveries) == (False, 0, 3)
    assert [bytes(row["body"]) for row in rows("CapturedRequest")] == [b"nobody"]
