"""Validation: a payload against its source's JSON Schema (draft 2020-12), in the hub's dialect.

The dialect differs from the draft in four places:
- ``required``: a member that is null, empty or blank counts as missing;
- ``format``: ``date-time`` (a number is seconds since 1970) and ``email`` are checked, by the hub's own
  readers of both;
- ``type``: blank text where no text belongs counts as an absent member, and is taken away;
- ``errorMessage`` (as in ajv-errors): on an object schema, ``{"required": sentence, "properties":
  {name: sentence}}`` gives the sentence of an answer; other violations have a general one.

``$ref`` resolves in a local registry alone; nothing is ever fetched.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from hub.domain.identifiers import is_email
from hub.domain.timestamps import parse_timestamp, parse_unix_seconds, to_utc
from hub.errors import InvalidPayload, Violation
from hub.wire.keywords import Properties, is_missing, required, type_
from hub.wire.metaschema import require_schema
from hub.wire.references import inlined

GENERAL = "Invalid payload"
_MOST_LOOKED_AT = 200
_MOST_TOLD = 50


class Schemas:
    """The schemas that a hub knows, and the validators built from them.

    ``zone`` is the hub's time zone: a moment without an offset must exist there.
    """

    def __init__(self, zone: tzinfo) -> None:
        formats = FormatChecker(formats=())

        @formats.checks("date-time", raises=ValueError)
        def _moment(value: object) -> bool:
            if isinstance(value, str) and not is_missing(value):
                to_utc(parse_timestamp(value), zone)
            elif isinstance(value, int | float) and not isinstance(value, bool):
                to_utc(parse_unix_seconds(value), zone)
            return True

        @formats.checks("email")
        def _email(value: object) -> bool:
            return not isinstance(value, str) or is_missing(value) or is_email(value)

        self._formats = formats
        self._dialect = validators.extend(  # type: ignore[no-untyped-call]
            Draft202012Validator,
            {"required": required, "properties": Properties(), "type": type_},
        )
        self._shipped = {schema["$id"]: _in_dialect(schema) for schema in _shipped_schemas()}
        self._registry: Registry[Any] = Registry().with_resources(
            (identifier, DRAFT202012.create_resource(schema))
            for identifier, schema in self._shipped.items()
        )

    def validator(
        self, schema: str | Path | Mapping[str, Any], is_checked: bool = False
    ) -> Validator:
        """A validator for a schema, given whole, as a file, or as the ``$id`` of a shipped one. One that
        ``is_checked`` is known to be a JSON Schema.

        Raises ValueError where it is no JSON Schema, or a ``$ref`` in it resolves nowhere.
        """
        contents = self._contents(schema)
        if not isinstance(schema, str) and not is_checked:
            # The shipped ones are checked by the tests; checking costs milliseconds a schema.
            require_schema(contents)
        whole = _in_dialect(inlined(contents, self._registry))
        validator: Validator = self._dialect(
            whole, registry=self._registry, format_checker=self._formats
        )
        return validator

    def _contents(self, schema: str | Path | Mapping[str, Any]) -> Mapping[str, Any]:
        if isinstance(schema, str):
            if schema not in self._shipped:
                raise ValueError(f"the hub ships no schema {schema}")
            return self._shipped[schema]
        if isinstance(schema, Path):
            try:
                loaded: Mapping[str, Any] = json.loads(schema.read_text("utf-8"))
            except (OSError, ValueError) as error:
                raise ValueError(f"its schema {schema} cannot be read: {error}") from None
            return loaded
        return schema


def _shipped_schemas() -> Iterator[dict[str, Any]]:
    def files(folder: Traversable) -> Iterator[Traversable]:
        for entry in folder.iterdir():
            if entry.is_dir():
                yield from files(entry)
            elif entry.name.endswith(".json"):
                yield entry

    for file in files(resources.files("hub_schemas")):
        yield json.loads(file.read_text("utf-8"))


def _in_dialect(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without ``$schema``: by that jsonschema would go back to the plain draft."""
    return {name: member for name, member in schema.items() if name != "$schema"}


def validate(validator: Validator, payload: dict[str, Any]) -> None:
    """Raise InvalidPayload, with the violations, unless ``payload`` satisfies the schema.

    Blank members where no text belongs are taken out of ``payload``.
    """
    if validator.is_valid(payload):
        return
    required: list[ValidationError] = []
    others: list[ValidationError] = []
    for error in list(islice(validator.iter_errors(payload), _MOST_LOOKED_AT)):
        if error.validator == "required":
            required.append(error)
        elif not _take_away_blank(error, payload):
            others.append(error)
    errors = (required + others)[:_MOST_TOLD]
    if not errors:
        return
    violations = [Violation(_pointer(error), _message(error)) for error in errors]
    sentence = getattr(errors[0], "sentence", None)
    first = violations[0]
    raise InvalidPayload(
        sentence or GENERAL, f"{first.pointer or 'The body'} {first.message}", violations
    )


def _take_away_blank(error: ValidationError, payload: dict[str, Any]) -> bool:
    """Whether the violation was blank text in an object where no text belongs, now taken away."""
    if error.validator != "type" or error.instance is None or not is_missing(error.instance):
        return False
    way = list(error.absolute_path)
    place: Any = payload
    for part in way[:-1]:
        place = place[part]
    if not way or not isinstance(place, dict):
        return False
    place.pop(way[-1], None)
    return True


def _pointer(error: ValidationError) -> str:
    """Where the violation is, as a JSON Pointer (RFC 6901)."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path)
    return "".join(f"/{part}" for part in parts)


_NOUNS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}


def _message(error: ValidationError) -> str:
    """What must be true there. It never repeats the value, which may be a person's, and long."""
    limit: Any = error.validator_value
    match error.validator:
        case "required":
            return "is required"
        case "type":
            types = [limit] if isinstance(limit, str) else list(limit)
            return "must be " + " or ".join(_NOUNS[name] for name in types)
        case "maxLength":
            return f"must be at most {limit} characters long"
        case "minLength":
            return f"must be at least {limit} characters long"
        case "minimum":
            return f"must be at least {limit}"
        case "maximum":
            return f"must be at most {limit}"
        case "enum":
            return "must be one of " + ", ".join(str(value) for value in limit)
        case "const":
            return f"must be {limit}"
        case "pattern":
            about = error.schema.get("description") if isinstance(error.schema, dict) else None
            return f"must match the pattern {limit}" + (f" ({about})" if about else "")
        case "format" if error.cause is not None:
            return f"must be an ISO 8601 date and time: {error.cause}"
        case "format":
            return f"must be of the format {limit}"
        case _ if error.schema is False:
            return "must not be present"
        case _:
            return f"breaks the schema's keyword {error.validator}"
