"""Ids of deliveries: in the order in which they are made, whatever the clock does."""

from datetime import datetime

from hub.domain import delivery
from hub.domain.delivery import delivery_id_at, is_delivery_id, new_delivery_id


def test_ids_are_in_order_and_well_formed():
    ids = [new_delivery_id() for _ in range(200_000)]
    assert ids == sorted(set(ids))
    assert all(map(is_delivery_id, ids[::1000]))


def test_a_clock_that_goes_back_does_not_turn_the_order(monkeypatch):
    first = new_delivery_id()
    monkeypatch.setattr(delivery.time, "time_ns", lambda: 1)
    assert new_delivery_id() > first


def test_more_ids_in_a_millisecond_than_there_are_numbers(monkeypatch):
    now = delivery.time.time_ns() + 10**12
    monkeypatch.setattr(delivery.time, "time_ns", lambda: now)
    monkeypatch.setattr(delivery, "_SEQUENCE", delivery._Sequence())
    ids = [new_delivery_id() for _ in range(0x10002)]
    assert ids == sorted(ids)


def test_a_moment_parts_the_ids_before_from_those_after():
    at = delivery_id_at(datetime(2024, 1, 1))
    assert delivery_id_at(datetime(2023, 12, 31, 23, 59, 59)) < at < new_delivery_id()
    assert delivery_id_at(datetime(1, 1, 1)) == "0" * 12
