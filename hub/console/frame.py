"""The frame of the pages: templates, what is shown of moments, the headers that every page has."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from hub.console import plots
from hub.domain.timestamps import parse_utc, utc_now
from hub.intake.answers import Answer

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent
STATIC = _HERE / "static"

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
"""Of every answer of the console: nothing from elsewhere, nothing inline, nothing kept."""


class Frame:
    """Renders templates. ``zone`` is the hub's. Jinja is imported with the first page: a hub without a
    visitor needs none.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._made: Environment | None = None

    def html(self, template: str, values: Mapping[str, Any]) -> str:
        """A template with its values, which are escaped."""
        html = self.environment.get_template(template).render(values)
        # What was posted may have half a character in it.
        return html.encode("utf-8", "replace").decode()

    @property
    def environment(self) -> "Environment":
        """Jinja's."""
        if self._made is None:
            self._made = self._environment()
        return self._made

    def _environment(self) -> "Environment":
        import jinja2

        made = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        made.filters |= {
            "clock": self.clock,
            "when": self.when,
            "day": self.day,
            "field": self.field,
            "ago": ago,
            "kind": kind_of,
            "plain": plain,
            "minutes_after": minutes_after,
            "json": as_json,
            "pretty": pretty,
            "query": query,
        }
        made.globals |= {
            "zone": str(self._zone),
            "asset": asset,
            "bars": plots.bars,
            "stacked": plots.stacked,
        }
        return made

    def _local(self, moment: str | datetime) -> datetime:
        if isinstance(moment, str):
            moment = parse_utc(moment)
        try:
            return moment.replace(tzinfo=UTC).astimezone(self._zone)
        except OverflowError:
            return moment.replace(tzinfo=UTC)

    def clock(self, moment: str | datetime) -> str:
        """The time of day, in the hub's zone."""
        return self._local(moment).strftime("%H:%M")

    def when(self, moment: str | datetime) -> str:
        """Date and time, in the hub's zone."""
        return self._local(moment).strftime("%Y-%m-%d %H:%M")

    def day(self, date: str) -> str:
        """A date with its day of the week."""
        found = datetime.fromisoformat(date[:10])
        return f"{found:%A}, {found.day} {found:%B} {found.year:04}"

    def field(self, moment: str | None) -> str:
        """As a field of a form has it: without an offset, in the hub's zone."""
        if not moment or not moment.endswith("Z"):
            return (moment or "")[:16]  # as it was typed
        return self._local(moment).strftime("%Y-%m-%dT%H:%M")


def ago(moment: str) -> str:
    """How long ago a moment was, roughly."""
    seconds = (utc_now() - parse_utc(moment)).total_seconds()
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def kind_of(kind: str) -> str:
    """A kind of identifier, as people call it."""
    return {"a_number": "A-number", "email": "e-mail"}.get(kind, kind.replace("_", " "))


_MEMBERS = {
    "checked_in_at": "the check-in",
    "checked_out_at": "the check-out",
    "starts_at": "the start",
    "ends_at": "the end",
    "event_type": "the type",
    "first_name": "the first name",
    "last_name": "the last name",
    "preferred_name": "what they are called",
    "a_number": "A-number",
}
_A_MEMBER = re.compile(rf"\b({'|'.join(_MEMBERS)})\b")


def plain(sentence: str) -> str:
    """A sentence of the API, without the names that its members have for programs."""
    said = _A_MEMBER.sub(lambda found: _MEMBERS[found[0]], sentence)
    return said if said == sentence else said[:1].upper() + said[1:]


def minutes_after(moment: str, other: str) -> int:
    """How many whole minutes a moment is after another one; before it, below 0."""
    return int((parse_utc(moment) - parse_utc(other)).total_seconds() / 60)


def pretty(value: Any) -> str:
    """A value, or a text with JSON in it, as JSON that is read easily; any other text as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return str(value)


def as_json(value: Any) -> str:
    """A value as JSON, to be escaped like any other text."""
    return json.dumps(value, ensure_ascii=False)


def query(given: Mapping[str, Any], **changed: Any) -> str:
    """A query with some parameters changed; those that are None or '' are left out."""
    every = {**given, **changed}
    return urlencode({name: one for name, one in every.items() if one not in (None, "")})


@cache
def asset(name: str) -> str:
    """The address of a file of ``static``, which changes with what is in it."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/console/static/{name}?v={digest}"


_LONGEST_NAME = 100
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
    "": "text/plain; charset=utf-8",
}


def static(name: str) -> Answer | None:
    """A file of ``static``; None where there is none of this name."""
    file = STATIC / name
    if len(name) > _LONGEST_NAME or ".." in file.parts or not file.is_relative_to(STATIC):
        return None
    if not file.is_file():
        return None
    headers = {
        **HEADERS,
        "Content-Type": _TYPES.get(file.suffix, "application/octet-stream"),
        "Cache-Control": "public, max-age=31536000, immutable",
    }
    return Answer(200, file.read_text("utf-8"), headers)


def page(status: int, html: str, **headers: str) -> Answer:
    """A page as an answer."""
    own = {"Content-Type": "text/html; charset=utf-8", **HEADERS, **headers}
    return Answer(status, html, own)


def redirect(to: str, **headers: str) -> Answer:
    """To another page (RFC 9110, 15.4.4: by GET)."""
    return page(303, "", Location=to, **headers)
