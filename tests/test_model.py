"""Property tests: generated payloads against a small model of the domain, and nothing ever a 5xx."""

import copy
import itertools
import json
from contextlib import contextmanager
from datetime import UTC, datetime

from conftest import STORE
from hubtest import FIXTURES, LEGACY, ONETAP, SECURE, UNIFIED, Calls, Client, Rows
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config.settings import Settings
from hub.hub import Hub

names = st.text(min_size=1, max_size=20).filter(
    lambda text: text.strip() and "\0" not in text and _encodes(text)
)


def _encodes(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


numbers = st.sampled_from(["a1", "A1", "a2", " a2 ", "a3"])
emails = st.sampled_from(["x@e.org", "X@E.ORG", "y@e.org", "z@e.org"])
events = st.sampled_from(["Weekly", "2", "001", "Monday"])
dates = st.sampled_from([f"2024-01-0{day}T10:00:00Z" for day in range(1, 6)])

steps = st.one_of(
    st.tuples(st.just("student"), numbers, emails, names, names),
    st.tuples(st.just("rename"), st.one_of(numbers, emails), names),
    st.tuples(st.just("email"), numbers, emails),
    st.tuples(st.just("event"), events, dates),
    st.tuples(
        st.just("attend"), st.one_of(numbers, emails), st.one_of(events, st.just("1")), dates
    ),
)


class Model:
    """The rules of the domain, in a few lines of Python."""

    def __init__(self):
        self.students = []  # {"a", "email", "first", "last"}
        self.events = []  # (name, moment)
        self.attendances = set()  # (student index, event index)

    def find(self, text):
        key = "email" if "@" in text else "a"
        for index, student in enumerate(self.students):
            if student[key] == text.strip().lower():
                return index
        return None

    def student(self, number, email, first, last):
        if self.find(email) is not None:
            return 400, f"Student with email {email} already exists"
        if self.find(number) is not None:
            return 400, f"User with identifier {number.strip()} already exists"
        student = {
            "a": number.strip().lower(),
            "email": email.lower(),
            "first": first,
            "last": last,
        }
        self.students.append(student)
        return 201, None

    def rename(self, named, first):
        found = self.find(named)
        if found is None:
            return 404, f"Student with identifier {named} not found"
        self.students[found]["first"] = first
        return 200, None

    def email(self, number, email):
        found = self.find(number)
        if found is None:
            return 404, f"Student with identifier {number} not found"
        if self.find(email) not in (None, found):
            return 400, f"Student with email {email} already exists"
        self.students[found]["email"] = email.lower()
        return 200, None

    def event(self, name, date):
        moment = datetime.fromisoformat(date)
        if (name, moment) in self.events:
            return 400, f"Event with name {name} already exists on {date[:10]}"
        self.events.append((name, moment))
        return 201, None

    def attend(self, named, event, date):
        student = self.find(named)
        if student is None:
            return 404, f"Student with identifier {named} not found"
        meant = self.meant(event, datetime.fromisoformat(date))
        if meant is None:
            return 404, f"Event with identifier {event} not found"
        if (student, meant) in self.attendances:
            return 400, "Student already checked in to this event"
        self.attendances.add((student, meant))
        return 201, None

    def meant(self, text, at):
        if text.isdigit() and text[0] != "0" and 1 <= int(text) <= len(self.events):
            return int(text) - 1
        found = [index for index, (name, _) in enumerate(self.events) if name == text]
        if not found:
            return None
        return min(
            found,
            key=lambda index: (
                abs(self.events[index][1] - at),
                -self.events[index][1].timestamp(),
            ),
        )


def post(calls, step):
    kind, *values = step
    match kind:
        case "student":
            number, email, first, last = values
            return calls.student(number, email=email, first_name=first, last_name=last)
        case "rename":
            return calls.unified(
                "student", "update", student_identifier=values[0], first_name=values[1]
            )
        case "email":
            return calls.unified("student", "update", student_identifier=values[0], email=values[1])
        case "event":
            return calls.event(*values)
    return calls.attend(values[0], values[1], check_in_time=values[2])


databases = itertools.count()


@contextmanager
def fresh(request, tmp_path):
    """A hub over a store of its own, for one example of many."""
    cluster = None if STORE == "sqlite" else request.getfixturevalue("cluster")
    url = cluster.take() if cluster else f"sqlite:///{tmp_path / f'{next(databases)}.db'}"
    hub = Hub(Settings(database=url))
    try:
        yield hub
    finally:
        hub.close()
        if cluster:
            cluster.give(url)


@given(st.lists(steps, max_size=25))
def test_answers_and_rows_are_those_of_the_model(request, tmp_path, sequence):
    with fresh(request, tmp_path) as hub:
        calls, model, rows = Calls(Client(hub)), Model(), Rows(hub)
        for step in sequence:
            expected = getattr(model, step[0])(*step[1:])
            reply = post(calls, step)
            assert (reply.status, reply.error) == expected, step
        assert [(row["first_name"], row["last_name"]) for row in rows("Student")] == [
            (student["first"], student["last"]) for student in model.students
        ]
        stored = {(row["kind"], row["value"], row["student"]) for row in rows("StudentIdentifier")}
        assert stored == {
            (kind, student[key], number)
            for number, student in enumerate(model.students, start=1)
            for kind, key in (("a_number", "a"), ("email", "email"))
        }
        assert [(row["name"], row["starts_at"].replace(tzinfo=UTC)) for row in rows("Event")] == (
            model.events
        )
        attended = {(row["student"] - 1, row["event"] - 1) for row in rows("Attendance")}
        assert attended == model.attendances
        assert rows.count("Delivery") == len(sequence)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30)
    | st.sampled_from(
        [
            "",
            " ",
            "a1",
            "1",
            "x@e.org",
            "2024-01-15T10:00:00Z",
            "0001-01-01T00:00:00+14:00",
            "9999-12-31T23:59:60Z",
            "2024-01-15T10:00:00+00:00Z",
            "x" * 10_000,
            "\u202eRTL",
            "İı\u0130",
            "'; DROP TABLE student; --",
            "%s?$x{}",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)


def objects(members):
    return st.fixed_dictionaries({}, optional=members)


DATA = [
    "student_identifier",
    "email",
    "first_name",
    "last_name",
    "is_admin",
    "event_identifier",
    "event_name",
    "event_date",
    "event_type",
    "points",
    "description",
    "location",
    "check_in_time",
]
ONETAP_EVENTS = [
    f"{about}.{what}"
    for about in ("participant", "profile", "list", "passport", "other")
    for what in ("created", "checkin", "checkout", "updated", "deleted")
]
part = objects(
    dict.fromkeys(
        [
            "id",
            "name",
            "email",
            "date",
            "description",
            "checkInDate",
            "checkOutDate",
            "customFields",
            "phone",
        ],
        values,
    )
)
payloads = objects(
    {
        "type": st.sampled_from(["student", "event", "attendance"]) | values,
        "action": st.sampled_from(
            ["create", "update", "create_student", "create_event", "record_attendance"]
        )
        | values,
        "event": st.sampled_from(ONETAP_EVENTS) | values,
        "source": values,
        "metadata": values,
        "timestamp": values,
        "data": objects(
            {
                **dict.fromkeys(DATA, values),
                **dict.fromkeys(["participant", "profile", "list"], part | values),
                **dict.fromkeys(
                    ["participantId", "profileId", "listId", "checkInTime", "checkOutTime"], values
                ),
            }
        )
        | values,
        **dict.fromkeys(["student_identifier", "event_identifier", "check_in_time"], values),
    }
)


@settings(max_examples=300)
@given(st.sampled_from([UNIFIED, LEGACY, SECURE, ONETAP]), payloads | values)
def test_whatever_arrives_the_answer_is_json_and_never_a_fault(client, rows, path, payload):
    body = json.dumps(payload).encode()
    reply = client.post(path, body=body)
    assert reply.status in ({503} if path == SECURE else {200, 201, 400, 404}), (payload, reply)
    assert isinstance(reply.json, dict)
    assert ("error" in reply.json) == (reply.status >= 400)


SOURCES = {"unified": UNIFIED, "legacy": LEGACY, "onetap": ONETAP}
VALID = [
    (SOURCES[path.parent.name], json.loads(path.read_text("utf-8")))
    for path in sorted(FIXTURES.glob("*/*.json"))
    if path.parent.name in SOURCES
]


def places(value, way=()):
    """The ways to all the members in a payload."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield (*way, name)
            yield from places(member, (*way, name))


@st.composite
def mutants(draw):
    """A valid payload with one or two members changed, taken away or added."""
    path, payload = draw(st.sampled_from(VALID))
    payload = copy.deepcopy(payload)
    for _ in range(draw(st.integers(1, 2))):
        *way, name = draw(st.sampled_from(list(places(payload))))
        place = payload
        for part in way:
            place = place[part]
        match draw(st.sampled_from(["change", "remove", "add"])):
            case "change":
                place[name] = draw(values)
            case "remove":
                del place[name]
            case "add":
                place[draw(st.sampled_from(DATA + EXTRA))] = draw(values)
        if not list(places(payload)):
            break
    return path, payload


EXTRA = ["checkInDate", "checkOutDate", "checkInTime", "checkOutTime", "participant", "profile"]


@settings(max_examples=300)
@given(mutants())
def test_a_valid_payload_with_a_member_changed_is_never_a_fault(client, rows, mutant):
    path, payload = mutant
    reply = client.post(path, payload)
    assert reply.status in (200, 201, 400, 404), (payload, reply)
    assert ("error" in reply.json) == (reply.status >= 400)


@given(st.binary(max_size=200), st.sampled_from([UNIFIED, LEGACY, ONETAP]))
def test_bytes_that_are_no_json_are_400(client, body, path):
    reply = client.post(path, body=body)
    try:
        json.loads(body.decode())
    except ValueError:
        assert reply.error == "Invalid JSON payload"
    assert reply.status == 400


NASTY = [
    "Åsa Öberg",
    "e\u0301",
    "李小龙",
    "🧑‍🎓👩🏽‍🚀",
    "\u202egnp.exe",
    "\ufeffBOM",
    "a\u200bb",
    "line\u2028separator",
    "control\x01\x1f\x7f.",
    "\U0010ffff",
    "Robert'); DROP TABLE student;--",
    "$(id) `id` ${x} %n %s {0}",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "null",
    "ﷺ" * 50,
]


def test_every_kind_of_unicode_is_kept_as_it_is(calls):
    for number, name in enumerate(NASTY):
        reply = calls.student(f"u{number}", first_name=name, last_name=name)
        assert (reply.status, reply.json["student"]["name"]) == (201, f"{name} {name}".strip())
        assert calls.event(name, "2024-01-15T10:00:00Z").json["event"]["name"] == name
        assert calls.attend(f"u{number}", name).json["event"]["name"] == name
