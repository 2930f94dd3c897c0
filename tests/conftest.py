import os
import shutil
from dataclasses import fields
from functools import cache
from importlib import metadata

import hypothesis
import pytest
from click.testing import CliRunner
from databases import Databases
from hubtest import Calls, Client, Rows
from postgres import Cluster, binaries
from serving import Server

from hub.cli import main
from hub.config.settings import Settings
from hub.hub import Hub
from hub.plugin.loading import Plugins
from hub.store.store import migrate

hypothesis.settings.register_profile(
    "default",
    # Each run takes the same examples; HYPOTHESIS_PROFILE=search looks for others.
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.register_profile(
    "search", hypothesis.settings.get_profile("default"), derandomize=False, max_examples=500
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

STORE = os.environ.get("HUB_TEST_STORE", "sqlite")
_OF_STORES = {"url", "empty_url", "cluster"}
_OF_ONE_TEST = ("plugins", "plugin")
_OF_MANY = ("enable", "load_plugins", "without")
"""The settings that say which plugins there are: those that are a test's own, and those of many tests."""

_USUAL = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}


def pytest_collection_modifyitems(config, items):
    """What needs no store runs once, with those of SQLite."""
    if STORE == "sqlite":
        return
    ours, others = [], []
    for item in items:
        (ours if _OF_STORES & set(item.fixturenames) else others).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = ours


@pytest.fixture(scope="session")
def cluster():
    """A private PostgreSQL, with a database named ``template_hub`` that has the tables."""
    if binaries() is None:
        if os.environ.get("HUB_REQUIRE_DB"):
            pytest.fail("PostgreSQL's binaries are not here, and HUB_REQUIRE_DB is set")
        pytest.skip("PostgreSQL's binaries are not here")
    cluster = Cluster()
    cluster.execute("CREATE DATABASE template_hub")
    migrate(cluster.url("template_hub"))
    yield cluster
    cluster.remove()


@pytest.fixture
def empty_url(request, tmp_path):
    """The URL of a store that does not exist yet, on the database that is being tested."""
    if STORE == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    cluster = request.getfixturevalue("cluster")
    url = cluster.create()
    yield url
    cluster.drop(url)


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """The file of an SQLite store that has its tables: a copy takes a third of the time."""
    file = tmp_path_factory.mktemp("template") / "hub.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def url(request, tmp_path):
    """The URL of a store that has its tables and nothing in them."""
    if STORE == "sqlite":
        shutil.copy(request.getfixturevalue("template"), tmp_path / "hub.db")
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    cluster = request.getfixturevalue("cluster")
    url = cluster.take()
    yield url
    cluster.give(url)


@pytest.fixture(scope="session")
def databases():
    return Databases(STORE)


@pytest.fixture
def make_hub(url, databases):
    """Makes hubs over one store, with the settings given, and closes them."""
    made = []

    def make(**given):
        settings = Settings(**{"database": url, **given})
        plugins = None
        if all(getattr(settings, name) == _USUAL[name] for name in _OF_ONE_TEST):
            own = (getattr(settings, name) for name in _OF_MANY)
            plugins = loaded(metadata.entry_points, settings.time_zone, *own)
        with databases.lent():
            made.append(Hub(settings, plugins=plugins))
        return made[-1]

    yield make
    for hub in made:
        hub.close()
    databases.give_back()


@cache
def loaded(installed, time_zone, *given):
    """Plugins, loaded once for all the hubs that have the same, with the same others installed."""
    return Plugins(Settings(time_zone=time_zone, **dict(zip(_OF_MANY, given, strict=True))))


@pytest.fixture
def hub(make_hub):
    return make_hub()


@pytest.fixture
def client(hub):
    return Client(hub)


@pytest.fixture
def calls(client):
    return Calls(client)


@pytest.fixture
def rows(hub):
    return Rows(hub)


@pytest.fixture
def run(tmp_path, monkeypatch, url):
    """Runs a command over the store, in a folder of its own; the lines that it prints."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUB_DATABASE", url)

    def run(*arguments, status=0, **options):
        done = CliRunner().invoke(main, arguments, **options)
        assert done.exit_code == status, (done.output, done.exception)
        return done.output.splitlines()

    return run


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A running hub for all tests that neither kill it nor mind each other's rows: one for each set of
    options. Its store is SQLite, whatever is being tested: they are about HTTP.
    """
    servers = {}

    def shared(*options, **environment):
        key = options, tuple(environment.items())
        if key not in servers:
            folder = tmp_path_factory.mktemp("shared")
            database = f"sqlite:///{folder / 'hub.db'}"
            servers[key] = Server(database, *options, cwd=folder, environment=environment)
        return servers[key]

    yield shared
    for server in servers.values():
        server.stop()


@pytest.fixture
def serve(url, tmp_path):
    """Starts hubs as processes over one store, and stops them."""
    yield from _servers(url, tmp_path)


@pytest.fixture
def serve_http(tmp_path):
    """As ``serve``, over SQLite whatever is being tested: for tests that are about HTTP alone."""
    yield from _servers(f"sqlite:///{tmp_path / 'hub.db'}", tmp_path)


def _servers(url, folder):
    servers = []

    def serve(*options, **arguments):
        servers.append(Server(url, *options, cwd=folder, **arguments))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()
