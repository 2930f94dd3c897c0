"""The checks of ``attendance-hub check``: a hub seen from outside, over HTTP, as its clients see it."""

import hashlib
import hmac
import json
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from hub.cli.address import parse

_TIMEOUT = 10
_EVENT_DATE = "2024-01-15T10:00:00Z"


@dataclass(frozen=True, slots=True)
class Checked:
    """One check and what it found. ``problem`` is None for a check that passed."""

    name: str
    problem: str | None

    @property
    def passed(self) -> bool:
        """Whether the hub answered as it should."""
        return self.problem is None

    def __str__(self) -> str:
        return f"ok    {self.name}" if self.passed else f"FAIL  {self.name}: {self.problem}"


class _Unexpected(Exception):
    """The hub did not answer as it should."""


class _Client:
    """Posts to the hub's endpoints, with names of its own that nothing else has."""

    def __init__(self, url: str, secret: str | None) -> None:
        parts = parse(url, "url")
        self._base = (
            f"{parts.scheme}://{parts.netloc}{parts.path.split('/api/webhook')[0].rstrip('/')}"
        )
        self.secret = secret
        own = secrets.token_hex(8)
        self.student = f"check-{own}"
        self.event = f"Check {own}"
        self.second_event = f"Second check {own}"

    def get(self, path: str) -> tuple[int, Any]:
        return self._send(urllib.request.Request(self._base + path))

    def post(self, path: str, payload: Any, signature: str | None = None) -> tuple[int, Any]:
        body = json.dumps(payload).encode()
        headers = {"Content-Type": "application/json"}
        if signature is not None:
            headers["X-Webhook-Signature"] = signature.format(self._sign(body))
        return self._send(urllib.request.Request(self._base + path, body, headers))

    def unified(self, type_: str, data: Mapping[str, Any]) -> tuple[int, Any]:
        payload = {
            "type": type_,
            "action": "create",
            "data": data,
            "source": "attendance_hub_check",
        }
        return self.post("/api/webhook/unified/", payload)

    def _sign(self, body: bytes) -> str:
        return hmac.new((self.secret or "").encode(), body, hashlib.sha256).hexdigest()

    def _send(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                status, body = response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                status, body = error.code, error.read()
        except (OSError, ValueError, HTTPException) as error:
            raise _Unexpected(f"no answer: {getattr(error, 'reason', error)}") from None
        try:
            return status, json.loads(body)
        except ValueError:
            raise _Unexpected(f"status {status} with a body that is not JSON") from None


def run(url: str, secret: str | None = None) -> list[Checked]:
    """Check the hub at ``url`` (its address, or any of its endpoints).

    With ``secret`` (the first line of it), the secure endpoint is checked too. Later checks use what
    earlier ones made. Raises SettingError for what is not a URL.
    """
    secret = next(iter((secret or "").splitlines()), None)
    client = _Client(url, secret)
    checks = _UNIFIED + _LEGACY + (_SECURE if secret else ())
    return [_checked(name, check, client) for name, check in checks]


def _checked(name: str, check: Callable[[_Client], None], client: _Client) -> Checked:
    try:
        check(client)
    except _Unexpected as unexpected:
        return Checked(name, str(unexpected))
    return Checked(name, None)


def _expect(answer: tuple[int, Any], status: int, error: str | None = None) -> Any:
    got, body = answer
    if got != status:
        said = body.get("error", body) if isinstance(body, dict) else body
        raise _Unexpected(f"expected {status}, got {got}: {said}")
    if error is not None and body.get("error") != error:
        raise _Unexpected(f"expected the error {error!r}, got {body.get('error')!r}")
    return body


def _status(client: _Client) -> None:
    _expect(client.get("/api/webhook/status/"), 200)


def _student(client: _Client) -> None:
    data = {
        "student_identifier": client.student,
        "email": f"{client.student}@example.com",
        "first_name": "Check",
        "last_name": "Example",
    }
    _expect(client.unified("student", data), 201)


def _event(client: _Client) -> None:
    for name in (client.event, client.second_event):
        data = {"event_name": name, "event_date": _EVENT_DATE, "event_type": "Check"}
        _expect(client.unified("event", data), 201)


def _attendance(client: _Client) -> None:
    data = {"student_identifier": client.student, "event_identifier": client.event}
    body = _expect(client.unified("attendance", data), 201)
    for member in ("attendance_id", "student", "event", "checked_in_at", "source"):
        if member not in body:
            raise _Unexpected(f"the answer has no {member}")


def _invalid(client: _Client) -> None:
    unknown = "Unknown type: nonsense. Valid types are: student, event, attendance"
    _expect(client.unified("nonsense", {}), 400, unknown)
    required = "student_identifier, email, first_name, and last_name are required"
    _expect(client.unified("student", {"email": "nobody@example.com"}), 400, required)
    required = "student_identifier and event_identifier are required"
    _expect(client.unified("attendance", {}), 400, required)


def _flat(client: _Client, event: str, path: str, signature: str | None = None) -> tuple[int, Any]:
    payload = {"student_identifier": client.student, "event_identifier": event}
    return client.post(path, payload, signature)


_LEGACY_PATH = "/api/webhook/attendance/"
_SECURE_PATH = "/api/webhook/attendance/secure/"


def _legacy_attendance(client: _Client) -> None:
    _expect(_flat(client, client.second_event, _LEGACY_PATH), 201)


def _legacy_duplicate(client: _Client) -> None:
    sentence = "Student already checked in to this event"
    _expect(_flat(client, client.second_event, _LEGACY_PATH), 400, sentence)


def _legacy_unknown(client: _Client) -> None:
    unknown = f"{client.student}-unknown"
    payload = {"student_identifier": unknown, "event_identifier": client.event}
    answer = client.post(_LEGACY_PATH, payload)
    _expect(answer, 404, f"Student with identifier {unknown} not found")
    event = f"{client.event} unknown"
    sentence = f"Event with identifier {event} not found"
    _expect(_flat(client, event, _LEGACY_PATH), 404, sentence)


def _legacy_invalid(client: _Client) -> None:
    sentence = "student_identifier and event_identifier are required"
    _expect(client.post(_LEGACY_PATH, {"student_identifier": client.student}), 400, sentence)


def _secure_signed(client: _Client) -> None:
    # Already recorded by an earlier check: the signature is accepted, the check-in refused.
    sentence = "Student already checked in to this event"
    _expect(_flat(client, client.event, _SECURE_PATH, "sha256={}"), 400, sentence)


def _secure_unsigned(client: _Client) -> None:
    _expect(_flat(client, client.event, _SECURE_PATH), 401, "Missing X-Webhook-Signature header")
    answer = _flat(client, client.event, _SECURE_PATH, "sha256=" + "0" * 64)
    _expect(answer, 401, "Invalid signature")


_Checks = tuple[tuple[str, Callable[[_Client], None]], ...]

_UNIFIED: _Checks = (
    ("unified: the status page says healthy", _status),
    ("unified: a student is created", _student),
    ("unified: events are created", _event),
    ("unified: an attendance is recorded", _attendance),
    ("unified: invalid payloads are refused", _invalid),
)
_LEGACY: _Checks = (
    ("legacy: an attendance is recorded", _legacy_attendance),
    ("legacy: a second check-in is refused", _legacy_duplicate),
    ("legacy: an unknown student and event are refused", _legacy_unknown),
    ("legacy: an invalid payload is refused", _legacy_invalid),
)
_SECURE: _Checks = (
    ("secure: a signed delivery is accepted", _secure_signed),
    ("secure: an unsigned or wrongly signed one is refused", _secure_unsigned),
)
