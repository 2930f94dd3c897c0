"""Strict JSON: one meaning for every body."""

import json

import pytest
from hubtest import LEGACY, ONETAP, UNIFIED

from hub.errors import InvalidPayload
from hub.wire.strict_json import MAX_DEPTH, parse

REFUSED = {
    "empty": b"",
    "blank": b"  \n",
    "open": b"{",
    "comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "comment": b'{"a":1} // x',
    "two values": b"{} {}",
    "bare word": b"nope",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "huge float": b'{"a":1e400}',
    "huge integer": b'{"a":' + b"9" * 5000 + b"}",
    "leading zero": b'{"a":01}',
    "plus": b'{"a":+1}',
    "hexadecimal": b'{"a":0x1}',
    "lone dot": b'{"a":1.}',
    "control character": b'{"a":"\n"}',
    "raw NUL": b'{"a":"\x00"}',
    "escaped NUL": b'{"a":"\\u0000"}',
    "NUL in a name": b'{"a\\u0000":1}',
    "lone surrogate": b'{"a":["\\ud800"]}',
    "low surrogate": b'{"a":"\\udc00x"}',
    "surrogate in a name": b'{"\\ud800":1}',
    "bad escape": b'{"a":"\\x41"}',
    "duplicate": b'{"a":1,"a":2}',
    "duplicate inside": b'{"b":[{"a":1,"a":1}]}',
    "duplicate, escaped": b'{"a":1,"\\u0061":2}',
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "UTF-16 without mark": '{"a":1}'.encode("utf-16-le"),
    "UTF-32": '{"a":1}'.encode("utf-32"),
    "latin-1": b'{"a":"\xe9"}',
    "overlong": b'{"a":"\xc0\xaf"}',
    "surrogate bytes": b'{"a":"\xed\xa0\x80"}',
    "deep array": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "very deep": b"[" * 100_000,
    "very deep objects": b'{"a":' * 50_000,
    "array": b"[]",
    "string": b'"x"',
    "number": b"1",
    "null": b"null",
    "true": b"true",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(body):
    with pytest.raises(InvalidPayload) as refused:
        parse(body)
    assert refused.value.error == "Invalid JSON payload"
    assert refused.value.details
    json.dumps(refused.value.details).encode()


@pytest.mark.parametrize("path", [UNIFIED, LEGACY, ONETAP])
def test_every_endpoint_answers_400_and_keeps_the_body(client, path, rows):
    for body in REFUSED.values():
        reply = client.post(path, body=body)
        assert (reply.status, reply.error) == (400, "Invalid JSON payload")
    assert {bytes(row["body"]) for row in rows("Delivery")} == set(REFUSED.values())


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":"\\ud83d\\ude00"}',
        '{"a":"😀 \u2028"}'.encode(),
        b' \t\r\n{"a":[1,2.5,-0,1e5,true,false,null]}\n',
        b'{"a":"[[[[[\\"[[[["}',
        b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
        b'{"a":[' + b",".join([b"[]"] * 100) + b"]}",
        b'{"a":"' + b"{\\\\" * 100 + b'"}',
        b'{"a":123456789012345678901234567890}',
    ],
)
def test_what_is_json_is_taken(body):
    assert parse(body) == json.loads(body)


def test_details_say_where():
    cases = {
        b'{"a" 1}': "Expecting ':' delimiter at line 1 column 6",
        b'{"a":{"b":"\\u0000"}}': "A NUL character at /a/b",
        b'{"name":1,"name":2}': "The name name occurs twice in one object",
        b'{"a":"\xe9"}': "The body is not UTF-8: byte 6 cannot be decoded",
    }
    for body, details in cases.items():
        with pytest.raises(InvalidPayload) as refused:
            parse(body)
        assert refused.value.details == details


def test_a_long_name_is_shortened():
    name = b"n" * 10_000
    with pytest.raises(InvalidPayload) as refused:
        parse(b'{"' + name + b'":1,"' + name + b'":2}')
    assert len(refused.value.details) < 200


MEBIBYTE = 1024 * 1024


def filled(item, before=b'{"a":[', after=b"]}"):
    """A body of a mebibyte: the item again and again, in a list."""
    times = (MEBIBYTE - len(before) - len(after)) // (len(item) + 1)
    return before + b",".join([item] * times) + after


DEEP, MANY, STRUCTURES = (
    "Nested deeper than 64 levels",
    "It has more than 50000 members and items",
    "It has more than 20000 arrays and objects",
)
SHAPES = {
    "58 brackets deep": (filled(b"[" * 58 + b"]" * 58), STRUCTURES),
    "only deep": (b"[" * MEBIBYTE, DEEP),
    "objects": (filled(b"{}"), MANY),
    "numbers": (filled(b"1"), MANY),
    "floats": (filled(b"1.1"), MANY),
    "exponents": (filled(b"1e300"), MANY),
    "strings": (filled(b'""'), MANY),
    "strings of an escape": (filled(b'"\\u0041"'), MANY),
    "members": (b"{" + b",".join(b'"%d":1' % n for n in range(105_000)) + b"}", MANY),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_takes_long_to_decode_is_refused_before(shape, monkeypatch):
    monkeypatch.setattr("hub.wire.strict_json._FAST_DECODER", None)
    body, sentence = SHAPES[shape]
    with pytest.raises(InvalidPayload) as refused:
        parse(body)
    assert refused.value.details == sentence


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (filled(b"[]"), "It has more than 50000 members and items"),
        (b'{"a":' + b"[" * 63 + b"]" * 63 + b"}", None),
        (b'{"a":[' + b",".join([b"[1]"] * 20_001) + b"]}", "more than 20000 arrays and objects"),
        (b'{"a":' + b"9" * 310 + b".0}", "A number is too large for a double"),
        (b'{"a":' + b"9" * 200 + b"e150}", "A number is too large for a double"),
        (b'{"a":-1E+400}', "A number is too large for a double"),
        (b'{"a":"1e400","b":1e307,"c":' + b"9" * 400 + b"}", None),
        (
            b'{"a":"' + b"x" * 70_000 + b'\\n","b":"\\u0000"}',
            "A NUL character at line 1 column 70016",
        ),
        (b'{"a":"' + b"x" * 70_000 + b'","b":"\\\\ud800\\udc00"}', "A lone surrogate at line 1"),
        (b'{"a":"\\\\u0000"}', None),
    ],
)
def test_what_is_too_much_is_named(body, sentence):
    if sentence is None:
        parse(body)
        return
    with pytest.raises(InvalidPayload) as refused:
        parse(body)
    assert sentence in refused.value.details
