"""What listings have in common: parameters, ETags, links, and those whose rows are worked out at once."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote, urlencode

from hub.api.access import Answered, Asked
from hub.api.files import accepted, file
from hub.api.objects import Object
from hub.errors import Refused
from hub.export.table import Column, Table
from hub.intake import answers
from hub.intake.answers import Answer
from hub.record.search import read_limit, require_text

DEFAULT_LIMIT = "50"
PAGED = ("limit", "cursor", "count")
OF_FILES = ("for",)


def next_link(asked: Asked, public_url: str, cursor: str) -> str:
    """The ``Link`` header (RFC 8288) of the page that follows."""
    environ = asked.environ
    path = quote(environ.get("PATH_INFO", "").encode("latin-1"))
    query = urlencode({**asked.query, "cursor": cursor})
    host = asked.header("Host")
    base = public_url or (f"{environ.get('wsgi.url_scheme', 'http')}://{host}" if host else "")
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


class _Any(tuple[str, ...]):
    def __contains__(self, tag: object) -> bool:
        return True


def tags(asked: Asked) -> Sequence[str]:
    """The ETags that the sender has (``If-None-Match``; RFC 9110, 13.1.2); ``*`` is any."""
    given = asked.header("If-None-Match").strip()
    if given == "*":
        return _Any()
    return [one.strip().removeprefix("W/") for one in given.split(",") if one.strip()]


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
    form = form or accepted(asked.header("Accept"))
    if form is not None:
        for parameter in PAGED:
            if parameter in asked.query:
                raise Refused(f"Parameter {parameter} is for pages", "A file has all rows")
        tag = tag_of(form, repr(rows))
        if tag in tags(asked):
            return Answer(304, "", {"ETag": tag, "Vary": "Accept"})
        pages = [rows[start : start + 500] for start in range(0, len(rows), 500)]
        made = file(Table(name, columns, pages), form, for_excel(asked.query, form))
        return made._replace(headers={**made.headers, "ETag": tag, "Vary": "Accept"})
    if "for" in asked.query:
        raise Refused("Parameter for is for files", "Ask for .csv")
    limit = read_limit(asked.query.get("limit", DEFAULT_LIMIT))
    begin = _after(rows, key, asked.query.get("cursor"))
    page = rows[begin : begin + limit]
    body: Object = {**more, plural: page, "next": None}
    if read_flag(asked.query, "count"):
        body["count"] = len(rows)
    headers = {"Vary": "Accept"}
    if begin + limit < len(rows):
        body["next"] = key(page[-1])
        headers["Link"] = next_link(asked, public_url, body["next"])
    answer = answers.answer(200, body)
    headers["ETag"] = tag = tag_of("json", answer.body)
    if tag in tags(asked):
        return Answer(304, "", {"ETag": tag, "Vary": "Accept"})
    return answer._replace(headers=headers)


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
