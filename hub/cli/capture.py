"""``attendance-hub capture``: open a secret URL on a running hub, and show what came in."""

from collections.abc import Iterator
from datetime import timedelta

from hub.api.capture import PATH
from hub.cli.store import existing_store
from hub.cli.terminal import lines_of, local, show
from hub.config.settings import Settings
from hub.domain.captures import KEPT_FOR, CapturedRequest, new_token
from hub.domain.timestamps import utc_now
from hub.domain.tokens import digest
from hub.errors import SettingError
from hub.record import captures as kept_captures
from hub.store import captures


def open_(settings: Settings, minutes: int, url: str | None) -> Iterator[str]:
    """Open a capture; the lines that tell where."""
    token, now = new_token(), utc_now()
    expires_at = now + timedelta(minutes=minutes)
    with existing_store(settings.database) as store, store.writing() as tx:
        identifier = captures.open_(tx, digest(token), now, expires_at)
    base = (url or settings.public_url or _address(settings)).rstrip("/")
    yield f"capture {identifier}, open until {local(expires_at, settings.time_zone)}:"
    yield f"  {base}{PATH}/{token}/"
    yield "Let the system send there, by any method, also below it; known handshakes are answered."
    yield "The hub records nothing of it, and keeps the requests, with the"
    kept_until = local(expires_at + KEPT_FOR, settings.time_zone)
    yield f"personal data in them, until {kept_until}. Then:"
    yield f"  attendance-hub new-source NAME --from-capture {identifier}"


def list_(settings: Settings) -> Iterator[str]:
    """A line for each capture."""
    with existing_store(settings.database) as store, store.reading() as db:
        found = kept_captures.every(db)
    for capture in found:
        state = "open until" if capture.expires_at > utc_now() else "ended"
        expires_at = local(capture.expires_at, settings.time_zone)
        yield f"{capture.id}: {state} {expires_at}, {capture.requests} requests"


def requests_of(settings: Settings, identifier: int) -> list[CapturedRequest]:
    """What a capture has taken. Raises SettingError where there is none of this id."""
    with existing_store(settings.database) as store, store.reading() as db:
        if kept_captures.find(db, identifier) is None:
            raise SettingError(
                f"capture: there is no capture with the id {identifier}; "
                "list them with: attendance-hub capture --list"
            )
        return kept_captures.requests(db, identifier)


def show_(settings: Settings, identifier: int) -> Iterator[str]:
    """The lines of what a capture has taken."""
    for number, request in enumerate(requests_of(settings, identifier), start=1):
        yield f"request {number}, {local(request.received_at, settings.time_zone)}"
        query = f"?{request.query}" if request.query else ""
        yield f"{request.method} {request.path}{query}"
        yield from (f"{name}: {value}" for name, value in request.headers.items())
        yield ""
        # Indented: no line of a body looks like one of the command's own.
        yield from (
            f"  {line}" for line in lines_of(request.body.decode("utf-8", "backslashreplace"))
        )
        yield ""


def _address(settings: Settings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def run(settings: Settings, minutes: int, url: str | None, shown: int | None, listed: bool) -> None:
    """What the command does."""
    if listed:
        lines = list_(settings)
    elif shown is not None:
        lines = show_(settings, shown)
    else:
        lines = open_(settings, minutes, url)
    for line in lines:
        show(line)
