"""The queries of the kept deliveries, over rows that no webhook would make."""

from datetime import datetime, timedelta

import pytest

from hub.domain import subjects
from hub.domain.delivery import Delivery, Emptied, Outcome, Settlement
from hub.record import deliveries
from hub.record.deliveries import Wanted
from hub.store import deliveries as written
from hub.store.store import Store

START = datetime(2026, 1, 1)


@pytest.fixture
def store(url):
    store = Store.open(url)
    yield store
    store.close()


def identifier(number):
    """The id of a delivery that was made ``number`` hours after the start."""
    return (
        f"{int((START - datetime(1970, 1, 1)).total_seconds() + 3600 * number) * 1000:012x}"
        + "0" * 16
    )


@pytest.fixture
def keep(store):
    def keep(number, *, outcome=Outcome.REFUSED, status=404, source="s", **settled):
        received_at = START + timedelta(hours=number)
        delivery = Delivery(identifier(number), source, received_at, {"x-a": "1"}, b"\xff{}")
        mentions = [
            subjects.mention(what, name)
            for what in ("student", "event")
            for name in settled.pop(f"{what}s", ())
        ]
        texts = {f"{what}s": "" for what in ("student", "event")}
        settlement = Settlement(
            outcome, status, '{"error": "no"}', 1, **texts, **settled, mentions=mentions
        )
        with store.writing() as tx:
            written.keep(tx, delivery, settlement, None, None)

    return keep


@pytest.fixture
def found(store):
    def found(limit=50, before="", after="", **wanted):
        with store.reading() as db:
            way = {"before": before, "after": after, "oldest_first": bool(after)}
            page = deliveries.page(db, Wanted(**wanted), limit, **way)
            if not (before or after):
                assert deliveries.count(db, Wanted(**wanted)) == len(page)
        return [int((one.delivery.received_at - START).total_seconds() // 3600) for one in page]

    return found


def test_pages_go_down_from_the_newest_and_up_from_the_oldest(keep, found):
    for number in (2, 1, 4, 3):
        keep(number)
    assert found() == [4, 3, 2, 1]
    assert found(limit=2, before=identifier(4)) == [3, 2]
    assert found(limit=2, after=identifier(1)) == [2, 3]
    assert found(upto=identifier(2)) == [2, 1]


def test_every_filter_narrows(keep, found):
    keep(1, outcome=Outcome.APPLIED, status=201)
    keep(2, source="t")
    keep(3, waiting="student a_number:a1")
    keep(4, outcome=Outcome.FAILED, status=500)
    assert found(outcomes=(Outcome.APPLIED, Outcome.FAILED)) == [4, 1]
    assert found(outcomes=()) == []
    assert found(status=404) == [3, 2]
    assert found(source="t") == [2]
    assert found(waiting=True) == [3]
    assert found(since=START + timedelta(hours=3)) == [4, 3]
    assert found(since=datetime.min) == [4, 3, 2, 1]
    assert found(source="s", status=404, waiting=True) == [3]


@pytest.mark.parametrize(
    "name",
    ["a_number:a1", "name:100 %", "name:a_b", "name:\\n", "name:two\nlines", "name:!", "card:é"],
)
def test_a_name_is_found_whatever_it_is_made_of_and_nothing_else(keep, found, name):
    keep(1, students=[name], events=["#7", name])
    keep(2, students=[f"{name}x", f"x{name}"], events=["#77"])
    keep(3, students=["a_number:A1", "name:100 x", "name:axb", "name:twolines"])
    assert found(students=(name,)) == [1]
    assert found(students=("nobody", name)) == [1]
    assert found(students=(name,), events=(name,)) == [1]
    assert found(students=(name,), events=("#77",)) == []
    assert found(events=("#7",)) == [1]


def test_a_page_leaves_out_headers_and_bodies_and_one_delivery_has_all(store, keep):
    keep(1)
    with store.reading() as db:
        (listed,) = deliveries.page(db, Wanted(), 50)
        (whole,) = deliveries.page(db, Wanted(), 50, bodies=True)
        assert deliveries.find(db, identifier(1)) == whole
        assert deliveries.find(db, identifier(2)) is None
    assert (listed.delivery.headers, listed.delivery.body) == ({}, b"")
    assert (whole.delivery.headers, whole.delivery.body) == ({"x-a": "1"}, b"\xff{}")
    assert (whole.outcome, whole.status, whole.attempts) == (Outcome.REFUSED, 404, 1)


def test_attempts_are_counted_and_told_in_order(store, keep):
    keep(1)
    keep(2)
    settlement = Settlement(Outcome.APPLIED, 201, "{}", 5)
    for at in (3, 4):
        with store.reading() as db:
            kept = deliveries.find(db, identifier(1))
        with store.writing() as tx:
            written.add_attempt(tx, kept, START + timedelta(hours=at), settlement)
    with store.reading() as db:
        assert [one.attempts for one in deliveries.page(db, Wanted(), 50)] == [1, 3]
        attempts = deliveries.attempts(db, deliveries.find(db, identifier(1)))
        once = deliveries.attempts(db, deliveries.find(db, identifier(2)))
        assert deliveries.settled_later(db) == {identifier(1): identifier(4)[:12]}
    assert [(one.number, one.outcome, one.status) for one in attempts] == [
        (1, "refused", 404), (2, "applied", 201), (3, "applied", 201),
    ]  # fmt: skip
    assert [one.at for one in attempts] == [START + timedelta(hours=at) for at in (1, 3, 4)]
    assert [(one.number, one.status) for one in once] == [(1, 404)]


def test_what_waits_and_what_has_a_body(store, keep):
    keep(1, waiting="student a_number:a1")
    keep(2, waiting="event name:M")
    keep(3, waiting="student a_number:a1")
    with store.writing() as tx:
        written.empty(tx, identifier(3), Emptied.RETENTION)
    with store.reading() as db:
        assert deliveries.waiting_for(db, ["student a_number:a1", "x"]) == [identifier(1)]
        assert deliveries.waiting_for(db, []) == []
        assert deliveries.waiting(db, identifier(1), 9) == [(identifier(2), "event name:M")]
        assert len(deliveries.waiting(db, "", 1)) == 1
        later = START + timedelta(hours=9)
        full = deliveries.full_before(db, later, "", 9)
        assert full == [(identifier(n), START + timedelta(hours=n)) for n in (1, 2)]
        assert deliveries.full_before(db, START + timedelta(hours=2), "", 9) == full[:1]
        assert deliveries.newest(db) == START + timedelta(hours=3)
        assert deliveries.last_id(db) == identifier(3)
        assert [one.emptied for one in deliveries.page(db, Wanted(), 1)] == [Emptied.RETENTION]
        assert deliveries.count(db, Wanted(with_body=True)) == 2


def test_a_store_without_deliveries_has_none(store):
    with store.reading() as db:
        assert (deliveries.newest(db), deliveries.last_id(db)) == (None, "")
        assert list(deliveries.every(store.reading, Wanted())) == [[]]


def test_all_of_them_come_page_by_page(store, keep, monkeypatch):
    monkeypatch.setattr(deliveries, "_PAGE", 2)
    for number in range(5):
        keep(number)
    pages = list(deliveries.every(store.reading, Wanted(), bodies=True))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one.delivery.id for page in pages for one in page] == [identifier(n) for n in range(5)]
