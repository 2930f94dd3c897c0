"""The contract suite finds what a source does wrong, and says so by the name of a case."""

import json
import re
from pathlib import Path

import pytest

from hub.errors import PluginError, SettingError
from hub.testing.contract import ContractBroken, cases

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
DOOR = re.search(r"<!-- plugin -->\n```python\n(.*?)```", README, re.DOTALL)[1]
ENTER = {"badge": "a12345678", "room": "Weekly Meeting"}


@pytest.fixture
def suite(tmp_path):
    """The cases of the README's plugin, with some of its text replaced: name and whether it holds."""

    (tmp_path / "fixtures").mkdir()

    def suite(*changes, payload=None):
        code = DOOR
        for old, new in changes:
            assert old in code
            code = code.replace(old, new)
        (tmp_path / "door.py").write_text(code)
        (tmp_path / "fixtures" / "enter__whole.json").write_text(json.dumps(payload or ENTER))
        return cases(tmp_path / "door.py", tmp_path / "fixtures")

    suite.folder = tmp_path / "fixtures"
    return suite


def broken(found):
    """The names of the cases that do not hold, without the fixture's, and what they say."""
    said = {}
    for case in found:
        try:
            case.run()
        except ContractBroken as error:
            said[case.name.removeprefix("enter__whole: ")] = str(error)
    return said


def test_a_good_source_keeps_it_in_sixteen_cases_at_least(suite):
    found = suite()
    assert len(found) >= 16
    assert len({case.name for case in found}) == len(found)
    assert broken(found) == {}


@pytest.mark.parametrize(
    "scheme",
    ["WEBHOOK_SIGNATURE", "GITHUB_SIGNATURE", "SHARED_SECRET", "STANDARD_WEBHOOKS", "STAMPED"],
)
def test_each_scheme_of_the_hub_refuses_what_is_malformed(suite, scheme):
    found = suite(
        ("import OPEN, ", f"import {'HmacSha256' if scheme == 'STAMPED' else scheme}, "),
        (
            "def normalize",
            "STAMPED = HmacSha256('own', 'X-Own', 'X-Stamp', 'X-Id', 'id.timestamp.body', 'base64', '')"
            "\ndef normalize"
            if scheme == "STAMPED"
            else "def normalize",
        ),
        ("authenticate=OPEN", f"authenticate={scheme}"),
    )
    refused = [case.name for case in found if case.name.endswith(", 401")]
    assert broken(found) == {}
    assert len(refused) >= 8
    for wrong in ("missing", "empty", "cut", "changed"):
        assert any(f" {wrong}, 401" in name for name in refused)
    assert any("another secret" in name for name in refused)
    timed = {"STANDARD_WEBHOOKS", "STAMPED"}
    assert any("an hour old" in name for name in refused) is (scheme in timed)


OWN_SCHEME = """
import hub
class Own:
    scheme = "own"
    headers = ("x-own",)
    def check_secret(self, secret): pass
    def sign(self, body, secret, now, identifier): return {"X-Own": secret}
    def verify(self, headers, body, secrets, now):
        if not headers.get("x-own", "").startswith(WHAT):
            raise hub.Unauthenticated("no")
"""


NEW_CARD_EACH_TIME = """    import hub, uuid
    card = hub.Identifier('card', uuid.uuid4().hex)
    yield hub.SaveStudent(identifiers=(card,))
    yield C"""
UNTYPED = [
    ('"badge": {"type": "string"}', '"badge": {}'),
    ('payload["badge"]', 'payload["badge"][0:]'),
]
COUNTS_MEMBERS = [("    yield C", "    assert len(payload) == 2\n    yield C")]
NEVER_THE_SAME = [
    ("event=payload", "repeatable=True, event=payload"),
    ("    yield C", NEW_CARD_EACH_TIME),
]
LETS_ANYONE_IN = [
    ("\ndef normalize", OWN_SCHEME.replace("WHAT", "'whsec_'") + "\ndef normalize"),
    ("=OPEN", "=Own()"),
]


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        (UNTYPED, "badge of the type integer", "TypeError"),
        (COUNTS_MEMBERS, "the body with an unknown member, answered the same", "201 became 500"),
        (NEVER_THE_SAME, "twice, recorded once", "the second one was recorded too"),
        (LETS_ANYONE_IN, "made with another secret, 401", "answered 201, not 401"),
    ],
)
def test_what_is_broken_is_named(suite, changes, name, said):
    assert said in broken(suite(*changes))[name]


def test_without_a_fixture_that_is_accepted_there_is_no_suite(suite):
    answer = "normalize=normalize, answer=lambda payload, results: (200, {'a': payload['gone']})"
    with pytest.raises(SettingError, match="the source accepts none of those in"):
        suite(("normalize=normalize", answer))


def test_a_plugin_that_cannot_be_loaded_has_no_suite(suite):
    with pytest.raises(PluginError, match=r"door \(.*door.py\) is not loaded: SyntaxError"):
        suite(("def normalize(payload):", "def normalize(payload)"))


def test_nested_members_are_changed_too(suite):
    found = suite(
        (
            '"required": ["badge", "room"],',
            '"required": ["who", "room"],',
        ),
        (
            '{"badge": {"type": "string"}, ',
            '{"who": {"type": "object", "required": ["badge"], "properties": {"badge": '
            '{"type": "string", "maxLength": 20}}}, ',
        ),
        ('payload["badge"]', 'payload["who"]["badge"]'),
        payload={"who": {"badge": "a1"}, "room": "Weekly Meeting"},
    )
    names = [case.name for case in found]
    assert "enter__whole: who/badge over-long" in names
    assert "enter__whole: who with an unknown member, answered the same" in names
    assert broken(found) == {}


CANNOT_SIGN = """
import hub
class Own:
    scheme = "own"
    headers = ("x-own",)
    def check_secret(self, secret): pass
    def verify(self, headers, body, secrets, now):
        if not (ACCEPTED):
            raise hub.Unauthenticated("no")
"""


@pytest.mark.parametrize(
    ("accepted", "wrong"),
    [
        ('headers.get("x-own") == "right"', set()),
        ('"x-own" in headers', {"empty", "no text of its form", "not ASCII"}),
    ],
)
def test_a_scheme_that_cannot_sign_is_tried_with_nonsense(suite, accepted, wrong):
    """The fixture's headers have the credential."""
    (suite.folder / "enter__whole.headers.json").write_text('{"X-Own": "right"}')
    code = CANNOT_SIGN.replace("ACCEPTED", accepted)
    found = suite(
        ("\ndef normalize", code + "\ndef normalize"), ("authenticate=OPEN", "authenticate=Own()")
    )
    assert len([case for case in found if case.name.endswith(", 401")]) == 4
    assert set(broken(found)) == {f"x-own {one}, 401" for one in wrong}


def test_items_and_optional_members_are_tried_too(suite):
    told = broken(
        suite(
            ('"required": ["badge", "room"],', '"required": ["all"],'),
            (
                '{"badge": {"type": "string"}, "room": {"type": "string"}}',
                '{"note": {}, "all": {"type": "array", "items": {"type": "object", "required": ["s"]}}}',
            ),
            (
                'yield CheckIn(student=payload["badge"], event=payload["room"])',
                'payload["note"].strip()\n    for one in payload["all"]:\n'
                '        yield CheckIn(student=one["s"].strip(), event="Chess")',
            ),
            payload={"all": [{"s": "a1"}], "note": "x"},
        )
    )
    assert "AttributeError" in told["all/0/s of the type integer"]
    assert "AttributeError" in told["note, which is optional, null"]
