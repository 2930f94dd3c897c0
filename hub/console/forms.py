"""Forms as browsers send them: fields, and maybe a file."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import bottle

from hub.errors import Refused


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a form."""

    name: str
    content_type: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form by name, each with all its values; and its files."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """The value of a field, without blanks around it; '' where there is none."""
        values = self.fields.get(name, ())
        return values[-1].strip() if values else ""

    def every(self, name: str) -> list[str]:
        """All the values of a field that are not blank."""
        return [one.strip() for one in self.fields.get(name, ()) if one.strip()]


EMPTY = Form()


def read(environ: dict[str, Any], body: bytes) -> Form:
    """The form in a request's body (HTML, "Form submission": urlencoded or multipart). Raises Refused."""
    try:
        if not environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data"):
            fields: dict[str, list[str]] = {}
            for name, value in parse_qsl(
                body.decode(), keep_blank_values=True, max_num_fields=2000
            ):
                fields.setdefault(name, []).append(value)
            return Form(fields)
        own = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        request = bottle.BaseRequest(own)
        return Form(
            {name: request.forms.getall(name) for name in request.forms},
            {
                name: Upload(one.raw_filename or "", one.content_type or "", one.file.read())
                for name, one in request.files.items()
            },
        )
    except (bottle.HTTPError, ValueError, LookupError):
        raise Refused("The form cannot be read", "Send it again from its page") from None
