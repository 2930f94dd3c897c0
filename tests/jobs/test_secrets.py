"""Secret files that change while the hub runs."""

import hashlib
import hmac
import json
import logging
import signal
import urllib.error
import urllib.request

import pytest
from hubtest import SECURE, UNIFIED, Client
from serving import eventually

from hub.config.load import load
from hub.hub import Hub
from hub.plugin.loading import Plugins

PAYLOAD = {"student_identifier": "a1", "event_identifier": "Weekly Meeting"}


def signed(secret):
    digest = hmac.new(secret.encode(), json.dumps(PAYLOAD).encode(), hashlib.sha256)
    return {"X-Webhook-Signature": f"sha256={digest.hexdigest()}"}


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "secrets"
    file.write_text("first\n")
    return file


@pytest.fixture
def hub(url, file):
    environment = {
        "WEBHOOK_SECRET": "fixed",
        "HUB_SECRET_FILE": str(file),
        "HUB_DATABASE": url,
        "HUB_SOURCE_ONETAP_SIGNATURE": "standard-webhooks",
        "HUB_SOURCE_ONETAP_SECRETS": "whsec_YSBzZWNyZXQ=",
    }
    hub = Hub(load(environment=environment).settings)
    yield hub
    hub.close()


def status(hub, secret):
    return Client(hub).post(SECURE, PAYLOAD, headers=signed(secret)).status


def test_a_new_secret_works_and_an_old_one_does_not_without_a_restart(hub, file):
    assert (status(hub, "first"), status(hub, "fixed"), status(hub, "second")) == (404, 404, 401)
    file.write_text("second\nthird\n")
    hub.secrets.look()
    assert (status(hub, "first"), status(hub, "fixed"), status(hub, "second")) == (401, 404, 404)
    assert status(hub, "third") == 404


def test_nothing_is_read_where_nothing_has_changed(hub, file, monkeypatch):
    monkeypatch.setattr("hub.intake.secrets.secrets_in", None)
    hub.secrets.look()
    hub.secrets.read_again()
    with pytest.raises(TypeError):
        hub.secrets.look()


@pytest.mark.parametrize("spoilt", ["", "  \n", "nul\0\n", None])
def test_a_file_that_cannot_be_used_leaves_the_secrets_as_they_were(hub, file, caplog, spoilt):
    file.unlink() if spoilt is None else file.write_text(spoilt)
    hub.secrets.look()
    assert status(hub, "first") == 404
    assert "the secrets before it stay in force" in caplog.text
    caplog.clear()
    hub.secrets.look()
    assert not caplog.records


def test_a_running_hub_notices_by_itself_and_on_sighup(serve_http, tmp_path):
    file = tmp_path / "own"
    file.write_text("first\n")
    server = serve_http(environment={"HUB_SOURCE_SECURE_SECRET_FILE": str(file)})

    def answered(secret):
        request = urllib.request.Request(server.url + SECURE, json.dumps(PAYLOAD).encode())
        for name, value in signed(secret).items():
            request.add_header(name, value)
        request.add_header("Content-Type", "application/json")
        try:
            return urllib.request.urlopen(request, timeout=5).status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    assert (answered("first"), answered("second")) == (404, 401)
    file.write_text("second\n")
    eventually(lambda: answered("second") == 404)
    assert answered("first") == 401
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: str(server.lines).count("secrets are read again") == 2)
    assert answered("second") == 404


class TestRequireAuthentication:
    def test_it_closes_every_open_source(self, make_hub):
        hub = make_hub(require_authentication=True, webhook_secret=("s",))
        assert not any(endpoint.is_open for endpoint in hub.endpoints)
        assert Client(hub).post(UNIFIED, PAYLOAD).error == "Missing X-Webhook-Signature header"

    def test_also_what_its_section_leaves_open(self, file, url, caplog):
        environment = {
            "HUB_REQUIRE_AUTHENTICATION": "1",
            "HUB_DATABASE": url,
            "HUB_SOURCE_UNIFIED_SIGNATURE": "none",
            "HUB_SOURCE_LEGACY_REQUIRED": "false",
            "HUB_SOURCE_ONETAP_SIGNATURE": "onetap",
            "HUB_SOURCE_CARDS_SECRETS": "s",
        }
        hub = Hub(load(environment=environment).settings)
        found = {one.source.name: (one.is_open, one.protection) for one in hub.endpoints}
        hub.close()
        assert found == {
            "unified": (False, "signed (webhook), no secret configured"),
            "legacy": (False, "signed (webhook), no secret configured"),
            "secure": (False, "signed (webhook), no secret configured"),
            "onetap": (False, "signed (onetap), no secret configured"),
            "desk": (False, "signed (token)"),
            "import": (False, "signed (token)"),
            "console": (False, "signed (token)"),
        }

    def test_without_a_secret_nothing_passes(self, make_hub):
        reply = Client(make_hub(require_authentication=True)).post(
            UNIFIED, PAYLOAD, headers=signed("")
        )
        assert (reply.status, reply.error) == (503, "Signature verification is not configured")


def test_a_source_that_is_given_a_secret_wants_it_checked(url, file):
    settings = load(environment={"HUB_DATABASE": url, "HUB_SOURCE_LEGACY_SECRETS": "s"}).settings
    hub = Hub(settings)
    legacy = next(one for one in hub.endpoints if one.source.name == "legacy")
    hub.close()
    assert legacy.protection == "signed (webhook)"


def test_where_a_plugin_failed_an_unknown_source_is_a_warning(tmp_path, url, file, caplog):
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("nonsense\n")
    environment = {
        "HUB_DATABASE": url,
        "HUB_PLUGINS": str(tmp_path / "plugins"),
        "HUB_SOURCE_DOOR_SIGNATURE": "webhook",
    }
    Hub(load(environment=environment).settings).close()
    assert "sources.door: no plugin declares such a source" in caplog.text


def test_a_variable_of_no_plugin_is_told_of(tmp_path, file, caplog):
    caplog.set_level(logging.WARNING)
    environment = {
        "HUB_ENABLE": "cards",
        "HUB_PLUGIN_CARDS_READERS": "a=b",
        "HUB_PLUGIN_CARDS_READER": "a=b",
        "HUB_PLUGIN_DOOR_X": "1",
    }
    Plugins(load(environment=environment).settings)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "HUB_PLUGIN_CARDS_READER is no setting of a plugin that is loaded",
        "HUB_PLUGIN_DOOR_X is no setting of a plugin that is loaded",
    ]


def test_a_file_is_taken_over_as_a_whole_or_not_at_all(url, file, caplog):
    """The sources that share it may have different schemes."""
    file.write_text("whsec_YSBzZWNyZXQ=\n")
    environment = {
        "HUB_SECRET_FILE": str(file),
        "HUB_DATABASE": url,
        "HUB_SOURCE_ONETAP_SIGNATURE": "standard-webhooks",
    }
    hub = Hub(load(environment=environment).settings)
    file.write_text("no Base64: é\n")
    hub.secrets.look()
    hub.close()
    assert "a Standard Webhooks secret is Base64" in caplog.text
    assert {one.secrets for one in hub.endpoints} == {("whsec_YSBzZWNyZXQ=",)}
