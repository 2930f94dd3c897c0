"""Somebody with a browser that knows no JavaScript: cookies, links, forms."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urlsplit

from hubtest import Client

TOKEN = "0123456789abcdef"
HOST = "localhost:8000"


@dataclass
class Shown:
    """A page: its forms by the address that they are sent to, its links, its text."""

    status: int
    headers: dict
    html: str
    path: str
    forms: list = field(default_factory=list)
    links: list = field(default_factory=list)
    text: str = ""

    def form(self, action, **fields):
        """The form that is sent to an address, and has these fields."""
        for one in self.forms:
            if one["action"] == action and fields.items() <= one["fields"].items():
                return one["fields"]
        raise AssertionError((action, fields, [one["action"] for one in self.forms]))

    @property
    def notice(self):
        text = self.html.partition('<div class="notice')[2].partition("</div>")[0]
        return " ".join(_text(f"<div{text}").split())


class _Reader(HTMLParser):
    def __init__(self, shown):
        super().__init__()
        self.shown = shown
        self.form = None
        self.select = None
        self.words = []

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "a" and "href" in given:
            self.shown.links.append(given["href"])
        if tag == "form":
            action = given.get("action") or urlsplit(self.shown.path).path
            self.form = {"action": action, "fields": {}, "method": given.get("method", "get")}
            self.shown.forms.append(self.form)
        if self.form is None:
            return
        if tag in ("input", "textarea") and "name" in given:
            is_box = given.get("type") in ("checkbox", "file")
            if not is_box or "checked" in given:
                self.form["fields"][given["name"]] = given.get("value") or ""
        if tag == "select":
            self.select = given.get("name")
        is_first = tag == "option" and self.select and self.select not in self.form["fields"]
        if is_first or (tag == "option" and self.select and "selected" in given):
            self.form["fields"][self.select] = given.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "form":
            self.form = None
        if tag == "select":
            self.select = None

    def handle_data(self, data):
        self.words.append(data)


def _text(html):
    reader = _Reader(Shown(0, {}, "", ""))
    reader.feed(html)
    return "".join(reader.words)


class Visitor:
    """A browser at a hub. ``headers`` go with every request."""

    def __init__(self, hub, token=TOKEN, **headers):
        self.client = hub if isinstance(hub, Client) else Client(hub)
        self.cookies = {}
        self.headers = {"Host": HOST, "Accept": "text/html", **headers}
        if token is not None:
            assert self.post("/console/login", {"token": token}).path == "/console/"

    def get(self, path):
        address = urlsplit(path)
        return self._read(path, self._ask("GET", address.path, query=address.query))

    def post(self, path, fields, **headers):
        body = urlencode(fields, doseq=True).encode()
        form = "application/x-www-form-urlencoded"
        return self._read(path, self._ask("POST", path, body, form, more=headers))

    def upload(self, path, fields, name, body, content_type="text/csv"):
        parts = [
            f'--x\r\nContent-Disposition: form-data; name="{one}"\r\n\r\n{value}\r\n'.encode()
            for one, value in fields.items()
        ]
        head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts += [f"{head}Content-Type: {content_type}\r\n\r\n".encode(), body, b"\r\n--x--\r\n"]
        form = "multipart/form-data; boundary=x"
        return self._read(path, self._ask("POST", path, b"".join(parts), form))

    def raw(self, method, path, body=None, form=None, query="", **headers):
        return self._ask(method, path, body, form, query, headers)

    def _ask(self, method, path, body=None, form=None, query="", more=None):
        headers = {**self.headers, **(more or {})}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={one}" for name, one in self.cookies.items())
        reply = self.client.request(method, path, body, headers, form, query)
        if made := reply.headers.get("set-cookie"):
            name, _, value = made.split(";")[0].partition("=")
            if "Max-Age=0" in made:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    def _read(self, path, reply):
        if reply.status == 303:
            return self.get(reply.headers["location"])
        shown = Shown(reply.status, reply.headers, reply.body.decode(errors="replace"), path)
        if "html" in reply.headers.get("content-type", ""):
            reader = _Reader(shown)
            reader.feed(shown.html)
            shown.text = " ".join("".join(reader.words).split())
        return shown
