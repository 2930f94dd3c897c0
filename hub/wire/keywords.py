"""Keywords of the hub's dialect of JSON Schema: ``required``, ``properties`` and ``type``."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator


def is_missing(value: object) -> bool:
    """Whether a member's value counts as no value at all: null, empty or blank."""
    return value is None or (isinstance(value, str) and not value.strip())


class Missing(ValidationError):
    """A required member that is missing, with the answer's sentence for it."""

    sentence: str | None = None


def required(
    validator: Any, names: list[str], instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for name in names:
        if is_missing(instance.get(name)):
            error = Missing("is required", path=[name])
            error.sentence = _messages(schema).get("required")
            yield error


_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "null": (type(None),),
}


def type_(
    validator: Any, types: str | list[str], instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The keyword ``type``: parsed JSON has few Python types, and most are told by themselves."""
    found = type(instance)
    for name in (types,) if isinstance(types, str) else types:
        if found in _TYPES.get(name, ()):
            return
    yield from _any_type(validator, types, instance, schema)


_any_type = Draft202012Validator.VALIDATORS["type"]


class Properties:
    """The keyword ``properties``, with the sentences of ``errorMessage``.

    Keeps a validator for each subschema, which jsonschema would make anew for each payload.
    """

    def __init__(self) -> None:
        # By identity, with the subschema kept, so that no other can get the same one.
        self._validators: dict[int, tuple[object, Validator]] = {}

    def __call__(
        self, validator: Any, properties: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterator[ValidationError]:
        if not isinstance(instance, dict):
            return
        sentences = _messages(schema).get("properties", {})
        for name, subschema in properties.items():
            if name not in instance:
                continue
            for error in self._validator(validator, subschema).iter_errors(instance[name]):
                error.path.appendleft(name)
                if len(error.path) == 1 and name in sentences:
                    error.sentence = sentences[name]  # type: ignore[attr-defined]
                yield error

    def _validator(self, parent: Any, subschema: Any) -> Validator:
        kept = self._validators.get(id(subschema))
        if kept is None:
            kept = subschema, parent.evolve(schema=subschema)
            self._validators[id(subschema)] = kept
        return kept[1]


def _messages(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    messages: Mapping[str, Any] = schema.get("errorMessage", {})
    return messages
