"""What stands of an attendance follows from what was said: random histories against a small model."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.domain.evidence import State
from hub.domain.identifiers import Identifier
from hub.domain.operations import CheckIn, CheckOut, CreateStudent, SaveEvent, Withdraw
from hub.errors import AlreadyCheckedIn
from hub.store import attendances
from hub.store.apply import apply
from hub.store.context import Context
from hub.store.database import MEMORY_URL
from hub.store.store import Store

START = datetime(2026, 11, 12, 18)

moments = st.integers(-180, 180).map(lambda minutes: START + timedelta(minutes=minutes))
sources = st.sampled_from(["cards", "onetap", "unified"])
participants = st.sampled_from([None, None, "p1", "p2"])
sightings = st.one_of(
    st.tuples(st.just("in"), sources, moments, st.booleans(), participants),
    st.tuples(st.just("out"), sources, moments, st.just(False), participants),
)
withdrawals = st.tuples(st.just("back"), sources, moments, st.just(False), participants)
histories = st.lists(st.tuples(st.lists(sightings, max_size=6), withdrawals), max_size=4)


class Model:
    """What stands, by the rules, told again in a few lines."""

    def __init__(self):
        self.standing, self.withdrawn, self.times = [], True, (None, None)
        self.told = set()

    def say(self, kind, source, at, repeatable, participant):
        if kind == "in" and participant is not None:
            if (source, at, participant) in self.told:
                return
            self.told.add((source, at, participant))
        if kind != "back":
            self.standing.append((kind, source, at, repeatable, participant))
        elif participant is None:
            self.standing = [one for one in self.standing if one[1] != source]
        else:
            self.standing = [one for one in self.standing if one[4] != participant]
        came = [one for one in self.standing if one[0] == "in"]
        left = [one[2] for one in self.standing if one[0] == "out"]
        self.withdrawn = not came
        self.sightings = len(came)
        if came:
            once = [one[2] for one in came if not one[3]][:1]
            earliest = min([one[2] for one in came if one[3]] + once)
            self.times = earliest, max(left, default=None)


class Said:
    """A store that is told the same, a delivery each."""

    numbers = itertools.count(1)

    def __init__(self, store):
        self.store = store
        self.who = f"a{next(self.numbers)}"
        made = [
            CreateStudent(
                identifiers=(Identifier("a_number", self.who),), first_name="A", last_name="E"
            ),
            SaveEvent(identifiers=(), name="Weekly Meeting", starts_at=START),
        ]
        with store.writing() as tx:
            apply(tx, made, self.context("unified"))

    def context(self, source, key=None):
        self.delivery = f"{next(self.numbers):028x}"
        return Context(self.delivery, START, source, UTC, via=source, key=key)

    def say(self, kind, source, at, repeatable, participant, context=None):
        context = context or self.context(source)
        who = {"student": self.who, "event": "Weekly Meeting"}
        named = Identifier("participant", f"{self.who} {participant}") if participant else None
        with self.store.writing() as tx:
            if kind == "in":
                identifiers = (named,) if named else ()
                operation = CheckIn(**who, at=at, repeatable=repeatable, identifiers=identifiers)
            else:
                operation = {"out": CheckOut, "back": Withdraw}[kind](
                    **who, attendance=named, at=at
                )
            try:
                apply(tx, [operation], context)
            except AlreadyCheckedIn as second:
                if second.witness is not None:
                    attendances.witness(tx, second.witness, context)

    def stands(self):
        with self.store.reading() as db:
            key = self.who
            owner = db.StudentIdentifier.get(kind="a_number", value=key).student
            rows = [row.to_dict() for row in owner.attendances]
        assert len(rows) <= 1
        return rows[0] if rows else None


def summary(row):
    if row is None:
        return None
    times = row["checked_in_at"], row["checked_out_at"]
    return row["state"] == State.WITHDRAWN, row["sightings"], times


@pytest.fixture(scope="module")
def memory():
    """One store for all examples, each of which is about a student of its own."""
    store = Store.open(MEMORY_URL)
    yield store
    store.close()


def told(memory, history):
    said = Said(memory)
    for one in history:
        said.say(*one)
    return said.stands()


FIRST = ("in", "forms", START, False, None)


@given(histories)
def test_what_stands_is_what_the_model_says(memory, history):
    model, flat = Model(), [FIRST]
    for seen, back in history:
        flat += [*seen, back]
    for one in flat:
        model.say(*one)
    assert summary(told(memory, flat)) == (model.withdrawn, model.sightings, model.times)


@given(histories, st.randoms(use_true_random=False))
def test_between_two_withdrawals_the_order_changes_nothing(memory, history, random):
    """The first of those that are not repeatable stays the first: the others are refused after it."""
    one, other = [FIRST], [FIRST]
    for seen, back in history:
        order = random.sample(range(len(seen)), len(seen))
        refusable = [number for number in order if seen[number][0] == "in" and not seen[number][3]]
        if refusable:
            here, there = order.index(refusable[0]), order.index(min(refusable))
            order[here], order[there] = order[there], order[here]
        one += [*seen, back]
        other += [*(seen[number] for number in order), back]
    assert summary(told(memory, one)) == summary(told(memory, other))


@pytest.fixture
def said(url):
    store = Store.open(url)
    yield Said(store)
    store.close()


def count(said, table):
    with said.store.reading() as db:
        return db.entities[table].select().count()


def test_a_first_check_in_costs_no_row_more(said):
    said.say("in", "unified", START, False, None)
    assert count(said, "Evidence") == 0
    assert count(said, "Change") == 2  # the student's and the event's


def test_an_attempt_more_of_one_delivery_says_nothing_more(said):
    said.say("in", "unified", START, False, None)
    context = said.context("cards")
    for _ in range(3):
        said.say("in", "cards", START - timedelta(minutes=1), True, None, context)
    assert (said.stands()["sightings"], count(said, "Evidence")) == (2, 2)


def test_a_key_that_comes_again_says_nothing_more(said):
    said.say("in", "unified", START, False, None)
    for _ in range(3):
        said.say("in", "forms", START, False, None, said.context("forms", key="sender:k1"))
    assert said.stands()["sightings"] == 2
    said.say("in", "other", START, False, None, said.context("other", key="sender:k1"))
    assert said.stands()["sightings"] == 3


def test_a_check_in_that_its_source_tells_again_of_a_participant_says_nothing_more(said):
    said.say("in", "onetap", START, True, "p1")
    said.say("in", "onetap", START, True, "p1")
    assert said.stands()["sightings"] == 1
    said.say("in", "onetap", START, True, "p2")
    assert said.stands()["sightings"] == 2
    said.say("back", "onetap", START, False, "p1")
    said.say("in", "onetap", START, True, "p1")
    assert said.stands()["sightings"] == 1


def test_a_withdrawn_one_keeps_its_id_and_its_times(said):
    said.say("in", "onetap", START, True, "p1")
    said.say("back", "onetap", START + timedelta(hours=1), False, "p1")
    before = said.stands()
    assert (before["state"], before["withdrawal"]) == (State.WITHDRAWN, said.delivery)
    assert before["checked_in_at"] == START
    said.say("in", "cards", START + timedelta(hours=2), True, None)
    after = said.stands()
    assert (after["id"], after["state"], after["withdrawal"]) == (1, State.PRESENT, None)
    assert (after["source"], after["via"], after["delivery"]) == (
        "cards",
        "cards",
        before["delivery"],
    )
    assert after["first_delivery"] == said.delivery


def test_a_source_takes_back_its_own_word_alone(said):
    said.say("in", "onetap", START, True, "p1")
    said.say("in", "cards", START + timedelta(minutes=5), True, None)
    said.say("back", "onetap", START, False, "p1")
    assert summary(said.stands()) == (False, 1, (START + timedelta(minutes=5), None))
    said.say("back", "onetap", START, False, "p1")  # nothing of it stands any more
    assert count(said, "Evidence") == 3


def test_however_often_it_was_said_one_more_is_as_fast(said):
    """Statements are counted, not seconds: nothing reads all that was said before."""
    said.say("in", "cards", START, True, None)
    statements = []
    for _ in range(30):
        said.say("in", "cards", START, True, None)
    with said.store.writing() as tx:
        rows = tx.rows

        def counted(sql, *values):
            found = rows(sql, *values)
            statements.append(len(found))
            return found

        tx.rows = counted
        context = said.context("cards")
        apply(
            tx,
            [CheckIn(student=said.who, event="Weekly Meeting", at=START, repeatable=True)],
            context._replace(delivery="f" * 28),
        )
    assert max(statements) <= 1
