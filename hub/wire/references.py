"""References in JSON Schemas, resolved once: a schema with what its ``$ref`` point to in their place.

Validation would otherwise resolve each of them for each payload, which is most of its time.
"""

from collections.abc import Mapping
from typing import Any

from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

NAMED = frozenset({"properties", "patternProperties", "$defs", "dependentSchemas"})
"""Keywords whose value is a mapping of names to schemas."""

_OWN = frozenset({"$id", "$schema", "$defs"})
"""Keywords that mean nothing where a definition was put in a reference's place."""

PLAIN = frozenset({"const", "enum", "default", "examples", "required", "errorMessage", "$comment"})
"""Keywords whose value is no schema."""


def inlined(schema: Mapping[str, Any], registry: "Registry[Any]") -> Mapping[str, Any]:
    """The schema without ``$ref``; as it is, if a definition refers back to itself.

    Raises ValueError for a reference that leads nowhere.
    """
    inliner = _Inliner()
    resource = DRAFT202012.create_resource(schema)
    whole: Mapping[str, Any] = inliner.schema(schema, registry.resolver_with_root(resource), ())
    return schema if inliner.is_recursive else whole


class _Inliner:
    """Goes through a schema; ``above`` are the definitions that it is in the middle of."""

    def __init__(self) -> None:
        self.is_recursive = False

    def schema(self, schema: Any, resolver: Any, above: tuple[int, ...]) -> Any:
        if isinstance(schema, list):
            return [self.schema(item, resolver, above) for item in schema]
        if not isinstance(schema, Mapping):
            return schema
        if "$id" in schema:
            resolver = resolver.in_subresource(DRAFT202012.create_resource(schema))
        whole = {
            keyword: self._value(keyword, value, resolver, above)
            for keyword, value in schema.items()
        }
        if isinstance(schema.get("$ref"), str):
            return self._reference(whole, resolver, above)
        return whole

    def _reference(self, whole: dict[str, Any], resolver: Any, above: tuple[int, ...]) -> Any:
        reference = whole.pop("$ref")
        try:
            found = resolver.lookup(reference)
        except Unresolvable:
            raise ValueError(f"its schema's $ref {reference} resolves nowhere") from None
        if id(found.contents) in above:
            self.is_recursive = True
            return whole
        target = self.schema(found.contents, found.resolver, (*above, id(found.contents)))
        if isinstance(target, dict):
            target = {name: value for name, value in target.items() if name not in _OWN}
        if not whole:
            return target
        # Beside other keywords a $ref means: and that, too.
        return {**whole, "allOf": [target, *whole.get("allOf", [])]}

    def _value(self, keyword: str, value: Any, resolver: Any, above: tuple[int, ...]) -> Any:
        if keyword in PLAIN:
            return value
        if keyword in NAMED and isinstance(value, Mapping):
            return {name: self.schema(member, resolver, above) for name, member in value.items()}
        return self.schema(value, resolver, above)
