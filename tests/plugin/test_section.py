"""A plugin's own settings: declared by it, read from the configuration, given to its hooks."""

import logging
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hubtest import Calls, Client

from hub.cli import main
from hub.config.load import load
from hub.errors import SettingError
from hub.plugin.loading import Plugins

ROOT = Path(__file__).parents[2]
DOOR = re.search(
    r"<!-- settings -->\n```python\n(.*?)```",
    (ROOT / "docs/plugins.md").read_text("utf-8"),
    re.DOTALL,
)[1]
KINDS = """
from collections.abc import Mapping
from dataclasses import dataclass
from hub import hookimpl, setting

@dataclass(frozen=True)
class Settings:
    word: str = setting("a word", "x")
    count: int = setting("how many", 1)
    share: float = setting("how much", 0.5)
    on: bool = setting("whether", False)
    names: tuple[str, ...] = setting("whose", ())
    table: Mapping[str, str] = setting("which", {})
    token: str = setting("a secret", "", secret=True)

@hookimpl
def status_section(settings):
    return {"seen": repr(settings), "token": len(settings.token)}
"""


@pytest.fixture
def plugins(tmp_path):
    """The plugins that a configuration loads, with one named ``door`` of this code."""

    def plugins(code, toml="", **environment):
        folder = tmp_path / "plugins"
        folder.mkdir(exist_ok=True)
        (folder / "door.py").write_text(code)
        file = tmp_path / "hub.toml"
        file.write_text(f'plugins = "{folder}"\n{toml}')
        return Plugins(load({}, str(file), environment).settings)

    return plugins


def values(plugins):
    (door,) = [plugin for plugin in plugins.loaded if plugin.name == "door"]
    return door.section.values


def reason(plugins):
    (failed,) = plugins.failed
    return failed.reason


def test_the_example_of_the_page_works(make_hub, tmp_path):
    (tmp_path / "hub.toml").write_text('[plugin.door.rooms]\n"r7" = "Chess"\n')
    (tmp_path / "door.py").write_text(DOOR)
    settings = load({}, str(tmp_path / "hub.toml"), {"HUB_PLUGIN_DOOR_PREFIX": "b"}).settings
    client = Client(make_hub(plugins=str(tmp_path), plugin=settings.plugin))
    calls = Calls(client)
    calls.student("b1")
    calls.event("Chess")
    assert client.post("/api/webhook/door/", {"badge": "1", "room": "r7"}).status == 201


def test_two_hubs_in_a_process_have_their_own(make_hub, tmp_path):
    (tmp_path / "door.py").write_text(KINDS)
    hubs = [
        make_hub(
            plugins=str(tmp_path),
            plugin=load({}, None, {"HUB_PLUGIN_DOOR_WORD": word}).settings.plugin,
        )
        for word in ("one", "two")
    ]
    seen = [hub.plugins.hooks.status_section("door")["seen"] for hub in hubs]
    assert ["word='one'" in seen[0], "word='two'" in seen[1]] == [True, True]


def test_defaults(plugins):
    found = values(plugins(KINDS))
    assert (found.word, found.count, found.share, found.on) == ("x", 1, 0.5, False)
    assert (found.names, dict(found.table)) == ((), {})


def test_from_the_file_and_from_the_environment_which_comes_first(plugins):
    toml = '[plugin.door]\nword = "file"\ncount = 7\nshare = 1\non = true\nnames = ["a", "b"]\n'
    found = values(plugins(KINDS, toml + '[plugin.door.table]\nk = "v"\n'))
    assert (found.word, found.count, found.share, found.on) == ("file", 7, 1.0, True)
    assert (found.names, dict(found.table)) == (("a", "b"), {"k": "v"})
    found = values(
        plugins(
            KINDS,
            toml,
            HUB_PLUGIN_DOOR_WORD="here",
            HUB_PLUGIN_DOOR_SHARE="0.25",
            HUB_PLUGIN_DOOR_NAMES="c, d",
            HUB_PLUGIN_DOOR_TABLE="k = v, l=w",
            HUB_PLUGIN_DOOR_TOKEN="hush",
        )
    )
    assert (found.word, found.count, found.share, found.names) == ("here", 7, 0.25, ("c", "d"))
    assert (dict(found.table), found.token) == ({"k": "v", "l": "w"}, "hush")
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    ("toml", "environment", "said"),
    [
        ("[plugin.door]\ncount = 'x'", {}, "plugin.door.count (from "),
        ("", {"HUB_PLUGIN_DOOR_SHARE": "nan"}, "(from HUB_PLUGIN_DOOR_SHARE): it must be a number"),
        ("", {"HUB_PLUGIN_DOOR_TABLE": "k"}, "it must be a list of name=text"),
        ("[plugin.door.table]\nk = 1", {}, "it must be a table of texts"),
        ("[plugin.door]\nwrod = 'x'", {}, "there is no such setting; there are word, count, "),
        ("[plugin.door]\ntoken = 'x'", {}, "secrets stay out of this file; give it as HUB_PLUGIN_"),
    ],
)
def test_a_wrong_one_disables_the_plugin_and_is_named(plugins, toml, environment, said):
    assert said in reason(plugins(KINDS, toml, **environment))


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ("class Settings:\n    pass", "its Settings is no dataclass"),
        ("@dataclass\nclass Settings:\n    a: bytes = b''", "its setting a is of the type"),
        (
            "@dataclass\nclass Settings:\n    a: str = setting('it')",
            "plugin.door.a is not set; set it, or HUB_PLUGIN_DOOR_A",
        ),
    ],
)
def test_what_cannot_be_declared_is_named(plugins, declared, said):
    code = f"from dataclasses import dataclass\nfrom hub import hookimpl, setting\n{declared}\n"
    hook = "@hookimpl\ndef status_section(settings):\n    return {}\n"
    toml = "[plugin.door]\na = 'x'" if "bytes" in declared else ""
    assert said in reason(plugins(code + hook, toml))


def test_settings_of_a_plugin_that_has_none_or_is_not_there(plugins, caplog):
    hook = "@hookimpl\ndef status_section(settings):\n    assert settings is None\n"
    code = f"from hub import hookimpl\n{hook}"
    assert "it has no settings; remove them" in reason(plugins(code, "[plugin.door]\na = 1"))
    with caplog.at_level(logging.WARNING):
        found = plugins(code, "[plugin.gate]\na = 1")
    assert found.failed == []
    assert found.hooks.status_section("door") is None
    assert "[plugin.gate] is configured, and no such plugin is loaded" in caplog.text


@pytest.mark.parametrize("toml", ["plugin = 1", "[plugin]\ndoor = 1"])
def test_the_table_is_a_table_of_tables(tmp_path, toml):
    (tmp_path / "hub.toml").write_text(toml)
    with pytest.raises(SettingError, match=r"it must be a table of tables, \[plugin\.<name>\]"):
        load({}, str(tmp_path / "hub.toml"), {})


def test_config_shows_them_with_their_origin_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "door.py").write_text(KINDS)
    (tmp_path / "hub.toml").write_text('plugins = "."\n[plugin.door]\nnames = ["a", "b"]\n')
    environment = {"HUB_PLUGIN_DOOR_TOKEN": "hush", "HUB_PLUGIN_DOOR_TABLE": "k=v"}
    output = CliRunner().invoke(main, ["config"], env=environment).output
    for line in (
        "plugin.door.word = x  (default)",
        "plugin.door.names = a, b  (hub.toml)",
        "plugin.door.table = k = v  (HUB_PLUGIN_DOOR_TABLE)",
        "plugin.door.token = set, not shown  (HUB_PLUGIN_DOOR_TOKEN)",
    ):
        assert line in output.splitlines()
    assert "hush" not in output
