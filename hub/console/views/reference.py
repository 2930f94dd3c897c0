"""The reference of the API: what the hub's own description (``/api/openapi.json``) says, for people."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hub.console.visit import Page, View, Visit
from hub.domain.tokens import Scope

Schema = Mapping[str, Any]


def page(visit: Visit) -> Page:
    """All paths by what they are about, and the objects that they tell of."""
    document = visit.api.get("/api/openapi.json")
    operations = [
        {"method": method.upper(), "path": path, **_operation(told)}
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]
    groups = {
        tag["name"]: [one for one in operations if tag["name"] in one["tags"]]
        for tag in document["tags"]
    }
    schemas = {
        name: {"about": _plain(schema.get("description", "")), "members": list(_members(schema))}
        for name, schema in document["components"]["schemas"].items()
    }
    return Page(
        "reference.html",
        {"groups": groups, "schemas": schemas, "about": _plain(document["info"]["description"])},
    )


def _operation(told: Schema) -> Mapping[str, Any]:
    taken = told.get("requestBody", {}).get("content", {})
    return {
        "identifier": told["operationId"],
        "tags": told["tags"],
        "summary": told["summary"],
        "about": _plain(told.get("description", "")),
        "parameters": [
            {
                "name": one["name"],
                "where": one["in"],
                "required": one.get("required", False),
                "about": _plain(one.get("description", "")),
                "type": words(one["schema"]),
            }
            for one in told["parameters"]
        ],
        "takes": [
            {
                "type": media_type,
                "schema": words(content["schema"]),
                "names": list(dict.fromkeys(_names(content["schema"]))),
                "example": json.dumps(content["example"], indent=2) if "example" in content else "",
            }
            for media_type, content in taken.items()
        ],
        "answers": [
            {
                "status": status,
                "about": answer["description"],
                "content": [
                    {
                        "type": media_type,
                        "names": list(dict.fromkeys(_names(content.get("schema")))),
                    }
                    for media_type, content in answer.get("content", {}).items()
                ],
            }
            for status, answer in told["responses"].items()
        ],
    }


def _members(schema: Schema) -> Iterator[Mapping[str, Any]]:
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        yield {
            "name": name,
            "required": name in required,
            "type": words(member),
            "names": list(dict.fromkeys(_names(member))),
            "about": _plain(member.get("description", "")),
        }


def words(schema: Any) -> str:
    """What a schema takes, in a few words."""
    if not isinstance(schema, Mapping):
        return "anything"
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(json.dumps(one) for one in schema["enum"])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(dict.fromkeys(words(one) for one in schema[several]))
    types = schema.get("type", "anything")
    told = " or ".join([types] if isinstance(types, str) else types)
    if types == "array":
        return f"array of {words(schema.get('items', {}))}"
    return f"{told} ({schema['format']})" if "format" in schema else told


def _plain(text: str) -> str:
    """A description without the marks of Markdown (CommonMark), which OpenAPI has in it."""
    return text.replace("`", "")


def _names(schema: Any) -> Iterator[str]:
    """The schemas that one refers to."""
    if isinstance(schema, Mapping):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for value in schema.values():
            yield from _names(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _names(value)


VIEWS = (View("GET", "reference", page, Scope.COUNTS),)
