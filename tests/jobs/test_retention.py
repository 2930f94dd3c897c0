"""Retention: old bodies are emptied, the rest of the row stays."""

import time
from datetime import timedelta

import pytest
from hubtest import LEGACY
from serving import eventually

from hub.config.settings import Settings
from hub.domain.delivery import Emptied, delivery_id_at
from hub.domain.timestamps import utc_now
from hub.jobs import upkeep
from hub.jobs.retention import empty_old_bodies
from hub.jobs.upkeep import Upkeep
from hub.store import deliveries


@pytest.fixture
def age(hub):
    """Makes the deliveries that are there older by days."""

    def age(days, rows):
        with hub.store.writing() as tx:
            for row in rows("Delivery"):
                moment = row["received_at"] - timedelta(days=days)
                identifier = delivery_id_at(moment) + row["id"][12:]
                tx.run(
                    "UPDATE delivery SET id = ?, received_at = ? WHERE id = ?",
                    identifier, moment, row["id"],
                )  # fmt: skip

    return age


def bodies(rows):
    return [(bool(row["body"]), row["emptied"]) for row in rows("Delivery")]


def test_old_bodies_go_and_rows_stay(hub, calls, client, rows, age):
    calls.student("a1")
    client.post(LEGACY, {"student_identifier": "a1", "event_identifier": "x"})
    age(91, rows)
    calls.event()
    before = rows("Delivery")
    assert empty_old_bodies(hub.store, 90, utc_now()) == 2
    assert bodies(rows) == [(False, "retention")] * 2 + [(True, None)]
    for old, new in zip(before, rows("Delivery"), strict=True):
        changed = {name for name in old if old[name] != new[name]}
        assert changed <= {"body", "emptied", "waiting"}
    assert empty_old_bodies(hub.store, 90, utc_now()) == 0


def test_what_came_to_a_source_with_authority_keeps_its_body(hub, client, rows, age):
    client.post(LEGACY, {})
    age(91, rows)
    assert empty_old_bodies(hub.store, 90, utc_now(), but=("legacy",)) == 0
    assert hub.upkeep._lasting == ["desk"]


def test_more_than_a_page_of_them(hub, client, rows, age, monkeypatch):
    monkeypatch.setattr("hub.jobs.retention._BATCH", 2)
    for _ in range(5):
        client.post(LEGACY, {})
    age(10, rows)
    client.post(LEGACY, {})
    assert empty_old_bodies(hub.store, 9, utc_now()) == 5
    age(10, rows)
    assert empty_old_bodies(hub.store, 9, utc_now(), go_on=lambda: False) == 0
    assert empty_old_bodies(hub.store, 9, utc_now()) == 1


def test_age_is_counted_from_the_receipt_not_from_the_id(hub, client, rows, age):
    """An id is made before its request is received, a little or, where a clock was wrong, a lot."""
    for _ in range(2):
        client.post(LEGACY, {})
    age(91, rows)
    late = rows("Delivery")[1]["id"]
    with hub.store.writing() as tx:
        tx.run("UPDATE delivery SET received_at = ? WHERE id = ?", utc_now(), late)
    assert empty_old_bodies(hub.store, 90, utc_now()) == 1
    assert [row["emptied"] for row in rows("Delivery")] == ["retention", None]


def test_one_that_was_forgotten_does_not_hide_the_older_ones(hub, client, rows, age):
    for _ in range(2):
        client.post(LEGACY, {})
    with hub.store.writing() as tx:
        deliveries.forget(tx, rows("Delivery")[1]["id"])
    age(91, rows)
    assert empty_old_bodies(hub.store, 90, utc_now()) == 1
    assert [row["emptied"] for row in rows("Delivery")] == [Emptied.RETENTION, Emptied.FORGOTTEN]


def test_one_that_a_wrong_clock_made_old_is_emptied_too(hub, client, rows, age):
    client.post(LEGACY, {})
    age(91, rows)
    assert empty_old_bodies(hub.store, 90, utc_now()) == 1
    client.post(LEGACY, {})
    with hub.store.writing() as tx:
        tx.run("UPDATE delivery SET received_at = '2000-01-01 00:00:00.000000', "
               "id = '00dc6acfac000000' || id WHERE emptied IS NULL")  # fmt: skip
    assert empty_old_bodies(hub.store, 90, utc_now()) == 1


def test_a_hub_does_it_by_itself(client, rows, age, serve):
    client.post(LEGACY, {})
    age(3, rows)
    client.post(LEGACY, {})
    server = serve("--keep-bodies", "2")
    eventually(lambda: bodies(rows) == [(False, "retention"), (True, None)])
    said = "emptied the bodies of 1 deliveries"
    eventually(lambda: any(said in line for line in server.lines))


class TestClock:
    """A clock that jumps ahead would make every body old."""

    @pytest.fixture
    def due(self, hub, monkeypatch):
        made = Upkeep(hub.store, hub.replays, hub.tokens, Settings(keep_bodies=2))

        def due(jump=timedelta(0)):
            now, wall = utc_now() + jump, time.time() + jump.total_seconds()
            with monkeypatch.context() as patch:
                patch.setattr(upkeep, "utc_now", lambda: now)
                patch.setattr(upkeep.time, "time", lambda: wall)
                return made._retention()

        return due

    def test_after_a_jump_nothing_is_emptied_for_a_day(self, client, rows, due):
        client.post(LEGACY, {})
        assert due() == 3600
        assert due(timedelta(days=30)) == 86400
        assert bodies(rows) == [(True, None)]
        # It was set right again, which is a jump too.
        assert due() == 86400
        assert due() == 3600
        assert bodies(rows) == [(True, None)]

    def test_a_clock_that_stays_is_believed(self, client, rows, due):
        client.post(LEGACY, {})
        assert due(timedelta(days=30)) == 86400
        assert due(timedelta(days=30)) == 3600
        assert bodies(rows) == [(False, "retention")]

    def test_where_even_the_newest_is_old_a_day_goes_by_first(self, client, rows, age, due):
        """The clock may have been wrong already when the hub started."""
        client.post(LEGACY, {})
        age(30, rows)
        assert due() == 86400
        assert bodies(rows) == [(True, None)]
        assert due() == 3600
        assert bodies(rows) == [(False, "retention")]

    def test_an_empty_store_has_nothing_to_empty(self, due):
        assert due() == 3600
