"""The hub's dialect of JSON Schema, and the schemas that it ships."""

import json
import re
from datetime import UTC
from importlib import resources
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from hub.errors import InvalidPayload
from hub.wire.metaschema import require_schema
from hub.wire.validation import Schemas, validate

BASE = "https://attendance-hub.example/schemas/"
SHIPPED = sorted(Path(str(resources.files("hub_schemas"))).rglob("*.json"))


@pytest.fixture(scope="module")
def schemas():
    return Schemas(UTC)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_schema_is_valid_and_resolves(path, schemas):
    schema = json.loads(path.read_text("utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"].endswith("/".join(path.parts[-2:])) or path.name == "common.json"
    Draft202012Validator.check_schema(schema)
    schemas.validator(schema)


def check(schemas, schema, payload):
    with pytest.raises(InvalidPayload) as refused:
        validate(schemas.validator(schema), payload)
    return refused.value


def test_a_schema_may_use_the_shared_definitions(schemas):
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["when"],
        "properties": {"when": {"$ref": f"{BASE}common.json#/$defs/moment"}},
    }
    validate(schemas.validator(schema), {"when": "2024-01-15T10:00:00Z"})
    assert check(schemas, schema, {"when": " "}).details == "/when is required"
    refused = check(schemas, schema, {"when": "soon"})
    assert refused.error == "Invalid payload"
    assert refused.details == (
        "/when must be an ISO 8601 date and time: it is not an ISO 8601 date and time"
    )


@pytest.mark.parametrize(
    ("subschema", "value", "message"),
    [
        ({"type": "integer"}, "x", "must be an integer"),
        ({"type": ["number", "null"]}, "x", "must be a number or null"),
        ({"maxLength": 2}, "xxx", "must be at most 2 characters long"),
        ({"minLength": 2}, "x", "must be at least 2 characters long"),
        ({"minimum": 2}, 1, "must be at least 2"),
        ({"maximum": 2}, 3, "must be at most 2"),
        ({"enum": ["a", "b"]}, "c", "must be one of a, b"),
        ({"const": "a"}, "c", "must be a"),
        ({"pattern": "^a"}, "c", "must match the pattern ^a"),
        ({"format": "email"}, "c", "must be of the format email"),
        ({"minItems": 1}, [], "breaks the schema's keyword minItems"),
    ],
)
def test_messages_say_what_must_be_true(schemas, subschema, value, message):
    refused = check(schemas, {"properties": {"a/~": subschema}}, {"a/~": value})
    (violation,) = refused.errors
    assert (violation.pointer, violation.message) == ("/a~1~0", message)


def test_what_may_not_be_there_is_told(schemas):
    assert check(schemas, {"properties": {"a": False}}, {"a": 1}).errors[0].message == (
        "must not be present"
    )


def test_required_says_nothing_of_what_is_no_object(schemas):
    validate(schemas.validator({"required": ["a"], "properties": {"a": False}}), [])


def test_many_violations_are_cut(schemas):
    schema = {"additionalProperties": {"type": "string"}}
    refused = check(schemas, schema, {str(n): n for n in range(1000)})
    assert len(refused.errors) == 50


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "objekt"}, "not valid JSON Schema"),
        ({"$ref": "https://elsewhere.example/x.json"}, "resolves nowhere"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "resolves nowhere"),
        ({"anyOf": [{"$ref": f"{BASE}none.json"}]}, "resolves nowhere"),
        (f"{BASE}none.json", "the hub ships no schema"),
        (Path("nowhere.json"), "cannot be read"),
    ],
)
def test_a_broken_schema_is_named(schemas, schema, problem):
    with pytest.raises(ValueError, match=problem):
        schemas.validator(schema)


def test_references_are_inlined_and_mean_the_same(schemas):
    schema = {
        "$defs": {"short": {"maxLength": 2}, "word": {"$ref": "#/$defs/short", "type": "string"}},
        "properties": {"$ref": {"$ref": "#/$defs/word"}, "b": {"enum": [{"$ref": "x"}]}},
    }
    validator = schemas.validator(schema)
    assert "'$ref': '#" not in str(validator.schema)
    validate(validator, {"$ref": "ab", "b": {"$ref": "x"}})
    refused = check(schemas, schema, {"$ref": "abc", "b": 1})
    assert {one.pointer for one in refused.errors} == {"/$ref", "/b"}
    assert check(schemas, schema, {"$ref": 5}).details == "/$ref must be a string"


def test_a_schema_may_refer_back_to_itself(schemas):
    schema = {
        "$id": "https://club.example/tree.json",
        "type": "object",
        "properties": {"left": {"$ref": "#"}, "value": {"type": "integer"}},
    }
    validate(schemas.validator(schema), {"left": {"left": {"value": 1}}})
    refused = check(schemas, schema, {"left": {"left": {"left": {"value": "x"}}}})
    assert refused.errors[0].pointer == "/left/left/left/value"


def test_a_schema_may_be_a_file(schemas, tmp_path):
    path = tmp_path / "schema.json"
    path.write_text('{"required": ["a"]}')
    assert check(schemas, path, {}).details == "/a is required"


@pytest.mark.parametrize(
    ("email", "valid"),
    [
        ("a@b.co", True),
        (" a@b.co ", True),
        ("ä.ö+x@bücher.example", True),
        ("a@b", False),
        ("@b.co", False),
        ("a@", False),
        ("a b@c.de", False),
        ("a@b..co", False),
        ("a@b@c.de", False),
        ("a@b.co\nx", False),
        ("x" * 65 + "@b.co", False),
        ("a@" + "b" * 260 + ".co", False),
    ],
)
def test_emails(email, valid):
    from hub import is_email

    assert is_email(email) is valid


BROKEN_SCHEMAS = [
    {"type": "strnig"}, {"properties": []}, {"properties": {"a": 7}}, {"required": "a"},
    {"required": ["a", "a"]}, {"minLength": -1}, {"pattern": "("}, {"items": [{}]}, {"$ref": 7},
    {"allOf": []}, {"allOf": [{"type": "x"}]}, {"additionalProperties": {"type": "q"}},
    {"$defs": {"a": {"type": "q"}}}, {"if": 3}, {"maximum": "7"}, {"dependentRequired": {"a": "b"}},
    {"$id": "#frag"}, {"title": 7}, {"not": {"oneOf": [{"prefixItems": {}}]}}, 7, None, [],
    {"patternProperties": {"(": {}}}, {"definitions": {"a": {"type": "q"}}}, {"multipleOf": 0},
    {"properties": {"$ref": {"type": "q"}}},
]  # fmt: skip
GOOD_SCHEMAS = [
    {}, True, False, {"type": ["string", "null"]}, {"properties": {"a": True}}, {"$ref": "#/x"},
    {"unknown": 1}, {"errorMessage": {"required": "x"}}, {"const": None}, {"enum": []},
    {"properties": {"type": {"type": "string"}, "$id": {"type": "string"}}},
]  # fmt: skip


@pytest.mark.parametrize("schema", [*BROKEN_SCHEMAS, *GOOD_SCHEMAS], ids=str)
def test_a_schema_is_one_where_jsonschema_says_so(schema):
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        with pytest.raises(ValueError, match=re.escape(f"JSON Schema at {error.json_path}: ")):
            require_schema(schema)
        assert schema in BROKEN_SCHEMAS
    else:
        require_schema(schema)
        assert schema in GOOD_SCHEMAS
