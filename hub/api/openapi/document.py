"""The document: every route of a hub, and every source that is loaded, as OpenAPI 3.1.1 has them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.api.files import FORMS
from hub.api.openapi.objects import OBJECTS, ref
from hub.api.openapi.operations import JSON, NOT_DESCRIBED, OPERATIONS, Described
from hub.api.openapi.parameters import PATH_PARTS, REQUIRED, described
from hub.api.route import Route
from hub.domain.tokens import Scope
from hub.intake.endpoint import Endpoint
from hub.plugin.source import parts_in
from hub.version import __version__
from hub.wire.forms import QUERY, Json
from hub.wire.references import NAMED, PLAIN
from hub.wire.signatures import HubToken, Open, WhenSigned

VERSION = "3.1.1"

Schema = dict[str, Any]

_PART = re.compile(r"<([a-z]+)(?::[a-z]+)?>")
_ERROR = {"description": "It was not taken", "content": {JSON: {"schema": ref("Error")}}}
_UNAVAILABLE = {
    "description": "It cannot be taken now; send the same again",
    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
    "content": {JSON: {"schema": ref("Error")}},
}
_ABOUT = (
    "What the hub takes and tells. Programs match on the sentences in `error`. A path works with and "
    "without its trailing slash. All moments are in UTC (RFC 3339)."
)


def document(
    routes: Iterable[Route], endpoints: Sequence[Endpoint], public_url: str
) -> Mapping[str, Any]:
    """The description of a hub with these routes and sources."""
    routes = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    of_sources = {path: one for one in endpoints for path in _paths_of(one)}
    schemes: dict[str, Any] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "One of the hub's tokens: attendance-hub token create",
        }
    }
    for route in routes:
        if route.path == "/" or route.path.startswith(NOT_DESCRIBED):
            continue
        endpoint = of_sources.get(route.path)
        operation = (
            _of_route(route, endpoints)
            if endpoint is None
            else _of_source(route, endpoint, schemes)
        )
        paths.setdefault(_shown(route.path), {})[route.method.lower()] = operation
    schemas = dict(OBJECTS)
    for endpoint in endpoints:
        schemas |= _payloads(endpoint)
    return {
        "openapi": VERSION,
        "info": {
            "title": "attendance-hub",
            "version": __version__,
            "summary": "One truthful attendance record",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": public_url or "/"}],
        "tags": [{"name": name} for name in _tags(paths)],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def _tags(paths: Mapping[str, Any]) -> list[str]:
    """The tags, in the order in which they are described first."""
    known = ["Sources", *dict.fromkeys(one.tag for one in OPERATIONS.values())]
    used = {tag for path in paths.values() for one in path.values() for tag in one["tags"]}
    return [tag for tag in known if tag in used]


def _shown(path: str) -> str:
    """A path as the document has it: its parts in braces, and with the slash at its end."""
    shown = _PART.sub(r"{\1}", path)
    is_file = "." in shown.rpartition("/")[2]
    return shown if is_file or not shown.startswith("/api/") else f"{shown}/"


def _paths_of(endpoint: Endpoint) -> Iterator[str]:
    for path in (f"/api/webhook/{endpoint.source.path}", *endpoint.source.paths):
        yield parts_in(path)


def _of_route(route: Route, endpoints: Sequence[Endpoint]) -> Schema:
    about, form = _described(route, endpoints)
    answer: Schema = {"description": about.summary}
    if form is not None:
        binary = {"type": "string"}
        answer["content"] = {FORMS[form].type.partition(";")[0]: {"schema": binary}}
    elif about.answer is not None:
        answer["content"] = {about.answer_type: {"schema": about.answer}}
    operation: Schema = {
        "tags": [about.tag],
        "summary": about.summary + (f", as {form.upper()}" if form else ""),
        "operationId": _identifier(route),
        "parameters": [*_parts(route.path), *_query(route)],
        "responses": {
            str(about.status): answer,
            **{str(status): _other(schema) for status, schema in about.others.items()},
            **({"401": _ERROR, "403": _ERROR} if route.scope else {}),
            "default": _ERROR,
        },
    }
    if route.scope:
        operation["description"] = f"Scope: `{route.scope}`"
        operation["security"] = [{"token": []}]
        if route.scope == Scope.METRICS:
            operation["security"].insert(0, {})
    if about.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": about.body}}}
    if about.files:
        operation["requestBody"] = {
            "required": True,
            "content": {name: {"schema": {}} for name in about.files},
        }
    return operation


def _described(route: Route, endpoints: Sequence[Endpoint]) -> tuple[Described, str | None]:
    """What is known of a route, and as which file it answers, if it does. Raises KeyError where somebody
    has not described it.
    """
    known = OPERATIONS.get((route.method, route.path))
    if known is not None:
        return known, None
    if any(route.path == f"{one.path}status" for one in endpoints):
        return OPERATIONS["GET", "/api/webhook/status"], None
    listing, _, form = route.path.rpartition(".")
    return OPERATIONS[route.method, listing], form


def _other(schema: Mapping[str, Any] | None) -> Schema:
    if schema is None:
        return {"description": "It has not changed"}
    return {"description": "See its body", "content": {JSON: {"schema": schema}}}


def _identifier(route: Route) -> str:
    words = re.findall(r"[A-Za-z]+", route.path.removeprefix("/api"))
    return "_".join([route.method.lower(), *words])


def _parts(path: str) -> Iterator[Schema]:
    for name in _PART.findall(path):
        about, schema = PATH_PARTS.get(name, ("", {"type": "string", "minLength": 1}))
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": schema,
            **({"description": about} if about else {}),
        }


def _query(route: Route) -> Iterator[Schema]:
    for name in route.parameters:
        if name == "for" and not route.path.endswith(".csv"):
            continue  # it is for CSV, which a listing is only where Accept says so
        about, schema = described(name, route.path)
        required = {"required": True} if (name, route.path) in REQUIRED else {}
        yield {"name": name, "in": "query", "description": about, "schema": schema, **required}


def _of_source(route: Route, endpoint: Endpoint, schemes: dict[str, Any]) -> Schema:
    """What a source takes. What it answers to what it has taken may be its own."""
    source = endpoint.source
    operation: Schema = {
        "tags": ["Sources"],
        "summary": f"Post to {source.name}",
        "operationId": _identifier(route),
        "description": f"Plugin `{endpoint.plugin}`. Protection: {endpoint.protection}.",
        "parameters": list(_parts(route.path)),
        "responses": {
            "200": _taken(source),
            "201": _taken(source),
            "400": _ERROR,
            "404": _ERROR,
            "503": _UNAVAILABLE,
            "default": _ERROR,
        },
    }
    if source.body is QUERY or route.method == "GET":
        operation["parameters"] += _members(endpoint)
    else:
        operation["requestBody"] = {
            "required": True,
            "content": {name: {"schema": _payload(endpoint)} for name in _media_types(endpoint)},
        }
        if source.example is not None:
            for content in operation["requestBody"]["content"].values():
                content["example"] = dict(source.example)
    if (security := _security(endpoint, schemes)) is not None:
        operation["security"] = security
        operation["responses"]["401"] = _ERROR
    return operation


def _taken(source: Any) -> Schema:
    if source.reply is not None:
        return {"description": "Taken; the answer is in its sender's words", "content": {"*/*": {}}}
    schema = {"type": "object"} if source.answer is not None or source.rows else ref("Taken")
    return {
        "description": "Taken",
        "headers": {"X-Delivery-Id": {"schema": {"type": "string"}}},
        "content": {JSON: {"schema": schema}},
    }


def _media_types(endpoint: Endpoint) -> Sequence[str]:
    body = endpoint.source.body
    own = tuple(body.media_types)
    return (JSON, *own) if isinstance(body, Json) else own or ("*/*",)


def _members(endpoint: Endpoint) -> Iterator[Schema]:
    """The members of a payload that is the query."""
    seen: set[str] = set()
    for payload in _payloads(endpoint).values():
        for name, member in payload.get("properties", {}).items():
            if name not in seen:
                seen.add(name)
                required = name in payload.get("required", ()) and len(endpoint.validators) == 1
                yield {"name": name, "in": "query", "required": required, "schema": member}


def _payloads(endpoint: Endpoint) -> Mapping[str, Schema]:
    """The schemas of a source's payloads, by the names that they have in a document."""
    return {
        _named(endpoint, kind): _told_by(_plain(one.schema), endpoint.source.told_by.get(kind, {}))
        for kind, one in endpoint.validators.items()
    }


def _told_by(schema: Schema, members: Mapping[str, str]) -> Schema:
    """The schema of a kind, with the members by which it is known."""
    if not members:
        return schema
    told = {name: {"type": "string", "const": value} for name, value in members.items()}
    required = [*members, *(one for one in schema.get("required", ()) if one not in members)]
    return {**schema, "properties": {**told, **schema.get("properties", {})}, "required": required}


def _payload(endpoint: Endpoint) -> Schema:
    """The schema of what a source takes: one of its payloads, or an array of them."""
    every: list[Schema] = [dict(ref(_named(endpoint, kind))) for kind in endpoint.validators]
    if endpoint.source.rows == "":
        every = [{"type": "array", "items": one} for one in every]
    return every[0] if len(every) == 1 else {"anyOf": every}


def _named(endpoint: Endpoint, kind: str) -> str:
    """The name of a payload's schema, such as ``UnifiedStudentCreatePayload``."""
    words = re.findall(r"[A-Za-z0-9]+", f"{endpoint.source.name} {kind}")
    return "".join(word[0].upper() + word[1:] for word in (*words, "Payload"))


def _plain(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    plain: Schema = {}
    for keyword, value in schema.items():
        if keyword in ("$id", "$schema", "title"):
            continue
        if keyword in NAMED:
            plain[keyword] = {name: _plain(one) for name, one in value.items()}
        elif keyword == "errorMessage":
            plain["x-error-message"] = value
        else:
            plain[keyword] = value if keyword in PLAIN else _plain(value)
    if "array" in plain.get("type", ()):
        plain.setdefault("items", {})  # those who make clients ask for it
    required, members = plain.get("required"), plain.get("properties")
    if isinstance(required, list) and isinstance(members, dict):
        # The hub's dialect: a member that is null, empty or blank counts as missing.
        plain["properties"] = {
            name: _there(member) if name in required else member for name, member in members.items()
        }
    return plain


def _there(member: Any) -> Any:
    """The schema of a member that is there: not null, not blank, not empty."""
    if not isinstance(member, dict) or "type" not in member:
        return member
    given = member["type"]
    types = [one for one in ([given] if isinstance(given, str) else given) if one != "null"]
    there = {**member, "type": types[0] if len(types) == 1 else types}
    if "string" in types:
        there |= {"minLength": 1} if "pattern" in member else {"pattern": r"\S"}
    if "object" in types:
        there.setdefault("minProperties", 1)
    if "array" in types:
        there.setdefault("minItems", 1)
    return there


def _security(endpoint: Endpoint, schemes: dict[str, Any]) -> list[dict[str, list[str]]] | None:
    """How a request proves where it comes from; None where it need not."""
    scheme = endpoint.authentication
    if isinstance(scheme, Open):
        return None
    if isinstance(scheme, HubToken):
        return [{"token": []}]
    headers = list(scheme.headers)
    if not headers:
        return None  # it is in the body, the query or the path
    name = re.sub(r"[^A-Za-z0-9._-]", "-", f"{scheme.scheme}-{headers[0]}")
    schemes[name] = {
        "type": "apiKey",
        "in": "header",
        "name": headers[0],
        "description": endpoint.protection,
    }
    optional: list[dict[str, list[str]]] = [{}] if isinstance(scheme, WhenSigned) else []
    return [*optional, {name: []}]
