"""Two officers, two hubs over one store, and check-ins that arrive meanwhile: the database decides."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from api.conftest import TOKEN
from desk.test_desk import Desk


@pytest.fixture
def hubs(make_hub):
    return [make_hub(admin_token=TOKEN) for _ in range(2)]


def at_once(hubs, *actions):
    """What each answers, all begun at one moment; they take turns at the hubs."""
    together = Barrier(len(actions))

    def run(numbered):
        number, act = numbered
        desk = Desk(hubs[number % len(hubs)])
        together.wait(10)
        try:
            return act(desk)
        finally:
            hubs[number % len(hubs)].store.close()

    with ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(run, enumerate(actions)))


def attend(student, at="18:05"):
    return lambda desk: desk.calls.attend(student, check_in_time=f"2024-01-15T{at}:00Z")


def say(action, **data):
    return lambda desk: desk(action, **data)


@pytest.fixture
def desk(hubs):
    desk = Desk(hubs[0])
    for one in ("a1", "a2", "a3"):
        desk.calls.student(one)
    desk.calls.event(date="2024-01-15T18:00:00Z")
    return desk


def test_a_merge_and_check_ins_of_both(hubs, desk):
    replies = at_once(
        hubs, say("merge_students", keep="a1", merge="a2"), attend("a2"), attend("a1"), attend("a2")
    )
    assert replies[0].status == 200
    assert {reply.status for reply in replies[1:]} <= {201, 400}
    assert [one[0] for one in desk.times()] == ["a1"]
    assert desk.rows()[0]["sightings"] == 3
    desk.did("split_students", merge="a2")
    assert sorted(one[0] for one in desk.times()) == ["a1", "a2"]


def test_two_merges_of_one_person(hubs, desk):
    replies = at_once(
        hubs,
        say("merge_students", keep="a1", merge="a2"),
        say("merge_students", keep="a3", merge="a2"),
    )
    assert sorted(reply.status for reply in replies) == [200, 409]
    assert "Already merged" in {reply.error for reply in replies if reply.status == 409}


def test_two_that_are_merged_into_each_other(hubs, desk):
    replies = at_once(
        hubs,
        say("merge_students", keep="a1", merge="a2"),
        say("merge_students", keep="a2", merge="a1"),
    )
    assert sorted(reply.status for reply in replies) == [200, 409]


def test_a_withdrawal_and_a_check_in(hubs, desk):
    attend("a1")(desk)
    replies = at_once(hubs, say("withdraw", attendance=1), attend("a1"), attend("a1", "18:20"))
    assert replies[0].status == 200
    assert {reply.status for reply in replies[1:]} == {400}
    (row,) = desk.rows(state="all")
    assert (row["state"], row["sightings"]) == ("withdrawn", 3)


def test_the_same_word_of_two_officers(hubs, desk):
    attend("a1")(desk)
    replies = at_once(hubs, *[say("withdraw", attendance=1)] * 4)
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 3}
    assert {reply.error for reply in replies if reply.status == 409} == {"Already withdrawn"}


def test_an_undo_and_a_correction(hubs, desk):
    attend("a1")(desk)
    word = desk.did("withdraw", attendance=1)["delivery"]
    time = "2024-01-15T18:30:00Z"
    undone, corrected = at_once(
        hubs, say("undo", delivery=word), say("correct", attendance=1, checked_in_at=time)
    )
    assert corrected.status == 200
    if undone.status == 409:
        assert undone.error == f"Delivery {corrected.json['delivery']} rests on it"
    assert desk.times() == [("a1", 1, "18:30", "", "present")]


def test_the_same_undo_twice(hubs, desk):
    attend("a1")(desk)
    word = desk.did("withdraw", attendance=1)["delivery"]
    replies = at_once(hubs, *[say("undo", delivery=word)] * 3)
    assert Counter(reply.status for reply in replies) == {200: 1, 409: 2}
    assert desk.times() == [("a1", 1, "18:05", "", "present")]
