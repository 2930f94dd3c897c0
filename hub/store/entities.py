"""The tables as Pony entities: the model that all reading goes through (``hub.record``).

A test holds them to the tables that the migrations make: columns, types, and which may be NULL. Writing
goes through SQL on Pony's own connection (``students``, ``events``, ``attendances``, ``deliveries``):
deliveries share a transaction, and one that is refused is undone to a savepoint, which Pony's identity
map would not notice.
"""

from datetime import datetime

from pony.orm import Database, Optional, PrimaryKey, Required, Set, composite_key


def define(db: Database) -> None:
    """Declare the entities on ``db``. Afterwards they are ``db.Student`` and so on."""

    class Student(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "student"
        id = PrimaryKey(int, auto=True, size=64)
        first_name = Optional(str, autostrip=False)
        last_name = Optional(str, autostrip=False)
        is_admin = Required(bool)
        source = Optional(str, autostrip=False)
        metadata = Required(str, autostrip=False)
        delivery = Required(str)
        created_at = Required(datetime, precision=6)
        updated_at = Required(datetime, precision=6)
        hidden_at = Optional(datetime, precision=6)
        preferred_name = Optional(str, autostrip=False)
        merged_into = Optional("Student", reverse="merged")
        joined = Required(bool)
        merged_under = Optional(int, size=64)
        hidden_by = Optional(str, nullable=True)
        hidden_firmly = Required(bool)
        forgotten_at = Optional(datetime, precision=6)
        merged = Set("Student", reverse="merged_into")
        identifiers = Set("StudentIdentifier")
        attendances = Set("Attendance")
        disagreements = Set("Disagreement")

    class StudentIdentifier(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "student_identifier"
        id = PrimaryKey(int, auto=True, size=64)
        kind = Required(str)
        value = Required(str, autostrip=False)
        shown = Required(str, autostrip=False)
        student = Required(Student)
        composite_key(kind, value)

    class Event(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "event"
        id = PrimaryKey(int, auto=True, size=64)
        name = Required(str, autostrip=False)
        starts_at = Required(datetime, precision=6)
        event_type = Optional(str, autostrip=False)
        points = Required(int)
        description = Optional(str, autostrip=False)
        location = Optional(str, autostrip=False)
        source = Optional(str, autostrip=False)
        metadata = Required(str, autostrip=False)
        delivery = Required(str)
        created_at = Required(datetime, precision=6)
        updated_at = Required(datetime, precision=6)
        hidden_at = Optional(datetime, precision=6)
        ends_at = Optional(datetime, precision=6)
        merged_into = Optional("Event", reverse="merged")
        joined = Required(bool)
        merged_under = Optional(int, size=64)
        hidden_by = Optional(str, nullable=True)
        hidden_firmly = Required(bool)
        merged = Set("Event", reverse="merged_into")
        identifiers = Set("EventIdentifier")
        attendances = Set("Attendance")
        composite_key(name, starts_at)

    class EventIdentifier(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "event_identifier"
        id = PrimaryKey(int, auto=True, size=64)
        kind = Required(str)
        value = Required(str, autostrip=False)
        shown = Required(str, autostrip=False)
        event = Required(Event)
        hidden_at = Optional(datetime, precision=6)
        composite_key(kind, value)

    class Attendance(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "attendance"
        id = PrimaryKey(int, auto=True, size=64)
        student = Required(Student)
        event = Required(Event)
        checked_in_at = Required(datetime, precision=6)
        checked_out_at = Optional(datetime, precision=6)
        source = Optional(str, autostrip=False)
        metadata = Required(str, autostrip=False)
        delivery = Required(str)
        via = Optional(str, autostrip=False)
        repeatable = Required(bool)
        participant = Optional(str, nullable=True, autostrip=False)
        state = Required(int)
        sightings = Required(int)
        first_delivery = Optional(str, nullable=True)
        withdrawal = Optional(str, nullable=True)
        firm = Required(bool)
        joined_in = Optional(int, size=64)
        unseen = Required(bool)
        identifiers = Set("AttendanceIdentifier")
        evidence = Set("Evidence")
        composite_key(student, event)

    class AttendanceIdentifier(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "attendance_identifier"
        id = PrimaryKey(int, auto=True, size=64)
        kind = Required(str)
        value = Required(str, autostrip=False)
        attendance = Required(Attendance)
        composite_key(kind, value)

    class Evidence(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "evidence"
        id = PrimaryKey(int, auto=True, size=64)
        attendance = Required(Attendance)
        kind = Required(str)
        delivery = Required(str)
        source = Optional(str, autostrip=False)
        via = Optional(str, autostrip=False)
        at = Required(datetime, precision=6)
        repeatable = Required(bool)
        participant = Optional(str, nullable=True, autostrip=False)
        idempotency_key = Optional(str, nullable=True, autostrip=False)
        firm = Required(bool)
        reason = Optional(str, nullable=True, autostrip=False)
        correction = Optional(str, nullable=True, autostrip=False)
        taken_back_by = Optional(str, nullable=True)
        composite_key(attendance, delivery, kind)

    class Delivery(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "delivery"
        id = PrimaryKey(str)
        source = Required(str)
        received_at = Required(datetime, precision=6)
        headers = Required(str, autostrip=False)
        body = Required(bytes)
        outcome = Required(str)
        status = Required(int)
        answer = Required(str, autostrip=False)
        duration = Required(int)
        idempotency_key = Optional(str, nullable=True, autostrip=False)
        body_digest = Optional(str, nullable=True)
        key_attempt = Optional(int)
        key_holder = Optional(str, nullable=True)
        students = Optional(str, autostrip=False)
        events = Optional(str, autostrip=False)
        waiting = Optional(str, nullable=True, autostrip=False)
        emptied = Optional(str, nullable=True)
        sent_by = Optional(str, nullable=True, autostrip=False)
        of_delivery = Optional(str, nullable=True)
        of_row = Optional(int)
        meant_student = Optional(int, size=64)
        meant_event = Optional(int, size=64)
        told_status = Optional(int)
        told_type = Optional(str, nullable=True, autostrip=False)
        told = Optional(str, nullable=True, autostrip=False)
        fetched = Optional(bytes, nullable=True)
        attempts = Set("Attempt")

    class Attempt(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "attempt"
        id = PrimaryKey(int, auto=True, size=64)
        delivery = Required(Delivery)
        number = Required(int)
        attempted_at = Required(datetime, precision=6)
        outcome = Required(str)
        status = Required(int)
        answer = Required(str, autostrip=False)
        duration = Required(int)
        composite_key(delivery, number)

    class Mention(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "mention"
        name = Required(str, autostrip=False)
        delivery = Required(str)
        PrimaryKey(name, delivery)

    class Disagreement(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "disagreement"
        id = PrimaryKey(int, auto=True, size=64)
        delivery = Required(str)
        student = Required(Student)
        kind = Required(str)
        value = Required(str, autostrip=False)
        composite_key(student, kind, value)

    class Change(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "change"
        id = PrimaryKey(int, auto=True, size=64)
        type = Required(str)
        subject = Required(int, size=64)
        delivery = Optional(str)
        at = Required(datetime, precision=6)
        attendances = Required(int, size=64)

    class OwnAttendance(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "own_attendance"
        attendance = PrimaryKey(int, size=64)
        checked_in_at = Required(datetime, precision=6)
        checked_out_at = Optional(datetime, precision=6)
        state = Required(int)
        sightings = Required(int)
        source = Optional(str, autostrip=False)
        via = Optional(str, autostrip=False)
        first_delivery = Optional(str, nullable=True)
        withdrawal = Optional(str, nullable=True)
        firm = Required(bool)

    class Deed(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "deed"
        id = PrimaryKey(int, auto=True, size=64)
        delivery = Required(str)
        what = Required(str)
        subject = Required(int, size=64)
        member = Optional(str, autostrip=False)
        before = Optional(str, nullable=True, autostrip=False)
        after = Optional(str, nullable=True, autostrip=False)
        undone_by = Optional(str, nullable=True)

    class SettledDoubt(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "settled_doubt"
        doubt = PrimaryKey(str)
        delivery = Required(str)

    class Secret(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "secret"
        name = PrimaryKey(str)
        value = Required(str)

    class Token(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "token"
        id = PrimaryKey(int, auto=True, size=64)
        name = Required(str, autostrip=False)
        digest = Required(str, unique=True)
        scopes = Required(str)
        sources = Optional(str, autostrip=False)
        created_at = Required(datetime, precision=6)
        expires_at = Optional(datetime, precision=6)
        last_used_at = Optional(datetime, precision=6)
        revoked_at = Optional(datetime, precision=6)

    class Capture(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "capture"
        id = PrimaryKey(int, auto=True, size=64)
        token = Required(str, unique=True)
        opened_at = Required(datetime, precision=6)
        expires_at = Required(datetime, precision=6)
        requests = Set("CapturedRequest")

    class CapturedRequest(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "captured_request"
        id = PrimaryKey(int, auto=True, size=64)
        capture = Required(Capture)
        received_at = Required(datetime, precision=6)
        headers = Required(str, autostrip=False)
        body = Required(bytes)

    class Outbox(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "outbox"
        id = PrimaryKey(int, auto=True, size=64)
        target = Required(str)
        attendance = Required(int, size=64)
        attempts = Required(int)
        due_at = Optional(datetime, precision=6)
        composite_key(target, attendance)

    class Fetching(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "fetching"
        delivery = PrimaryKey(str)
        source = Required(str)
        url = Required(str, autostrip=False)
        headers = Required(str, autostrip=False)
        attempts = Required(int)
        due_at = Required(datetime, precision=6)

    class KeySet(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "key_set"
        url = PrimaryKey(str)
        document = Required(str, autostrip=False)
        fetched_at = Required(datetime, precision=6)

    class Backup(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "backup"
        id = PrimaryKey(int, auto=True, size=64)
        made_at = Required(datetime, precision=6)
        bytes = Required(int, size=64)

    class Alert(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "alert"
        name = PrimaryKey(str)
        text = Required(str, autostrip=False)
        began_at = Required(datetime, precision=6)
        ended_at = Optional(datetime, precision=6)
        begun = Optional(str)
        ended = Optional(str)

    class Forgetting(db.Entity):  # type: ignore[name-defined,misc]
        _table_ = "forgetting"
        id = PrimaryKey(int, auto=True, size=64)
        asked_at = Required(datetime, precision=6)
        names = Optional(str, autostrip=False)
        upto = Optional(str)
        looked_upto = Optional(str)
        emptied = Required(int)
        claimed_until = Required(datetime, precision=6)
        ended_at = Optional(datetime, precision=6)
