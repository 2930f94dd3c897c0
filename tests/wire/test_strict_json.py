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
