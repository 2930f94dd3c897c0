"""Identifiers: what is one, and which are the same."""

import pytest

from hub.domain.identifiers import Identifier, event_id, is_email


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("ada@example.edu", True),
        (" ada@example.edu ", True),
        ("a" * 64 + "@" + "b" * 185 + ".edu", True),  # 254 characters
        ("a" * 64 + "@" + "b" * 186 + ".edu", False),
        ("a" * 65 + "@example.edu", False),
        ("ada@example", False),
        ("ada@@example.edu", False),
        ("ada example@example.edu", False),
        ("ada@example..edu", False),
        ("", False),
    ],
)
def test_an_email_has_its_form_and_at_most_254_characters(text, is_one):
    assert is_email(text) is is_one


@pytest.mark.parametrize(
    ("kind", "one", "other", "same"),
    [
        ("a_number", " A1 ", "a1", True),
        ("email", "ÉVE@example.edu", "e\u0301ve@example.edu", True),
        ("card", "04:A2-b9", "04a2B9", True),
        ("card", "04a2", "04a3", False),
        ("badge", "A1", "a1", False),
        ("badge", " A1", "A1", True),
    ],
)
def test_identifiers_of_a_kind_are_the_same_by_their_key(kind, one, other, same):
    assert (Identifier(kind, one).key == Identifier(kind, other).key) is same


def test_only_digits_may_be_the_id_of_an_event():
    assert event_id("12") == 12
    assert event_id("9" * 18) == int("9" * 18)
    for name in ("9" * 19, "", "x1", "1.0", "-1", "\u0661", " 1"):
        assert event_id(name) is None
