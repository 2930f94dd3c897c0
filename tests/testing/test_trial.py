"""``attendance-hub try``: a plugin's fixtures through a fresh hub."""

import hashlib
import hmac
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hubtest import FIXTURES

from hub.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
DOOR = re.search(r"<!-- plugin -->\n```python\n(.*?)```", README, re.DOTALL)[1]
ENTER = {"badge": "a12345678", "room": "Weekly Meeting"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "door.py").write_text(DOOR)
    (tmp_path / "fixtures").mkdir()

    def run(*arguments, status=0, **environment):
        done = CliRunner().invoke(main, ["try", *arguments], env=environment)
        assert done.exit_code == status, (done.output, done.exception)
        return done.output.splitlines()

    return run


@pytest.fixture
def save(tmp_path):
    def save(name, contents):
        (tmp_path / "fixtures" / f"{name}.json").write_text(json.dumps(contents))

    return save


def test_operations_and_answer_of_each(run, save):
    save("enter__whole", ENTER)
    save("enter__no-room", {"badge": "a1"})
    lines = run("door.py", "fixtures")
    assert re.fullmatch(r"enter__no-room\.json: 400 in \d+\.\d ms", lines[0])
    assert json.loads(lines[1])["details"] == "/room is required"
    assert re.fullmatch(r"enter__whole\.json: 201 in \d+\.\d ms", lines[2])
    assert lines[3] == '  CheckIn {"student": "a12345678", "event": "Weekly Meeting"}'
    assert json.loads(lines[4])["checked_in_at"] == "<time of receipt>"


def test_accept_writes_what_is_expected_and_a_difference_fails(run, save, tmp_path):
    save("enter__whole", ENTER)
    assert run("door.py", "fixtures", "--accept")[-1] == "  written to enter__whole.expected.json"
    assert run("door.py", "fixtures")[-1] == "  as in enter__whole.expected.json"
    (tmp_path / "door.py").write_text(DOOR.replace('payload["room"]', '"Chess"'))
    lines = run("door.py", "fixtures", status=1)
    assert "  not as in enter__whole.expected.json:" in lines
    assert '    -      "event": "Weekly Meeting"' in lines
    assert '    +      "event": "Chess"' in lines


def test_a_plugin_that_fails_fails_the_trial(run, save, tmp_path):
    (tmp_path / "door.py").write_text(DOOR.replace('payload["room"]', "1 / 0"))
    save("enter__whole", ENTER)
    lines = run("door.py", "fixtures", status=1)
    assert lines[1] == '  {"error": "Internal server error", "details": "Quote delivery <id>"}'
    assert re.match(
        r"  plugin door: source door failed on delivery \w+: ZeroDivisionError at ", lines[2]
    )
    assert "door.py:" in lines[2]
    assert lines[3] == "  its text: division by zero"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("    yield {'student': 'a1'}", "yielded a value of the type dict, which is no operation"),
        ("    return {'student': 'a1'}", "yielded a value of the type str, which is no operation"),
        ("    pass", "gave None, not operations; yield hub.CheckIn(…) or another"),
    ],
)
def test_what_is_no_operation_is_named_with_its_place(run, save, tmp_path, body, said):
    head, _, tail = DOOR.partition("    yield CheckIn(")
    (tmp_path / "door.py").write_text(f"{head}{body}\n{tail.partition(chr(10))[2]}")
    save("enter__whole", ENTER)
    lines = run("door.py", "fixtures", status=1)
    (line,) = [line for line in lines if said in line]
    assert re.search(r"normalize \(\S*door\.py:\d+\) ", line)
    assert not any("its text" in line for line in lines)


def test_a_source_that_must_be_signed_is_signed(run, save, tmp_path):
    (tmp_path / "door.py").write_text(DOOR.replace("OPEN", "STANDARD_WEBHOOKS"))
    save("enter__whole", ENTER)
    assert run("door.py", "fixtures")[0].startswith("enter__whole.json: 201 ")
    save("enter__whole.headers", {"webhook-signature": "v1,nonsense"})
    assert run("door.py", "fixtures")[0].startswith("enter__whole.json: 401 ")


def test_headers_come_from_a_file_beside_it(run, save, tmp_path):
    payload = {
        "student_identifier": "a1",
        "event_identifier": "1",
        "check_in_time": "2024-01-15T10:00:00Z",
    }
    save("attendance__signed", payload)
    body = (tmp_path / "fixtures" / "attendance__signed.json").read_bytes()
    signature = hmac.new(b"hush", body, hashlib.sha256).hexdigest()
    headers = {"X-Webhook-Signature": f"sha256={signature}", "Content-Type": "application/json"}
    save("attendance__signed.headers", headers)
    lines = run("secure", "fixtures", WEBHOOK_SECRET="hush")
    assert lines[0].startswith("attendance__signed.json: 201 ")
    lines = run("secure", "fixtures", WEBHOOK_SECRET="other")
    assert lines[0].startswith("attendance__signed.json: 401 ")


@pytest.mark.parametrize("source", ["unified", "onetap", "legacy"])
def test_the_built_ins_can_be_tried(run, source):
    lines = run(source, str(FIXTURES / source))
    tried = [line for line in lines if re.match(r"\S+__\S+\.json: 20[01] in ", line)]
    assert len(tried) == len(list((FIXTURES / source).glob("*.json")))


def test_every_operation_can_be_told(run, save):
    lines = run("onetap", str(FIXTURES / "onetap"))
    told = {line.split()[0] for line in lines if re.match(r"  [A-Z]", line)}
    assert told >= {"SaveStudent", "SaveEvent", "CheckIn", "CheckOut", "Withdraw", "HideStudent"}
    assert '"identifiers": [{"kind": "onetap_list", "value": "yvoEEEEEEb"}]' in "\n".join(lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.py", "fixtures"), "plugin: there is no file gone.py"),
        (("nothing", "fixtures"), "load_plugins: there is no plugin named nothing"),
        (("door.py", "nowhere"), "fixtures: there is no file or folder nowhere"),
        (("door.py", "empty"), "fixtures: empty has none; name them <event>__<variant>.json"),
        (("door.py", "odd.json"), "fixtures: odd.json must be named <event>__<variant>.json"),
        (("door.py", "fixtures", "--source", "x"), "source: there is door"),
        (
            ("two.py", "fixtures"),
            "source: there are several, a, b; name one",
        ),
        (("none.py", "fixtures"), "source: there is none"),
        (("broken.py", "fixtures"), "broken (broken.py) is not loaded: SyntaxError: "),
    ],
)
def test_what_cannot_be_tried_is_one_line(run, save, tmp_path, arguments, said):
    save("enter__whole", ENTER)
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.json").write_text("{}")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "none.py").write_text(
        "import hub\n@hub.hookimpl\ndef status_section():\n    pass\n"
    )
    two = DOOR[: DOOR.index("    return [Source")]
    (tmp_path / "two.py").write_text(
        f"{two}    for name in 'ab':\n        yield Source(name=name, path=name,"
        " authenticate=OPEN, schema=SCHEMA, normalize=normalize)\n"
    )
    lines = run(*arguments, status=2)
    assert lines[-1].startswith(f"attendance-hub: {said}")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("enter__whole.headers.json", "[1]", "must be an object of texts"),
        ("enter__whole.expected.json", "{", "is not JSON: "),
    ],
)
def test_a_file_beside_it_that_cannot_be_read_is_named(run, save, tmp_path, name, text, said):
    save("enter__whole", ENTER)
    (tmp_path / "fixtures" / name).write_text(text)
    assert said in run("door.py", "fixtures", status=2)[-1]
