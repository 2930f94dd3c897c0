"""What listings have in common: parameters, ETags, links, and those whose rows are worked out at once."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from types import MappingProxyType
from urllib.parse import quote, urlencode

from hub.api.access import Answered, Asked
from hub.api.files import accepted, file
from hub.errors import Refused
from hub.export.table import Column, Table
from hub.intake import answers
from hub.intake.answers import Answer
from hub.record import named
from hub.record.objects import Object
from hub.record.roster import Events
from hub.record.search import read_limit, require_text

DEFAULT_LIMIT = "50"
PAGED = ("limit", "cursor", "count")
OF_FILES = ("for",)
VARIES = MappingProxyType({"Vary": "Accept"})
"""What a listing is depends on that."""


def next_link(asked: Asked, public_url: str, cursor: str) -> str:
    """The ``Link`` header (RFC 8288) of the page that follows."""
    environ = asked.environ
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"))
    query = urlencode({**asked.query, "cursor": cursor})
    host = asked.header("Host")
    base = public_url.rstrip("/") or (
        f"{environ.get('wsgi.url_scheme', 'http')}://{host}" if host else ""
    )
    if re.search(r"[^!-~]|[<>\"]", base):
        base = ""
    return f'<{base}{path}?{query}>; rel="next"'


def for_excel(query: Mapping[str, str], form: str) -> bool:
    """Whether a CSV file is for Excel. Raises Refused."""
    wanted = query.get("for")
    if wanted is None:
        return False
    if wanted != "excel":
        raise Refused("Invalid for: use excel")
    if form != "csv":
        raise Refused("Parameter for is for CSV", "Leave it out")
    return True


def read_cursor(text: str | None) -> int:
    """The row that a page begins after. Raises Refused."""
    if text is None:
        return 0
    if not re.fullmatch(r"[1-9][0-9]{0,17}", text, re.ASCII):
        raise Refused("Invalid cursor: use the next member of the page before")
    return int(text)


def read_id(text: str) -> int | None:
    """The id in a path; None where it is none."""
    return int(text) if re.fullmatch(r"[1-9][0-9]{0,17}", text, re.ASCII) else None


def read_text(query: Mapping[str, str], name: str) -> str | None:
    """A filter's text; None where it is not given. Raises Refused."""
    if name not in query:
        return None
    require_text(query[name], name)
    if not query[name].strip():
        raise Refused(f"Invalid {name}: it is empty", "Leave it out to have all")
    return query[name]


def read_flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false. Raises Refused."""
    text = query.get(name, "false").lower()
    if text not in ("true", "false"):
        raise Refused(f"Invalid {name}: use true or false")
    return text == "true"


def read_events(query: Mapping[str, str], zone: tzinfo) -> Events:
    """The events that ``name``, ``type``, ``from`` and ``to`` mean. Raises Refused."""
    since, until = read_period(query, zone)
    return Events(
        name=read_text(query, "name"),
        event_type=read_text(query, "type"),
        since=since,
        until=until,
    )


def read_period(query: Mapping[str, str], zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when on, and before when. Raises Refused."""
    return (
        named.since(query["from"], zone) if "from" in query else None,
        named.until(query["to"], zone) if "to" in query else None,
    )


def wanted_form(asked: Asked, form: str | None) -> str | None:
    """As which file a listing is wanted; None: as a page. Raises Refused for a parameter of the other."""
    form = form or accepted(asked.header("Accept"))
    if form is None and "for" in asked.query:
        raise Refused("Parameter for is for files", "Ask for .csv")
    for name in PAGED if form is not None else ():
        if name in asked.query:
            raise Refused(f"Parameter {name} is for pages", "A file has all rows")
    return form


def is_known(asked: Asked, tag: str) -> bool:
    """Whether the sender has what has this ETag (``If-None-Match``; RFC 9110, 13.1.2); ``*`` is any."""
    given = asked.header("If-None-Match").strip()
    return given == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))


def unchanged(tag: str, headers: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """The answer to a sender who has it."""
    return Answer(304, "", {**headers, "ETag": tag})


def tagged(asked: Asked, answer: Answer, headers: Mapping[str, str]) -> Answer:
    """An answer with headers, and with the ETag of its body; without that, if the sender has it."""
    tag = tag_of("json", answer.body)
    if is_known(asked, tag):
        return unchanged(tag, headers)
    return answer._replace(headers={**headers, "ETag": tag})


def file_of(asked: Asked, form: str, table: Table, tag: str) -> Answered:
    """A table as a file with an ETag. Raises Refused, and what reading its first page raises."""
    if is_known(asked, tag):
        return unchanged(tag, VARIES)
    made = file(table, form, for_excel(asked.query, form))
    return made._replace(headers={**made.headers, **VARIES, "ETag": tag})


def worked_out(
    asked: Asked,
    form: str | None,
    public_url: str,
    plural: str,
    rows: Sequence[Object],
    columns: Sequence[Column],
    name: str,
    key: Callable[[Object], str],
    **more: object,
) -> Answered:
    """A page of rows that are all there, or all of them as a file. Its ETag is that of the body.
    ``key`` is what the next page begins after; ``more`` are further members of the answer.
    """
    form = wanted_form(asked, form)
    if form is not None:
        pages = [rows[start : start + 500] for start in range(0, len(rows), 500)]
        return file_of(asked, form, Table(name, columns, pages), tag_of(form, repr(rows)))
    limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
    begin = _after(rows, key, asked.query.get("cursor"))
    page = rows[begin : begin + limit]
    body: Object = {**more, plural: page, "next": None}
    if read_flag(asked.query, "count"):
        body["count"] = len(rows)
    headers = dict(VARIES)
    if begin + limit < len(rows):
        body["next"] = key(page[-1])
        headers["Link"] = next_link(asked, public_url, body["next"])
    return tagged(asked, answers.answer(200, body), headers)


def _after(rows: Sequence[Object], key: Callable[[Object], str], cursor: str | None) -> int:
    """Where the page begins. Raises Refused."""
    if cursor is None:
        return 0
    for number, row in enumerate(rows):
        if key(row) == cursor:
            return number + 1
    raise Refused("Invalid cursor: use the next member of the page before")


def tag_of(form: str, text: str) -> str:
    """The ETag of a text in a form."""
    return f'"{hashlib.sha256(f"{form} {text}".encode()).hexdigest()[:20]}"'
