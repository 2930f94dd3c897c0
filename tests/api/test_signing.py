"""The command that the console shows for each source posts to it, signed as the source wants it."""

import shutil
import subprocess

import pytest
import requests
from serving import Server

from hub.console.views.sources import command

TOKEN = "0123456789abcdef0123"
PLUGIN = """
from hub import (
    HUB_TOKEN, OPEN, SHARED_SECRET, STANDARD_WEBHOOKS, WEBHOOK_SIGNATURE, GITHUB_SIGNATURE, CheckIn,
    HmacSha256, Ignore, Source, hookimpl,
)

def normalize(payload):
    yield Ignore(reason="it is a trial")

@hookimpl
def register_sources():
    schemes = {
        "open": OPEN, "webhook": WEBHOOK_SIGNATURE, "github": GITHUB_SIGNATURE,
        "shared": SHARED_SECRET, "standard": STANDARD_WEBHOOKS, "token": HUB_TOKEN,
        "timed": HmacSha256("timed", "X-Sig", "X-Time", signed="timestamp.body", prefix=""),
        "named": HmacSha256("named", "X-Sig", "X-Time", "X-Id", signed="id.timestamp.body",
                            encoding="base64", prefix="v1="),
    }
    for name, scheme in schemes.items():
        yield Source(name=name, path=name, authenticate=scheme, schema={}, normalize=normalize,
                     example={"it": "isn't \\"much\\" $HOME"})
"""
NAMES = ("open", "webhook", "github", "shared", "standard", "token", "timed", "named")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl and openssl are not here")
    folder = tmp_path_factory.mktemp("signing")
    (folder / "plugins").mkdir()
    (folder / "plugins" / "many.py").write_text(PLUGIN)
    server = Server(
        f"sqlite:///{folder / 'hub.db'}",
        "--plugins",
        str(folder / "plugins"),
        cwd=folder,
        environment={
            "HUB_ADMIN_TOKEN": TOKEN,
            "WEBHOOK_SECRET": "it is secret",
            "HUB_SOURCE_STANDARD_SECRETS": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        },
    )
    yield server
    server.stop()


@pytest.mark.parametrize("name", NAMES)
def test_it_works(server, name):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found = requests.get(f"{server.url}/api/sources/", headers=headers, timeout=10).json()[
        "sources"
    ]
    (source,) = [one for one in found if one["name"] == name]
    lines = command(server.url, source)
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if name == "standard" else "it is secret"
    lines = lines.replace("whsec_…", "…").replace("SECRET='…'", f"SECRET='{secret}'")
    lines = lines.replace("TOKEN='…'", f"TOKEN='{TOKEN}'")
    done = subprocess.run(
        ["sh", "-c", lines], capture_output=True, text=True, timeout=60, check=True
    )
    assert '"success": true' in done.stdout, (lines, done.stdout, done.stderr)


def test_a_wrong_secret_is_refused(server):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found = requests.get(f"{server.url}/api/sources/", headers=headers, timeout=10).json()[
        "sources"
    ]
    for source in found:
        if source["name"] in NAMES[1:]:
            lines = command(server.url, source).replace("whsec_…", "whsec_b3RoZXI=")
            lines = lines.replace("'…'", "'another'")
            done = subprocess.run(["sh", "-c", lines], capture_output=True, text=True, check=True)
            assert '"error"' in done.stdout, source["name"]


def test_every_built_in_has_an_example_that_it_takes(make_hub):
    from hub.intake.prepare import prepare

    hub = make_hub(enable=("cards",))
    for endpoint in hub.endpoints:
        payload = endpoint.source.example
        assert payload is not None, endpoint.source.name
        prepared = prepare(hub.plugins.hooks, endpoint, _delivery(endpoint.source.name, payload))
        assert prepared.refused is None, endpoint.source.name
        assert prepared.operations


def _delivery(source, payload):
    import json

    from hub.domain.delivery import Delivery, new_delivery_id
    from hub.domain.timestamps import utc_now

    body = json.dumps(payload).encode()
    return Delivery(
        new_delivery_id(), source, utc_now(), {"content-type": "application/json"}, body
    )
