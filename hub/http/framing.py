"""Where one message on a connection ends and the next begins (RFC 9112), before anything else is parsed.

The parser behind it bounds the head of a connection's first request alone, takes trailers for headers,
and reads the body of a request that offers an upgrade as another protocol. Here every message is
measured, and what could be read in two ways is refused: a request that is smuggled past a proxy has no
second reading.
"""

import re

LARGEST_HEAD = 65_536
"""Bytes of a request line and its headers."""

MOST_HEADERS = 200
"""Headers of a request."""

LARGEST_TRAILERS = 8_192
"""Bytes of the fields after a chunked body. They are dropped: none is a header (RFC 9110, 6.5.1)."""

_LONGEST_CHUNK_LINE = 256
_FREE_FRAMING = 1_024
_LEAST_CHUNK = 8
"""Framing may take so many bytes, and more only with eight times as much data: chunks of a byte each
would cost a thousand times what their data does.
"""

_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_REQUEST_LINE = rb"(" + _TOKEN + rb") [\x21-\x7e]++ HTTP/1\.([01])\r\n"
_FIELD = _TOKEN + rb":[^\x00-\x08\x0a-\x1f\x7f]*+\r\n"
_HEAD = re.compile(_REQUEST_LINE + rb"(?:" + _FIELD + rb")*+\r\n")
_FIELDS = re.compile(rb"(?:" + _FIELD + rb")*+")
_RIGHT_LINE = re.compile(_REQUEST_LINE)
_OTHER_VERSION = re.compile(_TOKEN + rb" [\x21-\x7e]++ HTTP/[0-9]\.[0-9]\r\n")
_TOLD = re.compile(rb"\r\n(content-length|transfer-encoding|host|upgrade):([^\r]*)")
_ENCODING = re.compile(rb"\r\ntransfer-encoding:[^\r]*", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade:[^\r]*", re.IGNORECASE)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]{,250})?\r\n")
_CHUNK_LINE_BEGUN = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?\r?")
_END = b"\r\n\r\n"


class Malformed(Exception):
    """A message that is not HTTP/1.1, or over a limit; the connection cannot be used again."""

    def __init__(self, details: str, status: str = "400 Bad Request", error: str = "") -> None:
        super().__init__(details)
        self.details = details
        self.status = status
        self.error = error or "Bad request"


def _too_long(what: str, most: int) -> Malformed:
    return Malformed(
        f"{what} at most {most} bytes",
        "431 Request Header Fields Too Large",
        "Request head too large",
    )


class Framing:
    """The message that is being read on one connection. ``largest_body`` is in bytes; a longer one is
    refused here only where it says so in the length of a chunk.
    """

    def __init__(self, largest_body: int) -> None:
        self._largest_body = largest_body
        self.in_head = True
        self._read = self._read_head
        self._left = 0
        self._held = bytearray()
        self._looked_at = self._framing = self._data = 0
        self._after_data = False

    def take(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Take the bytes of the message, as far as they have come: what the parser is given, what is left
        over, and whether the message has ended. Raises Malformed.
        """
        if self.in_head and not self._held:
            # Nearly always a head comes whole.
            end = data.find(_END) + 4
            if 4 < end <= LARGEST_HEAD and data[:1].isalpha():
                head = self._body_after(data[:end])
                rest = data[end:]
                if self._read == self._read_head:
                    return head, rest, True
                if len(rest) == self._left and self._read == self._read_data:
                    self._expect_head()
                    return head + rest, b"", True
                forward, rest, has_ended = self._go_on(rest)
                return head + forward, rest, has_ended
        return self._go_on(data)

    def _go_on(self, data: bytes) -> tuple[bytes, bytes, bool]:
        forward: list[bytes] = []
        while data and not (forward and self.in_head):
            data = self._read(data, forward)
        return b"".join(forward), data, bool(forward) and self.in_head

    def _expect_head(self) -> None:
        self.in_head = True
        self._read = self._read_head
        self._left = 0

    def _read_head(self, data: bytes, forward: list[bytes]) -> bytes:
        held = self._held
        held += data
        if not self._looked_at and held[:1].isspace():
            # Empty lines before a request line are to be ignored (RFC 9112, 2.2).
            stripped = len(held) - len(held.lstrip(b"\r\n"))
            self._framing += stripped
            del held[:stripped]
            if self._framing > _LONGEST_CHUNK_LINE:
                raise Malformed("There are only empty lines where a request was expected")
        if held and not self._looked_at and not held[:1].isalpha():
            raise Malformed("A request begins with a method, such as POST")
        end = held.find(_END, max(0, self._looked_at - 3))
        if end < 0 or end > LARGEST_HEAD:
            if len(held) > LARGEST_HEAD:
                raise _too_long("The request line and the headers have", LARGEST_HEAD)
            _require_line_ends(held, max(0, self._looked_at - 1))
            self._looked_at = len(held)
            return b""
        head, rest = bytes(held[: end + 4]), bytes(held[end + 4 :])
        self._begin()
        forward.append(self._body_after(head))
        return rest

    def _begin(self) -> None:
        """Nothing is held, and nothing counted."""
        self._held = bytearray()
        self._looked_at = self._framing = self._data = 0
        self._after_data = False

    def _body_after(self, head: bytes) -> bytes:
        """Find out how the message goes on; its head, as the parser is given it."""
        self._framing = 0
        request = _HEAD.fullmatch(head)
        if request is None:
            raise _what_is_wrong(head)
        if head.count(b"\n") > MOST_HEADERS + 2:
            raise Malformed(
                f"A request has at most {MOST_HEADERS} headers",
                "431 Request Header Fields Too Large",
                "Request head too large",
            )
        method, minor = request.groups()
        if method == b"CONNECT":
            raise Malformed("The hub is no proxy", "501 Not Implemented", "Method not implemented")
        hosts = 0
        lengths: list[bytes] = []
        encodings: list[bytes] = []
        has_offer = False
        for name, value in _TOLD.findall(head.lower()):
            if name == b"host":
                hosts += 1
            elif name == b"content-length":
                lengths.append(value.strip(b" \t"))
            elif name == b"transfer-encoding":
                encodings.append(value.strip(b" \t"))
            else:
                has_offer = True
        if hosts != 1 and (hosts or minor == b"1"):
            raise Malformed("A request has one Host header")
        if encodings:
            self._require_chunked(encodings, lengths, minor)
            self.in_head, self._read = False, self._read_chunks
            # Spelt as the parser knows it, which would read it in another way than is done here.
            head = _ENCODING.sub(b"\r\nTransfer-Encoding: chunked", head)
        elif lengths and (left := _length(lengths)):
            self.in_head, self._read, self._left = False, self._read_data, left
        if has_offer:
            # An offer that the hub does not take (RFC 9110, 7.8); the parser would stop at it.
            head = _UPGRADE.sub(b"", head)
        return head

    def _require_chunked(self, encodings: list[bytes], lengths: list[bytes], minor: bytes) -> None:
        if lengths:
            raise Malformed("A message has a Content-Length or a Transfer-Encoding, never both")
        if minor == b"0":
            raise Malformed("HTTP/1.0 has no Transfer-Encoding")
        if len(encodings) != 1 or encodings[0] != b"chunked":
            raise Malformed(
                "The only Transfer-Encoding that is taken is chunked, once",
                "501 Not Implemented",
                "Transfer encoding not implemented",
            )

    def _read_data(self, data: bytes, forward: list[bytes]) -> bytes:
        """A body whose length is known."""
        part, rest = data[: self._left], data[self._left :]
        self._left -= len(part)
        forward.append(part)
        if not self._left:
            self._expect_head()
        return rest

    def _read_chunks(self, data: bytes, forward: list[bytes]) -> bytes:
        """Chunks, as many as have come, given on as one: however small they are, the parser sees few."""
        held = bytes(self._held) + data
        left, after_data, at = self._left, self._after_data, 0
        framing, size = self._framing, self._data
        parts: list[bytes] = []
        is_last = False
        while at < len(held):
            if left:
                part = held[at : at + left]
                parts.append(part)
                at += len(part)
                left -= len(part)
                size += len(part)
                after_data = not left
                continue
            if after_data:
                if not b"\r\n".startswith(held[at : at + 2]):
                    raise Malformed("A chunk is longer than it says")
                if at + 2 > len(held):
                    break
                at += 2
                after_data = False
                continue
            line = _CHUNK_LINE.match(held, at)
            if line is None:
                self._require_beginning(held[at : at + _LONGEST_CHUNK_LINE + 2])
                break
            framing += line.end() - at + 2
            if framing > _FREE_FRAMING + size // _LEAST_CHUNK:
                raise Malformed("The body comes in too small chunks; send larger ones")
            at, left = line.end(), int(line[1], 16)
            if left > self._largest_body:
                raise Malformed(
                    f"A body has at most {self._largest_body} bytes",
                    "413 Content Too Large",
                    "Payload too large",
                )
            if not left:
                is_last = True
                break
            end = at + left
            if held.startswith(b"\r\n", end):  # all of it is there
                parts.append(held[at:end])
                size += left
                at, left = end + 2, 0
        self._left, self._after_data = left, after_data
        self._framing, self._data = framing, size
        if whole := b"".join(parts):
            forward += (b"%x\r\n" % len(whole), whole, b"\r\n")
        self._held = bytearray() if is_last else bytearray(held[at:])
        if not is_last:
            return b""
        self._read = self._read_trailers
        return held[at:]

    def _require_beginning(self, line: bytes) -> None:
        """Refuse at once what cannot become the line before a chunk."""
        if len(line) > _LONGEST_CHUNK_LINE:
            raise Malformed(f"The line before a chunk has at most {_LONGEST_CHUNK_LINE} bytes")
        if line and _CHUNK_LINE_BEGUN.fullmatch(line) is None:
            raise Malformed("A chunk begins with its length in hexadecimal digits")

    def _read_trailers(self, data: bytes, forward: list[bytes]) -> bytes:
        held = self._held
        held += data
        end = 0 if held[:2] == b"\r\n" else held.find(_END)
        if end < 0 and len(held) <= LARGEST_TRAILERS:
            _require_line_ends(held, 0)
            return b""
        if end < 0 or end > LARGEST_TRAILERS:
            raise _too_long("The trailers after a body have", LARGEST_TRAILERS)
        if end and not _FIELDS.fullmatch(held, 0, end + 2):
            raise Malformed("A trailer is a name, a colon right after it, and text on one line")
        rest = bytes(held[end + 4 if end else 2 :])
        self._begin()
        self._expect_head()
        forward.append(b"0\r\n\r\n")
        return rest


def _what_is_wrong(head: bytes) -> Malformed:
    """Why a head is none."""
    if _OTHER_VERSION.match(head):
        if not _RIGHT_LINE.match(head):
            return Malformed(
                "Use HTTP/1.1", "505 HTTP Version Not Supported", "Version not supported"
            )
        return Malformed(
            "A header is a name, a colon right after it, and on the same line text without control "
            "characters"
        )
    return Malformed("The request line is a method, a target and HTTP/1.1, with a blank between")


def _require_line_ends(held: bytearray, begin: int) -> None:
    """Raise Malformed for a carriage return or a line feed alone, from ``begin`` on."""
    begin += held.startswith(b"\n", begin) and begin > 0  # of a pair that was looked at
    pairs, end = held.count(b"\r\n", begin), len(held) - held.endswith(b"\r")
    if held.count(b"\n", begin) != pairs or held.count(b"\r", begin, end) != pairs:
        raise Malformed("Lines end with a carriage return and a line feed")


def _length(lengths: list[bytes]) -> int:
    if len(lengths) != 1 or not lengths[0].isdigit() or len(lengths[0]) > 18:
        raise Malformed("A Content-Length is one number of bytes")
    return int(lengths[0])
