"""What the tests share: a client for a hub in this process, and rows as they are stored."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from wsgiref.validate import validator

from pony.orm import db_session

from hub.http.app import Application
from hub.hub import Hub
from hub.jobs.rebuild import Rebuild

FIXTURES = Path(__file__).parent / "fixtures"
GUIDE = (Path(__file__).parent / "spec" / "guide.md").read_text("utf-8")


def fixture(name):
    """The JSON fixture ``<source>/<event>__<variant>``."""
    return json.loads((FIXTURES / f"{name}.json").read_text("utf-8"))


def application(hub):
    """A hub as a WSGI application."""
    return Application(hub.routes, hub.store, hub.settings)


def plugin_module(name):
    """The module that was loaded last from a plugins folder under this name."""
    own = (key for key in reversed(sys.modules) if key.startswith("attendance_hub_plugins_"))
    return sys.modules[next(key for key in own if key.endswith(f".{name}"))]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json.get("error")


class Client:
    """Requests to a hub, or a WSGI application; every one goes through a WSGI validator."""

    def __init__(self, app):
        self._app = validator(application(app) if isinstance(app, Hub) else app)

    def get(self, path, headers=()):
        return self.request("GET", path, headers=headers)

    def post(self, path, payload=None, *, body=None, headers=(), content_type="application/json"):
        if body is None:
            body = json.dumps(payload).encode()
        return self.request("POST", path, body, headers, content_type)

    def request(
        self, method, path, body=None, headers=(), content_type=None, query="", address=None
    ):
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body or b""),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if body is not None:
            environ["CONTENT_LENGTH"] = str(len(body))
        if address is not None:
            environ["REMOTE_ADDR"] = address
        if content_type is not None:
            environ["CONTENT_TYPE"] = content_type
        for name, value in dict(headers).items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        started = []

        def start_response(status, headers, exc_info=None):
            started[:] = [int(status[:3]), {name.lower(): value for name, value in headers}]
            return lambda data: None

        chunks = self._app(environ, start_response)
        try:
            answer = b"".join(chunks)
        finally:
            chunks.close()
        return Reply(*started, answer)


UNIFIED = "/api/webhook/unified/"
LEGACY = "/api/webhook/attendance/"
SECURE = "/api/webhook/attendance/secure/"
ONETAP = "/api/webhook/onetap/"
STATUS = "/api/webhook/status/"


class Calls:
    """The unified endpoint's payloads in short."""

    def __init__(self, client):
        self.client = client

    def unified(self, type_, action="create", /, *, about=None, **data):
        """``about`` is the payload's metadata."""
        payload = {"type": type_, "action": action, "data": data}
        return self.client.post(UNIFIED, {**payload, "metadata": about} if about else payload)

    def student(self, identifier="a1", **data):
        data = {
            "student_identifier": identifier,
            "email": f"{identifier}@example.edu",
            "first_name": "Ada",
            "last_name": "Example",
            **data,
        }
        return self.unified("student", **data)

    def event(self, name="Weekly Meeting", date="2024-01-15T10:00:00Z", **data):
        return self.unified("event", event_name=name, event_date=date, **data)

    def attend(self, student="a1", event="Weekly Meeting", **data):
        return self.unified(
            "attendance", student_identifier=student, event_identifier=event, **data
        )


class Rows:
    """The rows of a hub's store, through Pony's entities."""

    def __init__(self, hub):
        self._database = hub.store.database

    def __call__(self, entity):
        with db_session:
            rows = [row.to_dict() for row in self._database.entities[entity].select()[:]]
        return sorted(rows, key=lambda row: row.get("id", row.get("name")))

    def count(self, entity):
        return len(self(entity))


@dataclass(frozen=True)
class Rebuilt:
    """What a rebuild told of a store."""

    differences: tuple
    derived: int
    underivable: int
    failed: int
    meanwhile: int
    applied_by: str | None = None


def rebuilt(hub, apply=False, progress=lambda looked_at: None, **options):
    job = Rebuild(hub.store, hub.plugins.hooks, hub.endpoints, hub.settings.time_zone, **options)
    with job.derived(progress) as found:
        differences = tuple(found.differences())
        assert len(differences) == found.missing + found.surplus + found.changed
        counts = found.derived, found.underivable, found.failed, found.meanwhile
        return Rebuilt(differences, *counts, found.apply() if apply else None)
