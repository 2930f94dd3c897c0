"""Forms in parts (RFC 7578), read by the library ``multipart``; and text, strictly UTF-8."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from hub.errors import InvalidPayload
from hub.wire.request import Request

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,70})"|([^;\s"]{1,70}))', re.IGNORECASE)
_MOST_PARTS = 1000


def boundary_of(content_type: str) -> bytes:
    """The boundary that a content type names; nothing for none."""
    found = _BOUNDARY.search(content_type)
    return b"" if found is None else (found[1] or found[2]).encode("latin-1", "replace")


def with_part(request: Request, name: str, value: str) -> bytes:
    """The body of a form in parts, with one part more before the others."""
    boundary = boundary_of(request.headers.get("content-type", ""))
    head = f'Content-Disposition: form-data; name="{name}"\r\n\r\n'
    return b"--%s\r\n%s%s\r\n%s" % (boundary, head.encode(), value.encode(), request.body)


def parts_of(body: bytes, content_type: str) -> list[tuple[str, Any]]:
    """Name and value of each part of a multipart body. Raises InvalidPayload."""
    import multipart

    boundary = boundary_of(content_type)
    if not boundary:
        raise InvalidPayload("Invalid form", "The content type names no boundary")
    try:
        parts = multipart.MultipartParser(
            io.BytesIO(body),
            boundary,
            content_length=len(body),
            part_limit=_MOST_PARTS,
            # Nothing goes to the disk: the body is in memory already.
            spool_limit=len(body) + 1,
            memory_limit=2 * len(body) + 1,
            disk_limit=0,
            strict=True,
        )
        return list(_parts(parts))
    except multipart.MultipartError:
        how = "each begins with the boundary and its name, and the last one is ended"
        raise InvalidPayload("Invalid form", f"The parts cannot be read: {how}") from None
    except (UnicodeError, LookupError):
        raise InvalidPayload("Invalid form", "A part is not UTF-8") from None


def _parts(parser: Any) -> Iterator[tuple[str, Any]]:
    for part in parser:
        try:
            if not part.name:
                raise InvalidPayload("Invalid form", "A part has no name")
            if part.filename is None or part.content_type == "application/json":
                charset = part.charset or "utf-8"
                if charset.lower().replace("-", "") != "utf8":
                    raise InvalidPayload("Invalid form", "Send the parts in UTF-8")
                yield part.name, text_of(part.raw)
            else:
                about = {"filename": part.filename, "content_type": part.content_type}
                yield part.name, {**about, "size": part.size}
        finally:
            part.close()


def text_of(body: bytes) -> str:
    """A body as text. Raises InvalidPayload for what is not UTF-8, or has a NUL character."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where = f"byte {error.start} cannot be decoded"
        raise InvalidPayload("Invalid text payload", f"The body is not UTF-8: {where}") from None
    if "\0" in text:
        raise InvalidPayload("Invalid text payload", "It has a NUL character")
    return text
