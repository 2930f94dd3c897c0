"""What the documents show is what the hub does."""

import ast
import inspect
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner
from hubtest import UNIFIED, Calls, Client

import hub
from hub import PageView, Record
from hub.cli import main
from hub.config.settings import Settings, default_of, settable
from hub.domain.tokens import Scope
from hub.plugin import hookspecs
from hub.plugin.checks import HOOKS
from hub.record.doubts import Kind

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
OPERATING = (ROOT / "docs" / "operating.md").read_text("utf-8")
RECORD = (ROOT / "docs" / "record.md").read_text("utf-8")
PLUGINS = (ROOT / "docs" / "plugins.md").read_text("utf-8")


def block(text, language, after=""):
    return re.search(rf"{re.escape(after)}.*?```{language}\n(.*?)```", text, re.DOTALL)[1]


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 110


def test_the_curl_of_the_readme_is_answered_as_shown(client):
    command = next(
        text for text in re.findall(r"```bash\n(.*?)```", README, re.DOTALL) if "curl" in text
    )
    words = shlex.split(command)
    assert words[words.index("POST") + 1].endswith(UNIFIED)
    reply = client.post(UNIFIED, body=words[words.index("-d") + 1].encode())
    assert reply.status == 201
    assert reply.json == json.loads(block(README, "json"))


def test_the_plugin_of_the_readme_works(make_hub, tmp_path):
    code = block(README, "python", "<!-- plugin -->")
    (tmp_path / "door.py").write_text(code)
    client = Client(make_hub(plugins=str(tmp_path)))
    calls = Calls(client)
    calls.student("a12345678")
    calls.event()
    payload = json.loads(re.search(r'`(\{"badge".*?\})`', README)[1])
    assert client.post("/api/webhook/door/", payload).status == 201


def test_the_table_of_settings_is_the_settings():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in OPERATING.splitlines()
        if line.startswith("| `") and "HUB_" in line
    ]
    expected = []
    for entry in settable(Settings):
        default = default_of(entry)
        unit = f" ({entry.metadata['unit']})" if entry.metadata["unit"] else ""
        expected.append(
            [
                f"`{entry.name}`",
                f"`HUB_{entry.name.upper()}`",
                "none" if default in ("", (), None) else f"`{default}`",
                entry.metadata["about"] + unit,
            ]
        )
    assert rows == expected


def test_the_listings_of_the_record_are_routes_and_so_are_their_files(hub):
    table = RECORD.partition("## Listings")[2].partition("```")[0]
    shown = set(re.findall(r"`(/api/[a-z/<>.]+?)/?`", table))
    routes = {re.sub(r"<[a-z]+>", "<id>", route.path) for route in hub.routes}
    assert shown <= routes
    files = {path for path in routes if path.endswith((".csv", ".xlsx", ".jsonl"))}
    assert {path.rpartition(".")[0] for path in files} == {
        path for path in shown if not path.endswith((">", ".json")) and path != "/api/changes"
    }


def test_the_words_of_the_record_are_those_of_the_code():
    assert re.findall(r"^\| `([a-z]+)` \|", RECORD, re.MULTILINE)[:6] == list(Scope)
    doubts = RECORD.partition("## Doubts")[2]
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", doubts, re.MULTILINE)) == sorted(Kind)


def test_the_table_of_endpoints_is_the_endpoints(hub):
    paths = re.findall(r"^\| `POST (\S+)`", README, re.MULTILINE)
    assert paths == [endpoint.path for endpoint in hub.endpoints]


@pytest.mark.parametrize("path", [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], ids=str)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\((?!http)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / link).exists(), link


def test_ci_runs_the_test_command_of_the_readme():
    command = block(README, "bash", "<!-- test command -->").strip()
    assert command.count("\n") == 0
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "<!-- test command -->" in script
    assert 'eval "$command"' in script


class TestHooks:
    @pytest.mark.parametrize("name", HOOKS)
    def test_each_is_documented_with_its_signature(self, name):
        arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
        assert f"### `{name}({arguments}) -> " in PLUGINS

    def test_none_is_documented_that_is_not_there(self):
        assert sorted(re.findall(r"### `(\w+)\(", PLUGINS)) == sorted(HOOKS)

    @pytest.mark.parametrize("name", HOOKS)
    def test_each_is_tested(self, name):
        tests = "".join(path.read_text("utf-8") for path in ROOT.glob("tests/plugin/*.py"))
        assert f"def {name}(" in tests

    def test_examples_are_implementations(self):
        for code in re.findall(r"```python\n(@hookimpl.*?)```", PLUGINS, re.DOTALL):
            (function,) = ast.parse(code).body
            spec = inspect.signature(getattr(hookspecs, function.name))
            assert {argument.arg for argument in function.args.args} <= set(spec.parameters)
            compile(code, "plugins.md", "exec")


PREAMBLE = """
from dataclasses import replace
import click
from hub import OPEN, CheckIn, NotDelivered, Page, Source, Table, Target, hookimpl

def normalize(payload):
    yield CheckIn(student=payload["badge"], event=payload["room"])

"""


class TestExamplesOfHooks:
    """Each hook's example on the page is loaded as a plugin, and does what the page says."""

    @pytest.fixture
    def load(self, make_hub, tmp_path, monkeypatch):
        def load(name):
            section = PLUGINS.split(f"### `{name}(")[1].split("\n###")[0]
            code = re.search(r"```python\n(@hookimpl.*?)```", section, re.DOTALL)[1]
            (tmp_path / "example.py").write_text(PREAMBLE + code)
            monkeypatch.setenv("HUB_PLUGINS", str(tmp_path))
            hub = make_hub(plugins=str(tmp_path))
            assert hub.plugins.failed == []
            assert hub.plugins.loaded[-1].hooks == (name,)
            return hub, Calls(Client(hub))

        return load

    def test_all_are_here(self):
        assert {name.removeprefix("test_") for name in vars(type(self))} >= set(HOOKS)

    def test_register_sources(self, load):
        _, calls = load("register_sources")
        calls.student()
        calls.event()
        payload = {"badge": "a1", "room": "Weekly Meeting"}
        assert calls.client.post("/api/webhook/gate/", payload).status == 201

    def test_veto_delivery(self, load):
        _, calls = load("veto_delivery")
        reply = calls.event()
        assert (reply.status, reply.error) == (400, "Events are made in the calendar")
        assert calls.student().status == 201

    def test_amend_operations(self, load):
        _, calls = load("amend_operations")
        assert calls.student().json["source"] == "club"

    def test_delivery_committed(self, load, capsys):
        hub, calls = load("delivery_committed")
        calls.student()
        hub.close()
        assert capsys.readouterr().out == "Change.CREATED 1\n"

    def test_register_targets(self, load, capsys):
        hub, calls = load("register_targets")
        (sender,) = hub.senders._senders
        calls.student()
        for event in ("Weekly Meeting", "Secret Meeting"):
            calls.event(event)
            calls.attend("a1", event)
            sender.do_what_is_due()
        assert re.fullmatch(r"msg_\w+_1 1 1\n", capsys.readouterr().out)
        assert sender.counters()["failed"] == 1

    def test_register_pages(self, load):
        hub, calls = load("register_pages")
        calls.student()
        calls.event()
        calls.attend()
        (page,) = hub.plugins.loaded[-1].pages
        shown = page.show(PageView({}, Record(hub.store)))
        assert (page.title, shown.rows) == ("Days of the week", [("Monday", 1)])

    def test_status_section(self, load):
        _, calls = load("status_section")
        page = calls.client.get("/api/webhook/status/").json
        assert page["sections"] == {"example": {"doors": 3}}

    def test_register_commands(self, load, tmp_path, monkeypatch):
        load("register_commands")
        monkeypatch.chdir(tmp_path)
        assert CliRunner().invoke(main, ["doors"]).output == "north, south\n"


@pytest.mark.parametrize("name", re.findall(r"^\| `(\w+)`.* \| `", PLUGINS, re.MULTILINE))
def test_the_table_of_operations_has_their_defaults(name):
    row = re.search(rf"^\| `{name}`.*? \| (.*) \|$", PLUGINS, re.MULTILINE)[1]
    told = dict(re.findall(r"`(\w+)=([^`]+)`", row))
    for entry in fields(getattr(hub, name)):
        if entry.name in told:
            assert entry.default == ast.literal_eval(told[entry.name]), entry.name


def test_every_released_version_is_in_the_changelog():
    from hub.version import __version__

    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    released = re.findall(r"^## \[(\d\S*)\]", changelog, re.MULTILINE)
    assert not released or released[0] == __version__
