"""An older store, made by its own steps and filled as its hub did: what becomes of it."""

import pytest
from conftest import STORE

from hub.domain.evidence import State
from hub.record import deliveries, students
from hub.record.deliveries import Wanted
from hub.store import migrations
from hub.store.database import bind, parse_address
from hub.store.store import Store, migrate

AT = "2026-11-12 18:00:00.000000"


def made(url, steps, rows):
    """A store with its first steps, and these rows by table."""
    from pony.orm import db_session

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "STEPS", migrations.STEPS[:steps])
        patch.setattr(migrations, "READABLE_FROM", steps)
        migrate(url)
    database = bind(parse_address(url))
    mark = "?" if STORE == "sqlite" else "%s"
    with db_session:
        cursor = database.get_connection().cursor()
        for table, row in rows:
            marks = ", ".join([mark] * len(row))
            sql = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})"
            cursor.execute(sql, tuple(row.values()))
    database.disconnect()


def delivery(number, students="", events="", source="onetap"):
    return "delivery", {
        "id": f"{number:028x}", "source": source, "received_at": AT, "headers": "{}", "body": b"{}",
        "outcome": "applied", "status": 201, "answer": "{}", "duration": 1, "students": students,
        "events": events,
    }  # fmt: skip


def student(number):
    return "student", {
        "id": number, "first_name": "Ada", "last_name": "Example", "is_admin": False, "source": "s",
        "metadata": "{}", "delivery": f"{1:028x}", "created_at": AT, "updated_at": AT,
    }  # fmt: skip


def attendance(table, number, student, maker, **more):
    own = {"id": number} if table == "attendance" else {"attendance": number}
    return table, {
        **own, "student": student, "event": 1, "checked_in_at": AT, "source": "onetap_webhook",
        "metadata": '{"a": 1}', "delivery": f"{maker:028x}", **more,
    }  # fmt: skip


OLD = [
    delivery(1, "\n#1\na_number:a1\n#2\n#3\n", "\n#1\nname:Weekly Meeting\n", "unified"),
    student(1), student(2), student(3),
    ("student_identifier", {"kind": "a_number", "value": "a1", "shown": "a1", "student": 1}),
    ("event", {"id": 1, "name": "Weekly Meeting", "starts_at": AT, "event_type": "", "points": 5,
               "description": "", "location": "", "source": "s", "metadata": "{}",
               "delivery": f"{1:028x}", "created_at": AT, "updated_at": AT}),
    # The first was withdrawn twice, and came again; the second was withdrawn twice; the third left.
    *(delivery(number, "\n#1\na_number:a1\n", "\n#1\nname:Weekly Meeting\n") for number in range(2, 12)),
    attendance("attendance", 3, 1, 6),
    attendance("attendance", 6, 3, 11, checked_out_at="2026-11-12 20:00:00.000000"),
    attendance("withdrawn_attendance", 1, 1, 2, withdrawn_at=AT, withdrawn_by=f"{3:028x}"),
    attendance("withdrawn_attendance", 2, 1, 4, withdrawn_at=AT, withdrawn_by=f"{5:028x}"),
    attendance("withdrawn_attendance", 4, 2, 7, withdrawn_at=AT, withdrawn_by=f"{8:028x}"),
    attendance("withdrawn_attendance", 5, 2, 9, withdrawn_at=AT, withdrawn_by=f"{10:028x}"),
    ("outbox", {"target": "t", "attendance": 2, "attempts": 0, "due_at": AT}),
    ("outbox", {"target": "t", "attendance": 5, "attempts": 0, "due_at": AT}),
    ("outbox", {"target": "v", "attendance": 1, "attempts": 0, "due_at": AT}),
    ("outbox", {"target": "v", "attendance": 2, "attempts": 11, "due_at": None}),
    ("outbox", {"target": "u", "attendance": 1, "attempts": 0, "due_at": AT}),
    ("outbox", {"target": "u", "attendance": 3, "attempts": 0, "due_at": AT}),
]  # fmt: skip


@pytest.fixture
def migrated(empty_url):
    made(empty_url, 5, OLD)
    assert migrate(empty_url) == [6, 7, 8, 9, 10]
    store = Store.open(empty_url)
    yield store
    store.close()


def rows(store, entity):
    with store.reading() as db:
        return [row.to_dict() for row in db.entities[entity].select().order_by(1)]


def test_withdrawn_ones_go_back_to_their_place(migrated):
    found = [
        (row["id"], row["student"], row["state"], row["sightings"], row["withdrawal"], row["via"])
        for row in rows(migrated, "Attendance")
    ]
    assert found == [
        (3, 1, State.PRESENT, 1, None, "onetap"),
        (5, 2, State.WITHDRAWN, 0, f"{10:028x}", "onetap"),
        (6, 3, State.LEFT, 1, None, "onetap"),
    ]
    evidence = [
        (row["attendance"], row["kind"], int(row["delivery"], 16), row["taken_back_by"] is None)
        for row in rows(migrated, "Evidence")
    ]
    assert sorted(evidence) == [
        (3, "check_in", 2, False), (3, "check_in", 4, False), (3, "check_in", 6, True),
        (3, "withdrawal", 3, True), (3, "withdrawal", 5, True),
        (5, "check_in", 7, False), (5, "check_in", 9, False),
        (5, "withdrawal", 8, True), (5, "withdrawal", 10, True),
        (6, "check_in", 11, True), (6, "check_out", 11, True),
    ]  # fmt: skip


def test_what_is_to_be_sent_on_is_still_sent_once(migrated):
    sent = sorted((row["target"], row["attendance"]) for row in rows(migrated, "Outbox"))
    assert sent == [("t", 3), ("t", 5), ("u", 3), ("v", 3)]


def test_the_deliveries_are_found_by_their_index(migrated):
    with migrated.reading() as db:
        names = tuple(students.names(db, "a1"))
        found = deliveries.page(db, Wanted(students=names), 50)
        assert [int(kept.delivery.id, 16) for kept in found] == [10, 8, *range(7, 0, -1)]
        assert deliveries.count(db, Wanted(events=("#1",))) == 11
    # Those that made an attendance, and nothing else, have no row.
    mentioned = {int(row["delivery"], 16) for row in rows(migrated, "Mention")}
    assert mentioned == {1, 2, 3, 4, 5, 7, 8, 10}


def test_a_follower_is_told_of_all(migrated):
    told = [(row["type"], row["subject"], row["attendances"]) for row in rows(migrated, "Change")]
    assert told == [
        ("student.saved", 1, 0), ("student.saved", 2, 0), ("student.saved", 3, 0),
        ("event.saved", 1, 0),
    ]  # fmt: skip
