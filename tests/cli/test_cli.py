"""The command line, as a person types it."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import STORE
from hubtest import Rows
from serving import Server

import hub_plugins
from hub.cli import main
from hub.config.settings import Settings
from hub.errors import SettingError
from hub.hub import Hub
from hub.store import migrations
from hub.version import __version__
from hub.wsgi import create_app


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HUB_DATABASE", raising=False)

    def run(*arguments, **environment):
        return CliRunner().invoke(main, arguments, env=environment)

    return run


def test_python_m_hub_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "hub", "--version"], capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, __version__ in done.stdout) == (0, True)


def test_help_names_the_commands(run):
    text = run("--help").output
    for command in ("serve", "migrate", "config", "check"):
        assert command in text
    options = run("serve", "--help").output
    assert "--port" in options
    assert "--without" in options


def test_config_prints_values_and_origins(run):
    output = run("config", "--port", "9", WEBHOOK_SECRET="hush").output
    assert "port = 9  (--port)" in output
    assert "webhook_secret = 1 set, not shown  (WEBHOOK_SECRET)" in output
    assert "hush" not in output


def test_help_is_there_also_with_a_wrong_setting(run):
    assert run("--help", HUB_PORT="abc").exit_code == 0


def test_a_wrong_setting_is_one_line_and_status_2(run):
    result = run("config", "--port", "x")
    assert result.exit_code == 2
    assert result.output == (
        "attendance-hub: port (from --port): it must be a whole number from 0 to 65535\n"
    )


def test_migrate_makes_and_updates_a_store(run, empty_url, monkeypatch):
    steps = run("migrate", "--database", empty_url)
    assert steps.output.endswith(f": applied {migrations.LATEST} steps\n")
    assert run("migrate", "--database", empty_url).output.endswith(": it is up to date\n")


def test_a_store_of_another_version_is_one_line(run, empty_url, monkeypatch):
    run("migrate", "--database", empty_url)
    monkeypatch.setattr(migrations, "has_nothing", lambda database: False)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, ()))
    monkeypatch.setattr(migrations, "LATEST", migrations.LATEST + 1)
    result = run("serve", "--database", empty_url)
    assert result.exit_code == 2
    assert "run: attendance-hub migrate" in result.output


def test_a_plugin_adds_a_command_and_replaces_none(run, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "hello.py").write_text(
        "import click\n"
        "from hub import hookimpl\n"
        "@hookimpl\n"
        "def register_commands(group):\n"
        "    group.add_command(click.Command('hello', callback=lambda: click.echo('hello you')))\n"
        "    group.add_command(click.Command('migrate', callback=lambda: click.echo('mine')))\n"
    )
    try:
        assert run("hello", HUB_PLUGINS=str(folder)).output == "hello you\n"
        assert "hello" in run("--help", HUB_PLUGINS=str(folder)).output
        assert "Bring the store" in run("migrate", "--help").output
    finally:
        main.commands.pop("hello", None)
    assert run("nonsense").exit_code == 2


class TestCheck:
    @pytest.fixture
    def server(self, shared):
        return shared(WEBHOOK_SECRET="s")

    def test_a_hub_that_works_passes_as_often_as_one_likes(self, server, run):
        for _ in range(2):
            result = run("check", server.url)
            assert result.exit_code == 0, result.output
            assert result.output.splitlines()[-1] == "9 passed, 0 failed"
        assert len([line for line in result.output.splitlines() if "unified:" in line]) == 5

    def test_the_secure_endpoint_is_checked_with_its_secret(self, server, run):
        endpoint = f"{server.url}/api/webhook/unified/"
        assert run("check", endpoint, "--secret", "s").output.endswith("11 passed, 0 failed\n")
        wrong = run("check", endpoint, WEBHOOK_SECRET="other")
        assert wrong.exit_code == 1
        assert "FAIL  secure: a signed delivery is accepted: expected 400, got 401" in wrong.output

    def test_what_it_makes_is_recognised(self, server, run):
        run("check", server.url)
        hub = Hub(Settings(database=server.database))
        rows = Rows(hub)
        identifiers = [row["value"] for row in rows("StudentIdentifier")]
        assert all(value.startswith("check-") for value in identifiers)
        hub.close()

    def test_a_hub_that_misbehaves_fails(self, shared, run):
        server = shared("--without", "legacy", "--without", "onetap")
        result = run("check", server.url.removeprefix("http://"))
        assert result.exit_code == 1
        assert "FAIL  legacy: an attendance is recorded: expected 201, got 404" in result.output

    def test_of_several_secrets_the_first_signs(self, server, run):
        result = run("check", server.url, WEBHOOK_SECRET="s\nolder")
        assert result.output.endswith("11 passed, 0 failed\n")

    @pytest.mark.parametrize("url", ["http://[", "127.0.0.1:abc", "ftp://x", "http://"])
    def test_a_url_that_is_none_is_one_line(self, run, url):
        result = run("check", url)
        assert (result.exit_code, result.output.count("\n")) == (2, 1)

    def test_no_hub_at_all_fails(self, run):
        result = run("check", "http://127.0.0.1:9/")
        assert result.exit_code == 1
        assert "no answer" in result.output


@pytest.mark.skipif(STORE != "sqlite", reason="about the default store")
def test_serve_with_nothing_set_keeps_its_store_in_the_working_folder(tmp_path):
    server = Server("sqlite:///attendance-hub.db", cwd=tmp_path)
    assert (tmp_path / "attendance-hub.db").exists()
    assert server.stop() == 0


class TestPlugins:
    def test_each_with_version_origin_hooks_and_sources(self, run, tmp_path):
        code = (
            "import hub\n__version__ = '1.2'\n@hub.hookimpl\ndef veto_delivery():\n    pass\n"
            "@hub.hookimpl\ndef status_section():\n    pass\n"
        )
        (tmp_path / "gate.py").write_text(code)
        lines = run("plugins", "--plugins", str(tmp_path)).output.splitlines()
        assert lines[:4] == [
            f"unified {__version__} (built-in)",
            "  hooks: register_sources",
            "  source unified: /api/webhook/unified/  open",
            "    schema https://attendance-hub.example/schemas/unified/student-create.json",
        ]
        assert lines[-3:] == [
            f"gate 1.2 ({tmp_path / 'gate.py'})",
            "  hooks: veto_delivery, status_section",
            f"off: {', '.join(hub_plugins.OPTIONAL)}; the setting enable loads them",
        ]

    def test_one_that_is_not_loaded_says_why_in_one_line(self, run, tmp_path):
        (tmp_path / "broken.py").write_text("def (")
        done = run("plugins", "--plugins", str(tmp_path))
        assert done.exit_code == 1
        line = done.output.splitlines()[-1]
        assert line.startswith(f"broken ({tmp_path / 'broken.py'}) is not loaded: SyntaxError: ")

    def test_only_those_named_are_loaded(self, run):
        lines = run("plugins", HUB_LOAD_PLUGINS="secure, unified").output.splitlines()
        named = [line.split()[0] for line in lines if not line.startswith(" ")]
        assert named == ["unified", "secure", "off:"]
        done = run("plugins", HUB_LOAD_PLUGINS="nothing")
        assert (done.exit_code, done.output) == (
            2,
            "attendance-hub: load_plugins: there is no plugin named nothing\n",
        )


def test_a_store_in_memory_is_not_served(run):
    done = run("serve", "--database", "sqlite:///:memory:")
    assert done.exit_code == 2
    assert "database: a store in memory is for trials only; name a file" in done.output
    with pytest.raises(SettingError, match="is for trials only"):
        create_app(Settings(database="sqlite:///:memory:"))
