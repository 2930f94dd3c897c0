"""Where a message ends, and what is refused because it could be read in two ways."""

import random

import pytest

from hub.http.framing import LARGEST_HEAD, LARGEST_TRAILERS, MOST_HEADERS, Framing, Malformed

POST = b"POST /x HTTP/1.1\r\nHost: hub\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LIMIT = 1_048_576


def read(data, sizes=()):
    """The messages in some bytes that come in parts of these sizes, as the parser is given them."""
    framing, messages, current, rest = Framing(LIMIT), [], b"", b""
    parts, at = [], 0
    for size in sizes:
        parts.append(data[at : at + size])
        at += size
    parts.append(data[at:])
    for part in parts:
        rest += part
        while rest:
            forward, rest, has_ended = framing.take(rest)
            current += forward
            if has_ended:
                messages.append(current)
                current = b""
    return messages, current


MESSAGES = {
    "no body": POST + b"\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
    "a length": POST + b"Content-Length: 5\r\n\r\nhello",
    "no length": POST + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_given_on_as_it_came(name):
    assert read(MESSAGES[name]) == ([MESSAGES[name]], b"")


def test_messages_behind_each_other_are_told_apart_however_they_come():
    whole = b"".join(MESSAGES.values())
    wanted = list(MESSAGES.values())
    chance = random.Random(1)
    for _ in range(300):
        sizes = [chance.choice((1, 2, 3, 7, 50)) for _ in range(chance.randrange(60))]
        messages, current = read(whole, sizes)
        # A body that comes in parts may be given on in other chunks.
        assert [one.replace(b"\r\n", b"") for one in messages[:4]] == [
            one.replace(b"\r\n", b"") for one in wanted[:4]
        ]
        assert (len(messages), current) == (5, b"")
        head, _, body = messages[4].partition(b"\r\n\r\n")
        assert head == wanted[4].partition(b"\r\n\r\n")[0]
        assert data_of(body) == b"hello"
    assert read(whole, [1] * len(whole))[0][:4] == wanted[:4]


def data_of(chunks):
    data = b""
    while chunks:
        size, _, chunks = chunks.partition(b"\r\n")
        data += chunks[: int(size, 16)]
        chunks = chunks[int(size, 16) + 2 :]
    return data


def test_small_chunks_are_given_on_as_one():
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (b"he", b"l", b"lo"))
    assert read(CHUNKED + chunks + b"0\r\n\r\n")[0] == [MESSAGES["chunks"]]


def test_trailers_are_dropped_and_extensions_too():
    body = b"5;name=value\r\nhello\r\n0\r\nAuthorization: Bearer x\r\nX: y\r\n\r\n"
    assert read(CHUNKED + body)[0] == [MESSAGES["chunks"]]


def test_an_offer_to_upgrade_is_taken_out():
    offer = POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello"
    (message,), _ = read(offer)
    assert message == offer.replace(b"Upgrade: h2c\r\n", b"")


def test_an_encoding_is_given_on_as_the_parser_knows_it():
    odd = POST + b"transfer-encoding:  Chunked \t\r\n\r\n0\r\n\r\n"
    assert read(odd)[0] == [CHUNKED + b"0\r\n\r\n"]


def test_empty_lines_before_a_request_are_passed_over():
    assert read(b"\r\n\r\n" + MESSAGES["no body"])[0] == [MESSAGES["no body"]]


def head(*lines):
    return POST + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


REFUSED = {
    "two lengths": head(b"Content-Length: 5", b"Content-Length: 6"),
    "the same length twice": head(b"Content-Length: 5", b"content-length: 5"),
    "a list of lengths": head(b"Content-Length: 5,5"),
    "a signed length": head(b"Content-Length: +5"),
    "a length in hexadecimal": head(b"Content-Length: 0x5"),
    "no length at all": head(b"Content-Length:"),
    "a length beyond all": head(b"Content-Length: " + b"9" * 19),
    "length and encoding": head(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "another encoding": head(b"Transfer-Encoding: gzip"),
    "chunked before another": head(b"Transfer-Encoding: chunked, gzip"),
    "chunked twice": head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    "an encoding in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": head(b"Host: other"),
    "a folded line": head(b"A: b", b" c"),
    "a blank before the colon": head(b"A : b"),
    "no colon": head(b"nonsense"),
    "a control character": head(b"A: b\x01c"),
    "a NUL": head(b"A: b\0c"),
    "a bare carriage return": head(b"A: b\rc: d"),
    "a bare line feed": head(b"A: b\nc: d"),
    "two blanks": b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target with a blank": b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "another version": b"GET / HTTP/2.0\r\n\r\n",
    "a proxy's request": b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02",
    "lines of line feeds alone": b"GET / HTTP/1.1\nHost: x\n",
    "nothing but empty lines": b"\r\n" * 200,
    "no size of a chunk": CHUNKED + b"zz",
    "a size with a blank": CHUNKED + b"5 \r\n",
    "a negative size": CHUNKED + b"-1\r\n",
    "a size in C": CHUNKED + b"0x5\r\n",
    "an empty size": CHUNKED + b"\r\n",
    "a chunk longer than it says": CHUNKED + b"5\r\nhello!",
    "a chunk over the limit": CHUNKED + b"100001\r\n",
    "an endless extension": CHUNKED + b"5;" + b"x" * 300,
    "endless digits": CHUNKED + b"0" * 300,
    "chunks of a byte": CHUNKED + b"1\r\nx\r\n" * 5000,
    "a trailer that is none": CHUNKED + b"0\r\nnonsense\r\n\r\n",
    "a trailer of a line feed": CHUNKED + b"0\r\nA: b\n",
    "an endless trailer": CHUNKED + b"0\r\nA: " + b"x" * (LARGEST_TRAILERS + 1),
    "endless headers": POST + b"A: b\r\n" * (LARGEST_HEAD // 6),
    "an endless header": POST + b"A: " + b"x" * LARGEST_HEAD,
    "an endless target": b"GET /" + b"x" * LARGEST_HEAD,
    "an endless method": b"G" * (LARGEST_HEAD + 1),
    "too many headers": head(*[b"a: b"] * MOST_HEADERS),
}


@pytest.mark.parametrize("before", [b"", MESSAGES["no body"], MESSAGES["chunks"]])
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_so_at_once_and_in_every_message(name, before):
    with pytest.raises(Malformed) as whole:
        read(before + REFUSED[name])
    assert whole.value.details
    assert whole.value.status[:3] in ("400", "413", "431", "501", "505")
    with pytest.raises(Malformed):
        read(before + REFUSED[name], [100] * (len(before + REFUSED[name]) // 100))


def test_what_is_not_refused_yet_is_not_held_without_end():
    framing = Framing(LIMIT)
    framing.take(POST)
    with pytest.raises(Malformed):
        for _ in range(LARGEST_HEAD):
            framing.take(b"A: " + b"b" * 100 + b"\r\n")
    assert len(framing._held) < 2 * LARGEST_HEAD
