"""Forgetting a student: nothing tells of the person any more, and head counts stay."""

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from conftest import STORE
from hubtest import LEGACY, ONETAP, UNIFIED, fixture
from serving import eventually

from hub.domain.captures import CapturedRequest
from hub.domain.delivery import Outcome, Settlement, delivery_id_at
from hub.domain.evidence import State
from hub.domain.identifiers import Identifier
from hub.domain.operations import SaveStudent
from hub.domain.timestamps import utc_now
from hub.errors import NotFound, Refused
from hub.jobs import traces
from hub.jobs.forget import ask, complete, forget, look_up
from hub.record import deliveries as kept_deliveries
from hub.record import forgettings as requests
from hub.store import captures, deliveries
from hub.store.apply import apply
from hub.store.context import Context

PERSON = ("ada@example.edu", "A01234567", "rtPDDDDDDR", "5550100", "Ada Mary")


def everything(rows):
    """Every value of every row, as text."""
    names = (
        "Student", "StudentIdentifier", "Event", "EventIdentifier", "Attendance",
        "AttendanceIdentifier", "Evidence", "Delivery", "Attempt", "Mention", "Disagreement", "Change",
    )  # fmt: skip
    return "\n".join(repr(row) for name in names for row in rows(name))


def resume(store):
    """Complete what was begun, whoever has a claim to it."""
    with store.reading() as db:
        unfinished = [one.id for one in requests.unfinished(db)]
    for request in unfinished:
        claim = traces.claim(store, request, at_once=True)
        assert traces.search(store, claim, lambda looked_at: None, lambda: True)


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
    calls.student("a2", first_name="Grace", about={"friend": "nobody"})
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
    monkeypatch.setattr("hub.jobs.traces._PAGE", 2)
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


def test_a_student_who_changed_since_the_question_is_forgotten_as_now(hub, client, calls, rows):
    calls.student("s1234", email="one@example.edu")
    client.post(UNIFIED, {"type": "nothing", "text": "two@example.edu"})
    meant = look_up(hub.store, "s1234")
    calls.unified("student", "update", student_identifier="s1234", email="two@example.edu")
    ask(hub.store, "s1234", meant)
    assert "two@example.edu" in everything(rows)
    resume(hub.store)
    assert "two@example.edu" not in everything(rows)


def test_one_who_is_somebody_else_since_the_question_stays(hub, calls, rows):
    calls.student("s1234", email="one@example.edu")
    meant = look_up(hub.store, "one@example.edu")
    calls.unified("student", "update", student_identifier="s1234", email="two@example.edu")
    calls.student("s5678", email="one@example.edu")
    before = everything(rows)
    with pytest.raises(Refused, match="means somebody else since"):
        ask(hub.store, "one@example.edu", meant)
    assert everything(rows) == before


def test_what_arrives_while_the_others_are_searched_is_forgotten_too(hub, client, calls, rows):
    calls.student("zx12")

    def late(looked_at):
        client.post(UNIFIED, {"type": "student", "data": {"note": "zx12 was here"}})

    forget(hub.store, "zx12", late)
    assert "zx12" not in everything(rows)


def test_what_was_received_before_and_is_committed_late_is_found(hub, client, calls, rows):
    """Deliveries are searched in the order of their ids, and committed in another one."""
    calls.student("zx12")
    calls.student("zx34")

    def late(looked_at):
        reply = client.post(UNIFIED, {"type": "student", "data": {"note": "zx12 was here"}})
        received = delivery_id_at(utc_now() - timedelta(seconds=30))
        identifier = reply.headers["x-delivery-id"]
        with hub.store.writing() as tx:
            tx.run("UPDATE delivery SET id = ? WHERE id = ?", received, identifier)

    forget(hub.store, "zx12", late)
    assert "zx12" not in everything(rows)


def test_what_the_person_sends_later_is_kept(hub, client, calls, rows):
    calls.student("zx12")
    asked = ask(hub.store, "zx12")
    reply = calls.student("zx12", about={"mail": "zx12@example.edu"})
    later = delivery_id_at(utc_now() + timedelta(hours=1)) + "0" * 16
    with hub.store.writing() as tx:
        for table, column in (("delivery", "id"), ("student", "delivery")):
            sql = f"UPDATE {table} SET {column} = ? WHERE {column} = ?"
            tx.run(sql, later, reply.headers["x-delivery-id"])
    assert complete(hub.store, "zx12", asked, lambda looked_at: None).deliveries == 1
    assert [row["emptied"] for row in rows("Delivery")] == ["forgotten", None]
    assert rows("Student")[1]["metadata"] == '{"mail": "zx12@example.edu"}'


def test_a_captured_request_that_is_no_text_goes_too(hub, calls, rows):
    now = utc_now()
    with hub.store.writing() as tx:
        capture = captures.open_(tx, "digest", now, now)
        for body in (b"\xff", b"a\0b", b"nobody", b'{"who": "zx12"}'):
            captures.keep(tx, capture, CapturedRequest(now, {}, body))
    done = forget(hub.store, "zx12")
    assert (done.student, done.deliveries, done.found.captured) == (False, 0, 3)
    assert [bytes(row["body"]) for row in rows("CapturedRequest")] == [b"nobody"]


class TestEverySpelling:
    @pytest.fixture
    def card(self, hub, calls):
        """A student with a card."""

        def card(uid):
            person = SaveStudent(identifiers=(Identifier("card", uid),), first_name="Ada")
            with hub.store.writing() as tx:
                apply(tx, [person], Context("d0", utc_now(), "test", None))
            return f"card:{uid}"

        return card

    @pytest.mark.parametrize(
        "text",
        [
            "04a2b9c1", "04:A2:B9:C1", "04 a2 b9 c1", "04-A2-B9-C1", "04.a2.b9.c1", "04A2 B9C1",
            "uid:04:A2:B9:C1, gate 7", "04 a2 b9 c1 came", "(04: a2: b9: c1)", "04\r\na2\tb9c1",
        ],
    )  # fmt: skip
    def test_a_card_as_a_reader_writes_it(self, hub, client, card, rows, text):
        client.post(UNIFIED, {"type": "nothing", "text": text})
        client.post(UNIFIED, body=f"uid={quote(text)}".encode())
        assert forget(hub.store, card("04a2b9c1")).deliveries == 2

    @pytest.mark.parametrize(
        "text",
        ["04:A2:B9:C1:FF", "aa:04:a2:b9:c1", "04-a2-b9-c1-00", "04:a2:b9:c", "104:a2:b9:c1"],
    )
    def test_a_longer_card_is_somebody_elses(self, hub, client, card, text):
        client.post(UNIFIED, {"type": "nothing", "text": f"x {text} x"})
        assert forget(hub.store, card("04a2b9c1")).deliveries == 0

    @pytest.mark.parametrize(
        ("uid", "text"),
        [
            ("1015", "at 10:15"), ("101500", "at 10:15:00"), ("20241015", "on 2024-10-15"),
            ("15102024", "on 15.10.2024"), ("12345678", "1234.5678 points"),
        ],
    )  # fmt: skip
    def test_a_number_is_no_moment(self, hub, client, card, uid, text):
        client.post(UNIFIED, {"type": "nothing", "text": text})
        client.post(UNIFIED, {"type": "nothing", "text": f"card {uid}"})
        assert forget(hub.store, card(uid)).deliveries == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"mail=%20ADA%40example.edu+&x=1",
            b'{"type": "nothing", "text": " Ada@Example.edu "}',
            b'{"type": "nothing", "text": "{\\"mail\\": \\"\\\\u0061da@example.edu\\"}"}',
            "ada@example.edu".encode("utf-16"),
            "d\u00e9j\u00e0 ada@example.edu".encode("latin-1"),
            b'{"type": "nothing", "text": "Cc:ada@example.edu"}',
        ],
    )
    def test_an_e_mail(self, hub, client, body):
        client.post(UNIFIED, body=body)
        assert forget(hub.store, "ada@example.edu").deliveries == 1

    def test_an_a_number_with_blanks_around_it(self, hub, client, calls, rows):
        calls.student(" zx34 ", email="ada@example.edu")
        client.post(LEGACY, {"student_identifier": " ZX34 ", "event_identifier": "X"})
        client.post(UNIFIED, {"type": "nothing", "text": "  zx34  "})
        assert forget(hub.store, " zx34 ").deliveries == 3
        assert "zx34" not in everything(rows).lower()


class TestWhatStaysBehind:
    MAIL = "ada@example.edu"

    def test_metadata_of_everything_else(self, hub, client, calls, rows):
        calls.student("a1", email=self.MAIL)
        calls.student("a2", about={"friend": "ADA@example.edu"})
        calls.student("a3", about={"friend": "nobody"})
        calls.event(about={"host": "ada@ex\u0061mple.edu"})
        calls.event("Chess", about={"host": "nobody"})
        calls.attend("a2", about={"with": self.MAIL})
        calls.attend("a3", "Chess", about={"with": "nobody"})
        visit = {
            "event": "participant.checkin", "timestamp": "2025-11-10T20:56:58Z",
            "data": {"participant": {"id": "p1", "checkInMethod": f"by {self.MAIL}"},
                     "profile": {"id": "f1", "name": "Bo Renard"},
                     "list": {"id": "l1", "name": "Run", "date": "2025-11-10T20:00:00Z"}},
        }  # fmt: skip
        assert client.post(ONETAP, visit).status == 201
        client.post(ONETAP, {**visit, "event": "participant.deleted"})
        (withdrawn,) = (row for row in rows("Attendance") if row["state"] == State.WITHDRAWN)
        assert self.MAIL in withdrawn["metadata"]
        done = forget(hub.store, self.MAIL)
        assert self.MAIL not in everything(rows).lower()
        assert done.found.metadata == 4
        told = [
            row["metadata"] for name in ("Student", "Event", "Attendance") for row in rows(name)
        ]
        assert [text for text in told if text != "{}"] == [
            '{"friend": "nobody"}', '{"host": "nobody"}', '{"with": "nobody"}',
        ]  # fmt: skip
        assert [row["first_name"] for row in rows("Student")][1:3] == ["Ada", "Ada"]

    def test_a_refused_delivery_with_a_mistyped_a_number_and_the_name(
        self, hub, client, calls, rows
    ):
        calls.student("a1234", first_name="Ada Mary", last_name="Renard")
        mistyped = {"student_identifier": "a1243", "event_identifier": "X"}
        client.post(LEGACY, {**mistyped, "note": "RENARD, ada  mary"})
        client.post(LEGACY, {**mistyped, "note": "Ada Marys Renard"})
        client.post(LEGACY, {**mistyped, "note": "Renard"})
        assert forget(hub.store, "a1234").deliveries == 2
        assert [row["emptied"] for row in rows("Delivery")] == ["forgotten"] * 2 + [None] * 2

    def test_the_deliveries_of_one_with_the_same_name_stay(self, hub, calls, rows):
        calls.student("a1234", first_name="Ada", last_name="Renard")
        calls.student("a5678", first_name="Ada", last_name="Renard")
        # Refused, and it names the other one.
        calls.student("a5678", first_name="Ada", last_name="Renard")
        assert forget(hub.store, "a1234").deliveries == 1
        assert [row["emptied"] for row in rows("Delivery")] == ["forgotten", None, None]

    @pytest.mark.parametrize(
        ("first", "last", "emptied"),
        [("Ada", "", 0), ("", "O'Renard", 0), ("A", "B", 0), ("Ada O'Renard", "", 1)],
    )
    def test_a_name_of_one_word_is_not_searched(self, hub, client, first, last, emptied):
        person = SaveStudent(
            identifiers=(Identifier("a_number", "a1234"),), first_name=first, last_name=last
        )
        with hub.store.writing() as tx:
            apply(tx, [person], Context("d0", utc_now(), "test", None))
        client.post(UNIFIED, {"type": "nothing", "text": "Ada O'Renard, A B"})
        assert forget(hub.store, "a1234").deliveries == emptied

    def test_what_was_called_an_event(self, hub, client, rows):
        client.post(LEGACY, {"student_identifier": self.MAIL, "event_identifier": self.MAIL})
        client.post(LEGACY, {"student_identifier": "a1", "event_identifier": self.MAIL})
        assert forget(hub.store, self.MAIL).deliveries == 2
        assert self.MAIL not in everything(rows)

    def test_the_answer_of_a_later_attempt(self, hub, client, calls, rows, monkeypatch):
        reply = client.post(LEGACY, {"student_identifier": "a1", "event_identifier": "X"})
        with hub.store.writing() as tx:
            tx.run("UPDATE delivery SET body = ?", b"")
        with hub.store.reading() as db:
            kept = kept_deliveries.find(db, reply.headers["x-delivery-id"])
        with hub.store.writing() as tx:
            answer = json.dumps({"error": f"{self.MAIL} is late"})
            said = Settlement(Outcome.REFUSED, 400, answer, 1)
            deliveries.add_attempt(tx, kept, utc_now(), said)
        assert forget(hub.store, self.MAIL).deliveries == 1
        assert self.MAIL not in everything(rows)

    def test_the_texts_of_events_are_left_and_told(self, hub, calls, rows):
        calls.student("a1234", email=self.MAIL, first_name="Ada", last_name="Renard")
        calls.event("Chess")
        calls.event("Talk", description=f"ask {self.MAIL}")
        calls.event("Party of Ada Renard")
        calls.event("Run", location="Renard Hall")
        assert forget(hub.store, "a1234").found.events == [2, 3]
        assert rows("Event")[1]["description"] == f"ask {self.MAIL}"


class TestResumption:
    @pytest.fixture
    def stopped(self, hub, client, calls, rows, monkeypatch):
        """A request that broke off after its first page."""
        monkeypatch.setattr("hub.jobs.traces._PAGE", 2)
        calls.student("zx12", email="ada@example.edu", first_name="Ada", last_name="Renard")
        calls.student("zx34", about={"friend": "ada@example.edu"})
        for number in range(6):
            client.post(UNIFIED, {"type": "nothing", "text": f"ada@example.edu {number}"})

        def crash(looked_at):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            forget(hub.store, "zx12", crash)
        return rows

    def test_from_the_first_on_nobody_finds_the_person(self, stopped, calls):
        assert [row["first_name"] for row in stopped("Student")] == ["", "Ada"]
        assert [row["value"] for row in stopped("StudentIdentifier") if row["student"] == 1] == []
        assert calls.attend("zx12").status == 404
        (request,) = stopped("Forgetting")
        assert json.loads(request["names"])["identifiers"] == [
            "a_number:zx12",
            "email:ada@example.edu",
        ]
        assert (request["emptied"], request["ended_at"]) == (2, None)
        assert request["looked_upto"] == stopped("Delivery")[1]["id"]
        assert "ada@example.edu" in everything(stopped)

    def test_the_hub_that_serves_goes_on_once_the_claim_is_over(
        self, stopped, hub, caplog, monkeypatch
    ):
        caplog.set_level("INFO", logger="hub.jobs.upkeep")
        hub.upkeep.do_what_is_due()
        assert stopped("Forgetting")[0]["ended_at"] is None
        over = utc_now() + traces.LEASE
        monkeypatch.setattr("hub.jobs.traces.utc_now", lambda: over)
        hub.upkeep.do_what_is_due()
        assert complete_without_traces(stopped)
        assert [line for line in caplog.messages if line.startswith("request")] == [
            "request 1 to forget a student is resumed",
            "request 1 to forget a student is complete: 8 deliveries were emptied; "
            "events that mention the student: none",
        ]

    def test_a_hub_does_it_by_itself(self, stopped, hub, serve):
        with hub.store.writing() as tx:
            tx.run("UPDATE forgetting SET claimed_until = asked_at")
        server = serve()
        eventually(lambda: complete_without_traces(stopped))
        said = "request 1 to forget a student is complete"
        eventually(lambda: any(said in line for line in server.lines))
        assert not any(word in line for word in ("ada@", "zx12") for line in server.lines)

    def test_it_stops_where_the_hub_ends_and_what_has_appeared_is_applied(
        self, stopped, hub, calls, client, make_hub, monkeypatch
    ):
        early = client.post(LEGACY, {"student_identifier": "cd12", "event_identifier": "Chess"})
        assert early.status == 404
        hub = make_hub(apply_waiting=True)
        over = utc_now() + traces.LEASE
        monkeypatch.setattr("hub.jobs.traces.utc_now", lambda: over)
        rests = []

        def rest(seconds):
            rests.append(seconds)
            if len(rests) == 1:
                for reply in (calls.student("cd12"), calls.event("Chess")):
                    assert reply.status == 201
                hub.upkeep._appeared.add_all()
            if len(rests) == 3:
                hub.upkeep._ending.set()

        monkeypatch.setattr("hub.jobs.traces.time.sleep", rest)
        hub.upkeep.do_what_is_due()
        assert len(rests) == 3
        assert stopped("Forgetting")[0]["ended_at"] is None
        assert stopped.count("Attendance") == 1

    def test_whoever_lost_the_claim_leaves_the_rest(self, hub, client, calls, rows):
        calls.student("zx12")
        client.post(UNIFIED, {"type": "nothing", "text": "zx12"})

        def another(looked_at):
            if rows("Forgetting")[0]["ended_at"] is None:
                resume(hub.store)

        assert forget(hub.store, "zx12", another) is None
        (request,) = rows("Forgetting")
        assert (request["emptied"], request["names"]) == (2, "")
        assert "zx12" not in everything(rows)
        assert traces.claim(hub.store, 1, at_once=True) is None

    def test_twice_is_harmless(self, stopped, hub):
        with pytest.raises(NotFound):
            forget(hub.store, "zx12")
        resume(hub.store)
        assert complete_without_traces(stopped)
        assert [row["emptied"] for row in stopped("Forgetting")] == [8, 0]


def complete_without_traces(rows):
    told = repr(rows("Forgetting")) + everything(rows)
    ended = all(row["ended_at"] for row in rows("Forgetting"))
    return ended and not any(word in told for word in ("zx12", "ada@", "Renard"))


def test_what_was_only_told_again_is_found_and_forgotten(hub, client, rows):
    seen = fixture("onetap/participant.checkin__seen")
    for key in ("k1", "k2", "k3"):
        client.post(ONETAP, seen, headers={"Idempotency-Key": key})
    assert look_up(hub.store, "A01234567").deliveries == 3
    ask(hub.store, "A01234567")
    assert [row["body"] for row in rows("Delivery")] == [b""] * 3


def test_a_former_identifier_is_forgotten_where_others_disagree_about_it(hub, calls, client, rows):
    calls.student("a1", email="one@example.edu")
    calls.student("a2", email="old@example.edu")
    profile = {"id": "f1", "email": "old@example.edu", "customFields": {"A-Number": "a1"}}
    client.post(ONETAP, {"event": "profile.created", "data": profile})
    assert [row["value"] for row in rows("Disagreement")] == ["old@example.edu"]
    calls.unified("student", "update", student_identifier="a2", email="new@example.edu")
    forget(hub.store, "a2")
    assert rows("Disagreement") == []
