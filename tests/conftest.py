import os

import hypothesis
import pytest
from hubtest import Calls, Client, Rows
from postgres import Cluster, binaries
from serving import Server

from hub.config.settings import Settings
from hub.hub import Hub
from hub.store.store import migrate

hypothesis.settings.register_profile(
    "default",
    deadline=None,
    max_examples=60,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

STORE = os.environ.get("HUB_TEST_STORE", "sqlite")


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
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    cluster = request.getfixturevalue("cluster")
    url = cluster.create()
    yield url
    cluster.drop(url)


@pytest.fixture
def url(request, tmp_path):
    """The URL of a store that has its tables and nothing in them."""
    if STORE == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    cluster = request.getfixturevalue("cluster")
    url = cluster.take()
    yield url
    cluster.give(url)


@pytest.fixture
def make_hub(url):
    """Makes hubs over one store, with the settings given, and closes them."""
    made = []

    def make(**settings):
        hub = Hub(Settings(**{"database": url, **settings}))
        made.append(hub)
        return hub

    yield make
    for hub in made:
        hub.close()


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
def serve(url, tmp_path):
    """Starts hubs as processes over one store, and stops them."""
    servers = []

    def serve(*options, **arguments):
        server = Server(url, *options, cwd=tmp_path, **arguments)
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.stop()
