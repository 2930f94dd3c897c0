"""nginx's configuration, run by nginx before a hub."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import warnings
from pathlib import Path

import pytest
import requests
from hubtest import STATUS, UNIFIED
from serving import eventually, free_port

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nginx" / "attendance-hub.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(
    NGINX is None and "HUB_REQUIRE_DB" not in os.environ, reason="nginx is not here"
)
SECURE = "/api/webhook/attendance/secure/"


class Nginx:
    """nginx with the file as it is, but for its ports, its certificate and the hub's address."""

    def __init__(self, folder, hub):
        self.plain, self.port = free_port(), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=hub.example.edu", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )  # fmt: skip
        text = CONFIGURATION.read_text("utf-8")
        for before, after in (
            (r"listen \[::\]:\d+.*;", ""),
            (r"listen 80;", f"listen 127.0.0.1:{self.plain};"),
            (r"listen 443 ", f"listen 127.0.0.1:{self.port} "),
            (r"/etc/letsencrypt/\S+/fullchain\.pem", str(certificate)),
            (r"/etc/letsencrypt/\S+/privkey\.pem", str(key)),
            (r"http://127\.0\.0\.1:8000", hub),
        ):
            text, replaced = re.subn(before, after, text)
            assert replaced, before
        (folder / "site.conf").write_text(text)
        places = "".join(
            f"{name}_temp_path {folder / name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off;\nmaster_process off;\npid {folder / 'pid'};\nerror_log {folder / 'log'};\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{places}include {folder / 'site.conf'};\n}}\n"
        )
        command = [NGINX, "-p", folder, "-c", folder / "nginx.conf"]
        checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert "warn" not in checked.stderr.replace("could not open error log", "")
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        eventually(self._answers)

    def _answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def close(self):
        self._process.terminate()
        self._process.wait(20)


@pytest.fixture
def before(tmp_path):
    made = []

    def before(hub):
        folder = tmp_path / "nginx"
        folder.mkdir()
        made.append(Nginx(folder, hub.url))
        return made[-1]

    yield before
    for one in made:
        one.close()


@pytest.fixture
def session(tmp_path):
    with requests.Session() as session:
        session.trust_env = False  # the machine may name certificates of its own
        session.verify = tmp_path / "nginx" / "certificate.pem"
        session.headers["Host"] = "hub.example.edu"
        yield session


def test_tls_limits_and_addresses(serve_http, before, session):
    environment = {"HUB_TRUSTED_PROXIES": "127.0.0.1", "WEBHOOK_SECRET": "hush"}
    server = serve_http(environment=environment)
    nginx = before(server)

    moved = session.get(f"http://127.0.0.1:{nginx.plain}/x?y=1", allow_redirects=False, timeout=10)
    assert (moved.status_code, moved.headers["Location"]) == (301, "https://hub.example.edu/x?y=1")

    seen = session.get(nginx.url + STATUS, timeout=10)
    assert seen.status_code == 200
    assert "Strict-Transport-Security" in seen.headers

    # Who sends is who has connected to nginx, whatever they write.
    lies = {"X-Forwarded-For": "8.8.8.8", "Forwarded": "for=9.9.9.9", "X-Real-IP": "7.7.7.7"}
    assert session.post(nginx.url + SECURE, json={}, headers=lies, timeout=10).status_code == 401
    assert session.get(f"{nginx.url}/metrics", timeout=10).status_code == 404

    assert session.post(nginx.url + UNIFIED, data=b"x" * 1_100_000, timeout=10).status_code == 413
    # A file that is imported may be larger: it is the hub that refuses it, for want of a token.
    large = session.post(f"{nginx.url}/api/imports/students/", data=b"x" * 1_100_000, timeout=10)
    assert (large.status_code, large.json()["error"]) == (401, "Missing token")

    statuses = [session.post(nginx.url + UNIFIED, json={}, timeout=10).status_code]
    while statuses[-1] != 429 and len(statuses) < 5000:
        statuses.append(session.post(nginx.url + UNIFIED, json={}, timeout=10).status_code)
    assert set(statuses) == {400, 429}

    server.stop()
    (line,) = [line for line in server.lines if "not kept: 401" in line]
    assert line.endswith("(from 127.0.0.1)")
    assert not any(one in "\n".join(server.lines) for one in ("8.8.8.8", "9.9.9.9", "7.7.7.7"))


def test_old_tls_is_refused(serve_http, before):
    nginx = before(serve_http())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this Python warns of it too
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as raw,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(raw)


def test_without_a_hub_it_is_a_502(serve_http, before, session):
    server = serve_http()
    nginx = before(server)
    server.stop()
    assert session.get(nginx.url + STATUS, timeout=10).status_code == 502
