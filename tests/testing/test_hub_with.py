"""The fixture ``hub_with``, as a plugin's author uses it."""

import re
from pathlib import Path

import pytest

import hub_plugins.legacy
from hub import A_NUMBER, CheckIn, Identifier
from hub.errors import PluginError, SettingError

pytest_plugins = ["pytester"]

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
DOOR = re.search(r"<!-- plugin -->\n```python\n(.*?)```", README, re.DOTALL)[1]
PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text("utf-8")
SUITE, OWN = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FIXTURES = "../fixtures"


def test_post_by_name_by_file_and_whole(hub_with):
    hub = hub_with("legacy", FIXTURES)
    file = Path(__file__).parent / FIXTURES / "legacy" / "attendance__whole.json"
    assert hub.post("legacy", "attendance__whole").status == 404
    posted = hub.post("legacy", file)
    (operation,) = posted.operations
    hub.know(student=operation.student, event=operation.event)
    assert hub.post("legacy", file.read_bytes()).status == 201
    assert hub.post("legacy", {"student_identifier": "a1"}).json["errors"]
    assert [row["outcome"] for row in hub.rows("delivery")] == [
        "refused", "refused", "applied", "refused",
    ]  # fmt: skip


def test_rows_operations_and_answer(hub_with, tmp_path):
    (tmp_path / "door.py").write_text(DOOR)
    hub = hub_with(tmp_path / "door.py")
    hub.know(student=Identifier(A_NUMBER, "a1"), event="Chess")
    posted = hub.post("door", {"badge": "a1", "room": "Chess"})
    assert posted.operations == (CheckIn(student="a1", event="Chess"),)
    assert posted.json["message"] == "Attendance recorded successfully"
    assert posted.headers["content-type"] == "application/json"
    (row,) = hub.rows("attendance")
    assert row["source"] == "door"


def test_several_hubs_in_a_test_are_apart(hub_with):
    one, other = hub_with("unified", FIXTURES), hub_with(hub_plugins.legacy)
    one.post("unified", "student.create__whole")
    assert (len(one.rows("student")), len(other.rows("student"))) == (1, 0)


def test_signed_or_not(hub_with):
    hub = hub_with("secure", FIXTURES)
    assert hub.post("secure", "attendance__whole").status == 404
    assert hub.post("secure", "attendance__whole", sign=False).status == 401
    wrong = {"X-Webhook-Signature": "sha256=00"}
    assert hub.post("secure", "attendance__whole", wrong).status == 401


def test_without_a_plugin_it_has_all(hub_with):
    hub = hub_with()
    with pytest.raises(SettingError, match="source: there is unified, legacy, secure, onetap"):
        hub.post("nothing", {})


def test_what_is_not_there_is_named(hub_with, tmp_path):
    with pytest.raises(SettingError, match=r"fixtures: there is no file .*nothing__at-all\.json"):
        hub_with("legacy", FIXTURES).post("legacy", "nothing__at-all")
    with pytest.raises(SettingError, match="rows: there is no table people; there are student, "):
        hub_with("legacy").rows("people")
    (tmp_path / "door.py").write_text("def (")
    with pytest.raises(PluginError, match="is not loaded: SyntaxError"):
        hub_with(tmp_path / "door.py")


def test_the_plugin_of_pytest_is_there_for_a_stranger(pytester):
    pytester.makepyfile(door=DOOR)
    (pytester.path / "fixtures").mkdir()
    fixture = '{"badge": "a12345678", "room": "Weekly Meeting"}'
    (pytester.path / "fixtures" / "enter__whole.json").write_text(fixture)
    pytester.makepyfile(test_suite=SUITE, test_door=OWN)
    done = pytester.runpytest_subprocess("-q", "-W", "error")
    counts = done.parseoutcomes()
    assert counts["passed"] > 16
    assert set(counts) == {"passed"}


def test_the_package_has_the_names_that_it_tells_and_no_others():
    import hub.testing

    for name in hub.testing.__all__:
        assert getattr(hub.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = hub.testing.nothing
