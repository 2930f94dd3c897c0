"""The forms of bodies: each to plain JSON, within the limits of strict JSON, or a refusal that says
why.
"""

import json

import pytest

from hub.errors import InvalidPayload, UnsupportedMediaType
from hub.wire.forms import (
    CLOUD_EVENTS,
    FORM,
    JSON,
    JWT,
    MULTIPART,
    QUERY,
    TEXT,
    DelimitedRows,
    FormBody,
    Json,
    Multipart,
    Query,
    Read,
)
from hub.wire.message import read_message
from hub.wire.request import FORM_TYPE, Place, Request
from hub.wire.strict_json import MAX_VALUES

AB = DelimitedRows(("a", "b"))
PARTS = "multipart/form-data; boundary=b"


def typed(body, content_type, **headers):
    return Request(body=body, headers={"content-type": content_type, **headers})


def part(name, value, more=b""):
    return b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, more, value)


END = b"--b--\r\n"


@pytest.mark.parametrize(
    ("form", "request_", "payload"),
    [
        (JSON, typed(b"[1, 2]", "application/json"), [1, 2]),
        (JSON, typed(b'"a"', ""), "a"),
        (Json(media_types=(FORM_TYPE,)), typed(b'{"a": 1}', FORM_TYPE), {"a": 1}),
        (FORM, typed(b"b=x+y%26&c=&=d&e", FORM_TYPE), {"b": "x y&", "c": "", "": "d", "e": ""}),
        (FORM, typed(b"", FORM_TYPE + "; charset=UTF-8"), {}),
        (FORM, typed("a=é".encode(), ""), {"a": "é"}),
        (FormBody(several=("a",)), typed(b"a=1&a=2&b=3", FORM_TYPE), {"a": ["1", "2"], "b": "3"}),
        (FormBody(json=("a",)), typed(b"a=%7B%22b%22%3A1%7D", FORM_TYPE), {"a": {"b": 1}}),
        (QUERY, Request(method="GET", query="a=1&b=%C3%A9"), {"a": "1", "b": "é"}),
        (Query(several=("a",)), Request(query="a=1&a=2"), {"a": ["1", "2"]}),
        (MULTIPART, typed(part(b"a", "é".encode()) + END, PARTS), {"a": "é"}),
        (Multipart(json=("a",)), typed(part(b"a", b"[1]") + END, PARTS), {"a": [1]}),
        (
            MULTIPART,
            typed(part(b"f", b"\xff\x00", b'; filename="a.png"\r\nContent-Type: image/png') + END, PARTS),
            {"f": {"filename": "a.png", "content_type": "image/png", "size": 2}},
        ),
        (TEXT, typed("é\n".encode(), "text/plain; charset=utf-8"), {"text": "é\n"}),
        (AB, typed(b"1\t2\t3\r\n\n4\n", "text/plain"), [{"a": "1", "b": "2"}, {"a": "4"}]),
        (DelimitedRows(delimiter=","), typed(b'a,b\n"1,2",3\n', "text/csv"), [{"a": "1,2", "b": "3"}]),
        (JWT, typed(b"e30.eyJhIjoxfQ.c2ln", "application/jwt"), {"a": 1}),
        (
            CLOUD_EVENTS,
            typed(b'{"specversion": "1.0", "data": 1}', "application/cloudevents+json"),
            {"specversion": "1.0", "data": 1},
        ),
        (
            CLOUD_EVENTS,
            typed(b'[{"id": "1"}]', "application/cloudevents-batch+json; charset=utf-8"),
            [{"id": "1"}],
        ),
        (
            CLOUD_EVENTS,
            typed(b'{"a": 1}', "application/json", **{"ce-specversion": "1.0", "ce-id": "7"}),
            {"specversion": "1.0", "id": "7", "data": {"a": 1}},
        ),
        (Read(lambda request: {"n": len(request.body)}), Request(body=b"abc"), {"n": 3}),
    ],
)  # fmt: skip
def test_what_a_form_reads(form, request_, payload):
    assert form.read(request_) == payload


MANY = b"a=1&" * 100_000


@pytest.mark.parametrize(
    ("form", "request_", "details"),
    [
        (FORM, typed(b"a=%ff", FORM_TYPE), "It is not UTF-8"),
        (FORM, typed(b"a=\xff", FORM_TYPE), "It is not UTF-8"),
        (FORM, typed(b"a=%ed%a0%80", FORM_TYPE), "It is not UTF-8"),
        (FORM, typed(b"a%00=1", FORM_TYPE), "It has a NUL character"),
        (FORM, typed(b"a=1&a=2", FORM_TYPE), "The member a comes twice"),
        (FORM, typed(b"x" * 100 + b"=1&" + b"x" * 100 + b"=2", FORM_TYPE), "x... comes twice"),
        (FORM, typed(MANY, FORM_TYPE), f"It has more than {MAX_VALUES} members"),
        (FormBody(several=("a",)), typed(MANY, FORM_TYPE), f"It has more than {MAX_VALUES} members"),
        (FormBody(json=("a",)), typed(b"a=%7B", FORM_TYPE), "The member a: "),
        (FormBody(json=("a",)), typed(b"a=" + b"[" * 65, FORM_TYPE), "The member a: Nested deeper"),
        (QUERY, Request(query="a=%ff"), "It is not UTF-8"),
        (QUERY, Request(query="a=1&a=2"), "The member a comes twice"),
        (MULTIPART, typed(part(b"a", b"1") + END, "multipart/form-data"), "names no boundary"),
        (MULTIPART, typed(part(b"a", b"1"), PARTS), "The parts cannot be read"),
        (MULTIPART, typed(part(b"a", b"1") + END, "multipart/form-data; boundary=c"), "cannot be read"),
        (MULTIPART, typed(b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + END, PARTS), "name"),
        (MULTIPART, typed(part(b"", b"1") + END, PARTS), "A part has no name"),
        (MULTIPART, typed(part(b"a", b"1") * 2 + END, PARTS), "The member a comes twice"),
        (MULTIPART, typed(part(b"a", b"\xff") + END, PARTS), "The body is not UTF-8"),
        (
            MULTIPART,
            typed(part(b"a", b"\xe9", b"\r\nContent-Type: text/plain; charset=latin-1") + END, PARTS),
            "UTF-8",
        ),
        (MULTIPART, typed(part(b"a", b"1") * 1001 + END, PARTS), "The parts cannot be read"),
        (TEXT, typed(b"\xff", "text/plain"), "byte 0 cannot be decoded"),
        (TEXT, typed(b"a\0", "text/plain"), "It has a NUL character"),
        (DelimitedRows(("a", "b")), typed(b"\n" * 50_001, "text/plain"), "more than 50000 fields"),
        (JWT, typed(b"nonsense", "application/jwt"), "The body is no JSON Web Token"),
        (JWT, typed(b"e30.WzFd.x", "application/jwt"), "The body must be a JSON object"),
        (CLOUD_EVENTS, typed(b"{", "application/json", **{"ce-specversion": "1.0"}), "line 1"),
        (Read(lambda request: {"a": float("nan")}), Request(), "A number is too large"),
        (Read(lambda request: {"a": object()}), Request(), "none that JSON can have"),
        (Read(lambda request: {1: 2}), Request(), "name is no text"),
        (Read(lambda request: {"a": "\0"}), Request(), "A NUL character at /a"),
        (Read(lambda request: deep(65)), Request(), "Nested deeper than 64 levels"),
        (Read(lambda request: [0] * 50_001), Request(), "more than 50000 members and items"),
    ],
)  # fmt: skip
def test_what_a_form_refuses(form, request_, details):
    with pytest.raises(InvalidPayload) as refused:
        form.read(request_)
    assert refused.value.status == 400
    assert details in refused.value.details


def deep(levels):
    made = 1
    for _ in range(levels):
        made = [made]
    return made


@pytest.mark.parametrize(
    ("form", "content_type"),
    [
        (JSON, "text/plain"),
        (FORM, "application/json"),
        (FORM, FORM_TYPE + "; charset=iso-8859-1"),
        (MULTIPART, FORM_TYPE),
        (TEXT, "text/html"),
        (TEXT, "text/plain; charset=utf-16"),
        (DelimitedRows(("a",)), "application/json"),
        (JWT, "text/html"),
        (CLOUD_EVENTS, "text/plain"),
    ],
)
def test_another_content_type_is_not_taken(form, content_type):
    with pytest.raises(UnsupportedMediaType):
        form.read(typed(b"", content_type))


@pytest.mark.parametrize(
    ("form", "payload"),
    [
        (JSON, [{"a": 1}]),
        (FORM, {"a": "x y&", "b": "é"}),
        (FormBody(several=("a",)), {"a": ["1", "2"]}),
        (QUERY, {"a": "é &="}),
        (MULTIPART, {"a": "x\ny", "b": "é"}),
        (TEXT, {"text": "a\nb"}),
        (DelimitedRows(("a", "b")), [{"a": "1", "b": "2"}]),
        (DelimitedRows(), [{"a": "1", "b": "2"}]),
        (JWT, {"a": 1}),
        (CLOUD_EVENTS, [{"id": "1"}]),
        (CLOUD_EVENTS, {"id": "1"}),
    ],
)
def test_what_is_written_is_read(form, payload):
    assert form.read(form.write(payload, Request())) == payload


@pytest.mark.parametrize(
    ("place", "request_"),
    [
        ("query:token", Request(query="a=%20&token=s3cret&b=+&token=s3cret")),
        ("query:token", Request(query="t%6fken=s3cret")),
        ("form:token", typed(b"a=1&token=s3cret&b=2", FORM_TYPE)),
        ("form:token", typed(part(b"token", b"s3cret") + part(b"a", b"see") + END, PARTS)),
        ("json:/a/0/token", Request(body=b'{"a": [{"token": "s3cret"}]}')),
        ("path:token", Request(path="/x/s3cret/", parts={"token": "s3cret"})),
    ],
)
def test_a_credential_is_removed_wherever_it_stands(place, request_):
    shown = Place.of(place).removed_from(request_)
    assert "s3cret" not in f"{shown.query} {shown.path} {shown.body} {shown.parts}"
    assert "removed" in f"{shown.query} {shown.path} {shown.body}"
    assert Place.of(place).removed_from(Request(body=b"nonsense")) == Request(body=b"nonsense")


def test_a_request_in_text():
    text = b"PUT /a/b?c=d HTTP/1.1\r\nHost: x\r\nX-A:  1\r\nContent-Length: 2\r\n\r\nhi\n"
    found = read_message(text)
    assert (found.method, found.path, found.query, found.body) == ("PUT", "/a/b", "c=d", b"hi")
    assert found.headers == {"host": "x", "x-a": "1", "content-length": "2"}
    assert read_message(b'{"a": 1}').body == b'{"a": 1}'
    assert json.loads(read_message(b'X-A: 1\n\n{"a": 1}').body) == {"a": 1}
