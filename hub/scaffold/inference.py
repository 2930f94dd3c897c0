"""A JSON Schema (draft 2020-12) for captured payloads, in which what the source needs is required."""

from collections.abc import Mapping, Sequence
from typing import Any

from hub.scaffold.members import EACH, Member, Path, is_data

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LAST_SECOND = 253_370_764_799
"""The end of the year 9998: from there on not every time zone has a calendar date."""


def infer(
    payloads: Sequence[Mapping[str, Any]], needed: Sequence[Member], title: str
) -> dict[str, Any]:
    """A schema that all the payloads satisfy, in which ``needed`` are required."""
    by_path = {member.path: member for member in needed}
    around = {
        member.path[:depth]: "array" if member.path[depth] == EACH else "object"
        for member in needed
        for depth in range(1, len(member.path))
    }
    schema = _schema(list(payloads), (), by_path, around)
    return {"$schema": _DIALECT, "title": title, **schema}


def _schema(
    values: list[Any], path: Path, needed: Mapping[Path, Member], around: Mapping[Path, str]
) -> dict[str, Any]:
    if path in needed:
        return _of_needed(needed[path])
    objects = [value for value in values if isinstance(value, dict)]
    arrays = [value for value in values if isinstance(value, list)]
    types = sorted({_type(value) for value in values if value is not None})
    if "number" in types and "integer" in types:
        types.remove("integer")
    schema: dict[str, Any] = {}
    if not path or path in around:
        schema["type"] = around.get(path, "object")
    elif types:
        # What the source does not need may be null as well.
        schema["type"] = [*types, "null"]
    if objects:
        schema |= _of_objects(objects, path, needed, around)
    if arrays:
        items = [item for array in arrays for item in array]
        schema["items"] = _schema(items, (*path, EACH), needed, around)
    return schema


def _of_objects(
    objects: list[dict[str, Any]],
    path: Path,
    needed: Mapping[Path, Member],
    around: Mapping[Path, str],
) -> dict[str, Any]:
    names = list(dict.fromkeys(name for one in objects for name in one))
    if any(is_data(name) for name in names):
        return {}  # a map: its names belong into no schema
    required = [name for name in names if (*path, name) in needed or (*path, name) in around]
    properties = {
        name: _schema([one[name] for one in objects if name in one], (*path, name), needed, around)
        for name in names
    }
    return {**({"required": required} if required else {}), "properties": properties}


def _of_needed(member: Member) -> dict[str, Any]:
    types = sorted({_type(value) for value in member.given})
    if "number" in types and "integer" in types:
        types.remove("integer")
    schema: dict[str, Any] = {"type": types[0] if len(types) == 1 else types}
    moment = member.moment
    if moment in ("iso", "seconds"):
        schema = {"type": "number" if moment == "seconds" else "string", "format": "date-time"}
    elif moment == "milliseconds":
        schema = {"type": "number", "minimum": 0, "maximum": _LAST_SECOND * 1000}
    elif moment in ("digits of seconds", "digits of milliseconds"):
        digits = "10" if moment == "digits of seconds" else "13"
        schema |= {"pattern": f"^[0-9]{{{digits}}}$", "description": f"{digits} digits"}
    elif member.are_emails:
        schema["format"] = "email"
    return schema


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {str: "string", int: "integer", float: "number", dict: "object", list: "array"}.get(
        type(value), "null"
    )
