"""Whether a schema is one: JSON Schema's own schema (draft 2020-12), prepared once for a process.

jsonschema's ``check_schema`` resolves the references of that schema for each member of each schema that
it checks: two milliseconds a source, when a hub starts.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY

from hub.wire.keywords import Properties, type_
from hub.wire.references import inlined


def require_schema(schema: Any) -> None:
    """Raise ValueError, naming the place, unless ``schema`` is a JSON Schema."""
    error = best_match(_checker().iter_errors(schema))
    if error is not None:
        raise ValueError(
            f"its schema is not valid JSON Schema at {error.json_path}: {error.message[:200]}"
        )


@cache
def _checker() -> Validator:
    whole = inlined(Draft202012Validator.META_SCHEMA, REGISTRY)
    # Its vocabularies name different keywords, so that one mapping has them all.
    properties: dict[str, Any] = dict(whole["properties"])
    for vocabulary in whole["allOf"]:
        properties |= vocabulary["properties"]
    merged = {"type": whole["type"], "properties": properties}

    def dynamic_reference(
        validator: Any, reference: str, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        """``$dynamicRef``: in the draft's own schema it always means the whole of it."""
        yield from root.iter_errors(instance)

    dialect = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator,
        {"properties": Properties(), "type": type_, "$dynamicRef": dynamic_reference},
    )
    root: Validator = dialect(merged, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return root
