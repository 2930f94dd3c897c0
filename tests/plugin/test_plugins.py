"""Plugins: found, loaded one by one, and none able to harm another."""

import ast
import importlib.metadata
import json
import re
import sys
import threading
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest
import requests
from hubtest import STATUS, UNIFIED, Calls, Client, Rows, application, plugin_module
from serving import eventually

import hub_plugins
from hub.errors import SettingError
from hub.http.batch import Request, run
from hub.plugin import observers

DOOR = """
from hub import OPEN, CheckIn, Source, hookimpl

SCHEMA = {
    "type": "object",
    "required": ["badge", "room"],
    "properties": {"badge": {"type": "string"}, "room": {"type": "string"}},
}


def normalize(payload):
    yield CheckIn(student=payload["badge"], event=payload["room"])


@hookimpl
def register_sources():
    return [
        Source(name="door", path="door", authenticate=OPEN, schema=SCHEMA, normalize=normalize)
    ]
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "plugins"
    path.mkdir()
    return path


@pytest.fixture
def make(folder, make_hub):
    """A hub with these plugins in its folder, by name."""

    def make(settings=None, /, **plugins):
        for name, text in plugins.items():
            (folder / f"{name}.py").write_text(dedent(text))
        return make_hub(plugins=str(folder), **(settings or {}))

    return make


OF_OTHERS = {"click", "jwt", "standardwebhooks"}


def test_the_built_ins_import_nothing_of_the_hub_but_what_any_plugin_may():
    import sys

    shared = {"hub_plugins.columns", "hub_plugins.chat"}
    for path in Path(hub_plugins.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            else:
                continue
            for module in modules:
                known = OF_OTHERS | sys.stdlib_module_names
                ours = module == "hub" or module in shared
                assert ours or module.split(".")[0] in known


def test_the_core_names_no_source():
    import hub

    names = {f'"{name}"' for name in (*hub_plugins.BUILT_INS, *hub_plugins.OPTIONAL)}
    names -= {'"console"', '"imports"'}  # words of the hub's own
    for path in Path(hub.__file__).parent.rglob("*.py"):
        # In tokens.py it is a scope that is called so.
        if path.name not in ("check.py", "signatures.py", "load.py", "tokens.py"):
            text = path.read_text()
            assert not [name for name in names if name in text], path


def test_a_file_in_the_folder_is_a_source(make):
    client = Client(make(door=DOOR))
    Calls(client).student("a1")
    Calls(client).event("Lab")
    reply = client.post("/api/webhook/door/", {"badge": "a1", "room": "Lab"})
    assert (reply.status, reply.json["source"]) == (201, "door")
    missing = client.post("/api/webhook/door", {"badge": "a1", "room": ""})
    assert (missing.status, missing.error) == (400, "Invalid payload")
    assert missing.json["errors"] == [{"pointer": "/room", "message": "is required"}]
    assert client.get("/api/webhook/door/status/").status == 200
    assert "door" in client.get(STATUS).json["plugins"]["loaded"]


@pytest.mark.parametrize("name", hub_plugins.BUILT_INS)
def test_a_hub_without_a_plugin_has_not_its_endpoint(make_hub, name):
    paths = {"legacy": "attendance", "secure": "attendance/secure", "imports": "import"}
    path = paths.get(name, name)
    client = Client(make_hub(without=(name,)))
    assert client.post(f"/api/webhook/{path}/", {}).status == 404
    status = client.get(STATUS).json
    assert name not in status["plugins"]["loaded"]
    assert len(status["sources"]) == len(hub_plugins.BUILT_INS) - 1


def test_without_names_a_plugin_that_there_is(make_hub):
    with pytest.raises(SettingError, match="without: there is no plugin named nothing"):
        make_hub(without=("onetap", "nothing"))


def test_the_folder_must_be_there(make_hub):
    with pytest.raises(SettingError, match="plugins: the folder /nowhere does not exist"):
        make_hub(plugins="/nowhere")


def source(body="", **arguments):
    arguments = {
        "name": '"x"',
        "path": '"x"',
        "authenticate": "OPEN",
        "schema": "{}",
        "normalize": "lambda payload: []",
    } | arguments
    given = ", ".join(f"{name}={value}" for name, value in arguments.items() if value)
    return f"""
from hub import OPEN, Ignore, Source, hookimpl
{body}
@hookimpl
def register_sources():
    return [Source({given})]
"""


BROKEN = {
    "syntax error": ("def x(:", "SyntaxError"),
    "import error": ("import nothing_of_this_name", "No module named"),
    "exit": ("import sys; sys.exit(1)", "SystemExit"),
    "no hook": ("x = 1", "implements no hook"),
    "misspelt hook": (
        "from hub import hookimpl\n@hookimpl\ndef register_source(): ...",
        "there is no hook named register_source; the hooks are register_sources",
    ),
    "misspelt argument": (
        "from hub import hookimpl\n@hookimpl\ndef veto_delivery(delivry): ...",
        "delivry",
    ),
    "wrapper": (
        "from hub import hookimpl\n@hookimpl(wrapper=True)\ndef veto_delivery():\n    yield",
        "it wraps a hook",
    ),
    "raises": ("from hub import hookimpl\n@hookimpl\ndef register_sources(): 1/0", "ZeroDivision"),
    "no source": (
        "from hub import hookimpl\n@hookimpl\ndef register_sources(): return [1]",
        "it must give hub.Source values",
    ),
    "no authenticate": (source(authenticate=None), "authenticate"),
    "wrong authenticate": (
        source(authenticate='"none"'),
        "use hub.OPEN, one of the hub's signature schemes",
    ),
    "taken path": (source(path='"unified"'), "its path unified is taken by the source unified"),
    "taken name": (source(name='"legacy"'), "there is a source named legacy"),
    "status path": (source(path='"x/status"'), "not ending in 'status'"),
    "bad path": (source(path='"../x"'), "source path '../x'"),
    "bad name": (source(name='"X Y"'), "source name 'X Y'"),
    "bad schema": (source(schema='{"type": "objekt"}'), "not valid JSON Schema"),
    "bad reference": (source(schema='{"$ref": "#/none"}'), "#/none resolves nowhere"),
    "kind without schemas": (
        source(kind="lambda payload: ''", schema="'x'"),
        "schema is a mapping of kinds",
    ),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_harms_no_other(make, text, reason, caplog):
    hub = make(aardvark=text, door=DOOR)
    (failed,) = hub.plugins.failed
    assert (failed.name, failed.origin.endswith("aardvark.py")) == ("aardvark", True)
    assert reason in failed.reason
    assert "plugin aardvark" in caplog.text
    client = Client(hub)
    status = client.get(STATUS)
    assert status.json["plugins"]["failed"] == ["aardvark"]
    assert reason.encode() not in status.body
    assert b"aardvark.py" not in status.body
    assert client.post("/api/webhook/door/", {}).status == 400
    assert client.post(UNIFIED, {}).status == 400


def test_a_failed_plugin_leaves_no_hook_behind(make):
    text = """
        from hub import hookimpl

        @hookimpl
        def register_sources():
            return [1]

        @hookimpl
        def veto_delivery(delivery):
            return "never"
    """
    assert Calls(Client(make(bad=text))).student().status == 201


def test_two_plugins_of_one_name(make):
    hub = make(onetap=DOOR)
    (failed,) = hub.plugins.failed
    assert failed.reason == "there is a plugin of this name (built-in); rename this one"


def test_hidden_files_are_no_plugins(make, folder):
    (folder / "_draft.py").write_text("1/0")
    assert not make(door=DOOR).plugins.failed


class FakeEntryPoint:
    def __init__(self, name, plugin):
        self.name, self._plugin = name, plugin
        self.dist = None

    def load(self):
        if isinstance(self._plugin, Exception):
            raise self._plugin
        return self._plugin


def test_entry_points_are_loaded_one_by_one(make_hub, monkeypatch):
    class Plugin:
        @staticmethod
        def register():
            scope = {}
            exec(DOOR, scope)
            return type("Module", (), {"register_sources": staticmethod(scope["register_sources"])})

    found = [
        FakeEntryPoint("broken", ModuleNotFoundError("nothing")),
        FakeEntryPoint("door", Plugin.register()),
    ]

    def entry_points(group):
        assert group == "attendance_hub"
        return found

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    hub = make_hub(without=("onetap",))
    assert [plugin.name for plugin in hub.plugins.loaded][-1] == "door"
    assert [failed.name for failed in hub.plugins.failed] == ["broken"]


def test_a_normalize_that_raises_is_500_for_its_source_and_kept(make, caplog):
    text = source(normalize="lambda payload: 1 / 0")
    hub = make(x=text)
    client = Client(hub)
    reply = client.post("/api/webhook/x/", {"person": "Ada Example"})
    assert (reply.status, reply.error) == (500, "Internal server error")
    assert f"source x failed on delivery {reply.headers['x-delivery-id']}" in caplog.text
    assert "Ada" not in caplog.text
    assert client.get("/api/webhook/x/status").json["source"]["deliveries"]["failed"] == 1
    assert client.post(UNIFIED, {}).status == 400


@pytest.mark.parametrize(
    "arguments",
    [
        {"normalize": "lambda payload: ['nonsense']"},
        {"normalize": "lambda payload: exit(3)"},
        {
            "answer": "lambda payload, results: (302, {})",
            "normalize": "lambda p: [Ignore(reason='x')]",
        },
        {"normalize": "lambda payload: None"},
        {"kind": "lambda payload: 'other'", "schema": "{'one': {}}"},
        {"delivery_key": "lambda payload: 1 / 0"},
        {"answer": "lambda payload, results: 1 / 0", "normalize": "lambda p: [Ignore(reason='x')]"},
        {
            "preamble": "from hub import Refused\ndef refuse(*_): raise Refused('no')",
            "answer": "refuse",
            "normalize": "lambda p: [Ignore(reason='x')]",
        },
        {
            "answer": "lambda payload, results: (204, {})",
            "normalize": "lambda p: [Ignore(reason='x')]",
        },
        {
            "answer": "lambda payload, results: (200, {'x': object()})",
            "normalize": "lambda p: [Ignore(reason='x')]",
        },
    ],
)
def test_whatever_a_source_gets_wrong_is_500_and_kept(make, arguments):
    from hubtest import Rows

    arguments = dict(arguments)
    hub = make(x=source(arguments.pop("preamble", ""), **arguments))
    reply = Client(hub).post("/api/webhook/x/", {})
    assert (reply.status, reply.error) == (500, "Internal server error")
    assert [row["outcome"] for row in Rows(hub)("Delivery")] == ["failed"]


def test_a_source_that_asks_for_nothing_is_answered_200(make):
    reply = Client(make(x=source())).post("/api/webhook/x/", {})
    assert (reply.status, reply.json["message"]) == (200, "Delivery received; nothing to record")


def test_several_operations_are_all_applied_or_none(make, rows):
    text = source(
        "from hub import CreateEvent, CheckIn, parse_timestamp",
        normalize="""lambda payload: [
            CreateEvent(name="New", starts_at=parse_timestamp("2024-01-15T10:00:00Z")),
            CheckIn(student=payload["who"], event="New"),
        ]""",
    )
    client = Client(make(x=text))
    reply = client.post("/api/webhook/x/", {"who": "a1"})
    assert (reply.status, reply.error) == (404, "Student with identifier a1 not found")
    assert (rows.count("Event"), rows.count("Delivery")) == (0, 1)
    Calls(client).student("a1")
    assert client.post("/api/webhook/x/", {"who": "a1"}).status == 201


def test_an_answer_may_be_any_mapping(make):
    text = source(
        "from types import MappingProxyType",
        answer="lambda payload, results: (200, MappingProxyType({'x': 1}))",
        normalize="lambda payload: [Ignore(reason='x')]",
    )
    reply = Client(make(x=text)).post("/api/webhook/x/", {})
    assert (reply.status, reply.json) == (200, {"x": 1})


class TestHooks:
    def test_a_function_of_another_name_is_checked_and_named_as_its_hook(self, make, caplog):
        text = """
            from hub import hookimpl

            @hookimpl(specname="veto_delivery")
            def look_at_it():
                return 5
        """
        assert Calls(Client(make(odd=text))).student().status == 500
        assert "plugin odd: veto_delivery failed on delivery " in caplog.text

    def test_a_section_of_the_status_page_may_be_any_mapping_that_is_text(self, make, caplog):
        text = """
            from types import MappingProxyType
            from hub import hookimpl

            @hookimpl
            def status_section():
                return MappingProxyType({"doors": "%s"})
        """
        page = Client(make(well=text % "3", worse=text % "\\ud800")).get(STATUS)
        assert (page.status, page.json["sections"]) == (200, {"well": {"doors": "3"}})
        assert "plugin worse: status_section failed" in caplog.text

    def test_a_veto_refuses_with_the_plugins_sentence(self, make):
        text = """
            from hub import hookimpl

            @hookimpl
            def veto_delivery(delivery, payload):
                if delivery.source == "unified" and payload.get("type") == "event":
                    return "No events on Sundays"
        """
        calls = Calls(Client(make(sundays=text)))
        reply = calls.event()
        assert (reply.status, reply.error) == (400, "No events on Sundays")
        assert calls.student().status == 201

    def test_what_a_veto_does_to_its_payload_nobody_else_sees(self, make):
        spoiling = """
            from hub import hookimpl

            @hookimpl
            def veto_delivery(payload):
                assert payload == {"who": {"name": "Ada"}}
                payload["who"]["name"] = payload["more"] = "spoilt"
        """
        told = source(
            answer="lambda payload, results: (200, payload)",
            normalize="lambda payload: [Ignore(reason='x')]",
        )
        client = Client(make(a=spoiling, b=spoiling, x=told))
        reply = client.post("/api/webhook/x/", {"who": {"name": "Ada"}})
        assert (reply.status, reply.json) == (200, {"who": {"name": "Ada"}})

    def test_the_first_to_be_asked_is_the_one_that_tries_first(self, make):
        text = """
            from hub import hookimpl

            @hookimpl{options}
            def veto_delivery(payload):
                payload.clear()
                return "{name}"
        """
        first = text.format(options="(tryfirst=True)", name="first")
        reply = Calls(Client(make(a=first, b=text.format(options="", name="b")))).student()
        assert reply.error == "first"

    def test_a_payload_cannot_be_changed_by_a_veto(self, make):
        text = """
            from hub import hookimpl

            @hookimpl
            def veto_delivery(delivery, payload):
                payload["data"].clear()
        """
        reply = Calls(Client(make(vandal=text))).student()
        assert (reply.status, reply.json["student"]["name"]) == (201, "Ada Example")

    def test_operations_are_amended(self, make):
        text = """
            from dataclasses import replace
            from hub import CheckIn, hookimpl

            CARDS = {"card-7": "a1"}

            @hookimpl
            def amend_operations(operations):
                return [
                    replace(one, student=CARDS.get(one.student, one.student))
                    if isinstance(one, CheckIn) else one
                    for one in operations
                ]
        """
        calls = Calls(Client(make(cards=text)))
        calls.student("a1")
        calls.event()
        assert calls.attend("card-7").status == 201

    def test_an_observer_sees_what_was_committed_and_cannot_harm_the_answer(self, make, caplog):
        text = """
            from hub import hookimpl

            seen = []

            @hookimpl
            def delivery_committed(delivery):
                seen.append(delivery)
        """
        broken = """
            from hub import hookimpl

            @hookimpl
            def delivery_committed(delivery):
                raise RuntimeError
        """
        hub = make(a_broken=broken, observer=text)
        reply = Calls(Client(hub)).student()
        hub.close()
        (seen,) = plugin_module("observer").seen
        assert (reply.status, seen.status, seen.outcome) == (201, 201, "applied")
        assert seen.delivery.id == reply.headers["x-delivery-id"]
        assert seen.results[0].student.id == 1
        assert "plugin a_broken: delivery_committed failed" in caplog.text

    @pytest.mark.parametrize(("limit", "most"), [("CAPACITY", 1), ("MOST_BYTES", 200)])
    def test_observers_that_are_too_slow_are_left_behind(
        self, make, monkeypatch, caplog, limit, most
    ):
        monkeypatch.setattr(observers, limit, most)
        text = """
            import threading
            from hub import hookimpl

            go, started = threading.Event(), threading.Event()

            @hookimpl
            def delivery_committed(delivery):
                started.set()
                go.wait(10)
        """
        hub = make(slow=text)
        calls = Calls(Client(hub))
        calls.student("a0")
        slow = plugin_module("slow")
        assert slow.started.wait(10)
        for number in range(1, 4):
            assert calls.student(f"a{number}").status == 201
        assert hub.observers.counters()["slow"]["dropped"] == 2
        assert "plugin slow observes too slowly; delivery" in caplog.text
        hub.observers.close(0.01)
        slow.go.set()
        eventually(lambda: hub.observers.counters()["slow"]["seen"] == 2)

    def test_an_observer_that_hangs_takes_nobodys_turn(self, make, monkeypatch, caplog):
        """Not another plugin's, and, after the time limit, not its own next one either."""
        monkeypatch.setattr(observers, "TIME_LIMIT", 0.05)
        monkeypatch.setattr(observers, "_LOOK_EVERY", 0.01)
        hanging = """
            import threading
            from hub import hookimpl

            go = threading.Event()
            seen = []

            @hookimpl
            def delivery_committed(delivery):
                seen.append(delivery.delivery.id)
                go.wait(20)
        """
        well = """
            from hub import hookimpl

            @hookimpl
            def delivery_committed(delivery):
                return "nonsense"
        """
        hub = make(hanging=hanging, well=well)
        client = Client(hub)
        calls = Calls(client)
        ids = [calls.student(f"a{number}").headers["x-delivery-id"] for number in range(5)]
        eventually(lambda: hub.observers.counters()["well"]["seen"] == 5)
        eventually(lambda: hub.observers.counters()["hanging"]["timed_out"] == 3)
        module = plugin_module("hanging")
        assert module.seen == ids[:3]
        assert (
            f"plugin hanging: delivery_committed takes longer than 0 s for delivery {ids[0]}"
            in (caplog.text)
        )
        # Three hang: it is given up, until one of them comes back.
        assert calls.student("a5").status == 201
        eventually(lambda: hub.observers.counters()["well"]["seen"] == 6)
        shown = client.get(STATUS).json["observers"]
        assert shown["hanging"]["dropped"] == 1
        assert (shown["well"]["seen"], shown["well"]["dropped"]) == (6, 0)
        module.go.set()
        eventually(lambda: hub.observers.counters()["hanging"]["seen"] == 3)
        assert calls.student("a6").status == 201
        eventually(lambda: hub.observers.counters()["hanging"]["seen"] == 6)

    def test_a_section_of_the_status_page(self, make, caplog):
        text = """
            from hub import hookimpl

            @hookimpl
            def status_section():
                return {"readers": 3}
        """
        broken = """
            from hub import hookimpl

            @hookimpl
            def status_section():
                return {"since": object()}
        """
        status = Client(make(readers=text, worse=broken)).get(STATUS)
        assert status.json["sections"] == {"readers": {"readers": 3}}
        assert "plugin worse: status_section failed" in caplog.text

    def test_commands(self, make, caplog):
        import click

        text = """
            import click
            from hub import hookimpl

            @hookimpl
            def register_commands(group):
                @group.command()
                def hello():
                    click.echo("hello")
        """
        broken = """
            from hub import hookimpl

            @hookimpl
            def register_commands(group):
                raise RuntimeError
        """
        group = click.Group()
        make(hello=text, worse=broken).plugins.hooks.register_commands(group)
        assert list(group.commands) == ["hello"]
        assert "plugin worse: register_commands failed" in caplog.text


def test_every_name_that_the_hub_exports_is_there():
    import hub

    assert sorted(hub.__all__) == sorted(set(hub.__all__))
    for name in hub.__all__:
        assert getattr(hub, name) is not None


@pytest.mark.parametrize("line", ["from ._words import SOURCE", "from _words import SOURCE"])
def test_plugins_of_a_folder_may_share_a_module(make_hub, tmp_path, line, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delitem(sys.modules, "_words", raising=False)
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "_words.py").write_text("SOURCE = 'shared'\n")
    for name in ("one", "two"):
        (folder / f"{name}.py").write_text(
            f"import hub\n{line}\n"
            "@hub.hookimpl\ndef register_sources():\n"
            f"    return [hub.Source(name=SOURCE + '-{name}', path='{name}', authenticate=hub.OPEN,"
            " schema={}, normalize=lambda payload: [])]\n"
        )
    plugins = make_hub(plugins=str(folder)).plugins
    assert plugins.failed == []
    assert [source.name for source, _ in plugins.sources][-2:] == ["shared-one", "shared-two"]
    sys.modules.pop("_words", None)


EVENT = {
    "type": "event",
    "data": {"event_name": "Chess", "event_date": "2024-01-15T10:00:00Z"},
}


def one(path, payload):
    """A request of a batch."""
    body = json.dumps(payload).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.errors": None,
    }
    return Request(environ, body)


class TestOwnTroubleOfAPlugin:
    """What a plugin's own files, databases or network raise is its fault, and never the store's."""

    CODE = """
import contextlib, sqlite3
import hub

def trouble(*_):
    with contextlib.closing(sqlite3.connect(":memory:")) as own:
        own.execute("ATTACH ? AS other", ("/nowhere/at/all.db",))

def normalize(payload):
    yield hub.SaveEvent(identifiers=(), name="E", starts_at=hub.parse_timestamp("2024-01-15T10:00Z"))

@hub.hookimpl
def register_sources():
    return [hub.Source(name="own", path="own", authenticate=hub.OPEN, schema={},
        normalize=normalize, answer=trouble)]
"""

    @pytest.fixture
    def hub(self, make_hub, tmp_path):
        folder = tmp_path / "plugins"
        folder.mkdir()
        (folder / "own.py").write_text(self.CODE)
        return make_hub(plugins=str(folder))

    def test_it_is_kept_as_failed_and_the_store_is_well(self, hub, rows, caplog):
        client = Client(hub)
        reply = client.post("/api/webhook/own/", {})
        assert reply.status == 500
        (row,) = rows("Delivery")
        assert (row["id"], row["outcome"]) == (reply.headers["x-delivery-id"], "failed")
        assert rows.count("Event") == 0
        assert Calls(client).event().status == 201
        assert client.get(STATUS).json["status"] == "healthy"
        assert f"plugin own: answer failed on delivery {row['id']}: OperationalError" in caplog.text

    def test_in_a_batch_the_others_do_not_suffer(self, hub, rows):
        responses = run(
            application(hub),
            [one("/api/webhook/own/", {}), one(UNIFIED, EVENT), one(UNIFIED, {})],
        )
        assert [response.status for response in responses] == [500, 201, 400]
        assert rows.count("Delivery") == 3

    def test_the_text_of_its_own_error_is_not_logged(self, make, caplog):
        raised = "def trouble(*_):\n    raise hub.errors.PluginError('Ada')"
        code = self.CODE.replace("def trouble(*_):", raised).replace(
            "import hub", "import hub.errors"
        )
        client = Client(make(own=code))
        assert client.post("/api/webhook/own/", {}).status == 500
        assert "PluginError at " in caplog.text
        assert "Ada" not in caplog.text


class TestSlowPlugins:
    """A plugin that keeps every request waiting is named in the log."""

    @pytest.mark.parametrize(
        ("hook", "arguments"),
        [
            ("veto_delivery", "delivery"),
            ("amend_operations", "delivery"),
            ("normalize", ""),
        ],
    )
    def test_each_part_in_a_request(self, make_hub, tmp_path, caplog, monkeypatch, hook, arguments):
        monkeypatch.setattr("hub.plugin.watch.SLOW", 0.01)
        folder = tmp_path / "plugins"
        folder.mkdir()
        normalize = "    time.sleep(0.02)\n" if hook == "normalize" else ""
        code = (
            "import time\nimport hub\n"
            f"def normalize(payload):\n{normalize}    return [hub.Ignore(reason='no')]\n"
            "@hub.hookimpl\ndef register_sources():\n"
            "    return [hub.Source(name='slow', path='slow', authenticate=hub.OPEN,"
            " schema={'type': 'object'}, normalize=normalize)]\n"
        )
        if hook != "normalize":
            code += f"@hub.hookimpl\ndef {hook}({arguments}):\n    time.sleep(0.02)\n"
        (folder / "tortoise.py").write_text(code)
        client = Client(make_hub(plugins=str(folder)))
        reply = client.post("/api/webhook/slow/", {})
        client.get(STATUS)
        assert reply.status == 200
        (line,) = [r.getMessage() for r in caplog.records if "all others wait" in r.getMessage()]
        assert line.startswith(f"plugin tortoise: {hook} took 0.0")
        assert reply.headers["x-delivery-id"] in line


def test_a_hook_that_fails_is_named_and_not_the_source(make_hub, tmp_path, caplog):
    folder = tmp_path / "plugins"
    folder.mkdir()
    code = "import hub\n@hub.hookimpl\ndef amend_operations(operations):\n    return ['nonsense']\n"
    (folder / "amender.py").write_text(code)
    client = Client(make_hub(plugins=str(folder)))
    reply = Calls(client).event()
    assert reply.status == 500
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    delivery = reply.headers["x-delivery-id"]
    line = record.getMessage()
    assert line.startswith(f"plugin amender: amend_operations failed on delivery {delivery}: ")
    assert "amender.py:2) yielded a value of the type str, which is no operation" in line


class TestHeadersOfASource:
    CODE = DOOR.replace(
        "normalize=normalize",
        'normalize=normalize, headers={"room": "X-Room"}',
    )

    def test_become_members_before_the_schema_and_win_over_the_body(self, make):
        client = Client(make(door=self.CODE))
        calls = Calls(client)
        calls.student("a1")
        calls.event("Chess")
        post = partial(client.post, "/api/webhook/door/")
        assert post({"badge": "a1"}).json["details"] == "/room is required"
        reply = post({"badge": "a1", "room": "Go"}, headers={"X-Room": "Chess"})
        assert reply.json["event"]["name"] == "Chess"

    def test_are_no_credentials(self, make):
        code = self.CODE.replace("X-Room", "X-Webhook-Secret").replace("OPEN", "SHARED_SECRET")
        (failed,) = make(door=code).plugins.failed
        assert "headers: a credential is no part of a payload, and never kept (" in failed.reason


class TestAuthenticationOfAPlugin:
    OWN = """
class Own:
    scheme = "own"
    headers = ("x-own",)

    def check_secret(self, secret):
        pass

    def verify(self, headers, body, secrets, now):
        VERIFY


@hookimpl
"""

    def with_verify(self, body):
        code = DOOR.replace("@hookimpl\n", self.OWN.replace("VERIFY", body))
        return code.replace("authenticate=OPEN", "authenticate=Own()")

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (
                "return False",
                "returned False; it must raise hub.Unauthenticated, or return nothing",
            ),
            ("return True", "returned True; it must raise hub.Unauthenticated, or return nothing"),
            ("pass", "accepts a request without credentials; raise hub.Unauthenticated, or use"),
            ("headers['x-own']", "raised KeyError for a request without credentials; raise hub.Un"),
        ],
    )
    def test_that_does_not_say_no_is_named_at_the_start(self, make, body, said):
        hub = make(door=self.with_verify(body))
        (failed,) = hub.plugins.failed
        assert said in failed.reason
        assert re.match(r"source door: verify \(\S+door\.py:\d+\) ", failed.reason)
        assert Calls(Client(hub)).event().status == 201

    @pytest.mark.parametrize("odd", ["return False", "return headers", "1 / 0"])
    def test_that_returns_or_fails_later_lets_nobody_in(self, make, caplog, odd):
        refuse = "import hub\n        if not headers: raise hub.Unauthenticated('no')\n        "
        hub = make(door=self.with_verify(refuse + odd))
        reply = Client(hub).post("/api/webhook/door/", {"badge": "a1", "room": "Chess"})
        assert reply.status == 500
        assert reply.headers["x-delivery-id"] in reply.json["details"]
        assert Rows(hub).count("Delivery") == 0
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert record.getMessage().startswith("plugin door: authenticate failed on delivery ")


class TestWhatAPluginDoesWrong:
    """Each is one line that names the place, the fault and the mend; and the hub goes on."""

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("authenticate=OPEN", "authenticate=normalize", "is a function without scheme,"),
            ("authenticate=OPEN", "authenticate=type(OPEN)", "is the class Open itself; make one"),
            ("normalize=normalize", "normalize=None", "source door: normalize is no function"),
            ("normalize=normalize", "normalize=normalize, headers={'a': 5}", "give the name of a"),
            ("    return [", "    return Source(name='a', path='a', authenticate=OPEN, schema={}, "
             "normalize=normalize)\n    return [", "gave one Source; give a list of hub.Source values"),
            ("def register_sources()", "def register_sources(setings)",
             "has no argument setings; it may have settings"),
            ("SCHEMA = {", "import sys; sys.exit(3)\nSCHEMA = {", "SystemExit: 3 ("),
            ("SCHEMA = {", "1 / 0\nSCHEMA = {", "ZeroDivisionError: division by zero ("),
            ('path="door"', 'path="unified"', "the source unified of the plugin unified"),
        ],
    )  # fmt: skip
    def test_at_the_start(self, make, old, new, said):
        assert old in DOOR
        hub = make(door=DOOR.replace(old, new, 1))
        (failed,) = hub.plugins.failed
        assert said in failed.reason
        assert "\n" not in failed.reason
        assert Calls(Client(hub)).event().status == 201

    @pytest.mark.parametrize(
        ("made", "said"),
        [
            ("CheckIn(student=30000003, event='x')", "CheckIn(student=…) was given a"),
            ("CheckIn(student='a1', event='x', at='2026-03-01')", "CheckIn(at=…) was given a"),
            ("hub.Identifier('card', 7)", "Identifier('card', …) was given"),
            ("hub.SaveStudent(identifiers=('a1',))", "(identifiers=…) takes a tuple of"),
            ("hub.SaveStudent(identifiers='a1')", "(identifiers=…) was given a value"),
            ("hub.CreateEvent(name='x', starts_at=None)", "it takes datetime"),
            ("hub.Ignore(reason=None)", "of the type NoneType; it takes"),
        ],
    )  # fmt: skip
    def test_with_an_operation_is_kept_and_named(self, make, caplog, made, said):
        code = DOOR.replace(
            "    yield CheckIn(", f"    import hub\n    yield {made}\n    yield CheckIn("
        )
        hub = make(door=code)
        reply = Client(hub).post("/api/webhook/door/", {"badge": "a1", "room": "Chess"})
        assert reply.status == 500
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        line = record.getMessage()
        assert line.startswith("plugin door: source door failed on delivery ")
        assert said in line
        assert "door.py:" in line
        (row,) = Rows(hub)("Delivery")
        assert (row["id"], row["outcome"]) == (reply.headers["x-delivery-id"], "failed")

    @pytest.mark.parametrize("nonsense", ["False", "True", "5", "''"])
    def test_a_veto_that_is_no_sentence_is_a_fault(self, make, caplog, nonsense):
        code = f"import hub\n@hub.hookimpl\ndef veto_delivery():\n    return {nonsense}\n"
        hub = make(gate=code)
        assert Calls(Client(hub)).event().status == 500
        assert "plugin gate: veto_delivery failed on delivery " in caplog.text
        assert "return a sentence to refuse the delivery, or None to let it pass" in caplog.text

    def test_a_status_section_that_is_no_mapping_is_left_out(self, make, caplog):
        code = "import hub\n@hub.hookimpl\ndef status_section():\n    return ['a']\n"
        page = Client(make(gate=code)).get(STATUS)
        assert (page.status, page.json["sections"]) == (200, {})
        assert "plugin gate: status_section failed: status_section (" in caplog.text
        assert "returned a value of the type list; return a mapping, or None" in caplog.text

    def test_a_slow_status_section_keeps_no_check_in_waiting(self, serve, tmp_path):
        code = (
            "import hub, time, pathlib\n@hub.hookimpl\ndef status_section():\n"
            f"    place = pathlib.Path({str(tmp_path)!r})\n    (place / 'asked').touch()\n"
            "    for _ in range(600):\n        if (place / 'answer').exists():\n"
            "            return {'a': 1}\n"
            "        time.sleep(0.05)\n"
        )
        folder = tmp_path / "slow"
        folder.mkdir()
        (tmp_path / "answer").touch()  # while it starts, the status page is asked for
        (folder / "slow.py").write_text(code)
        server = serve("--plugins", str(folder))
        (tmp_path / "answer").unlink()
        (tmp_path / "asked").unlink()
        page = threading.Thread(target=requests.get, args=(server.url + STATUS,))
        page.start()
        eventually((tmp_path / "asked").exists)
        assert requests.post(server.url + UNIFIED, json={}, timeout=20).status_code == 400
        page.join(20)
        assert not page.is_alive()
        (tmp_path / "answer").touch()  # nothing above waited for it

        def is_shown():
            return requests.get(server.url + STATUS, timeout=20).json()["sections"] == {
                "slow": {"a": 1}
            }

        eventually(is_shown)
