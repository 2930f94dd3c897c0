"""The description of the hub: it is complete, and what the hub answers is what it says."""

import json
import re
from datetime import date, datetime

import pytest
from hubtest import UNIFIED, Calls, Client
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from hub.api.openapi.operations import NOT_DESCRIBED, OPERATIONS
from hub.api.openapi.parameters import PARAMETERS

TOKEN = "0123456789abcdef"
CATALOGUE = (
    "zoom", "slack", "jotform", "twilio", "eventbrite", "zkteco", "canvas", "readers", "typeform",
    "msforms", "calendly", "pretix", "luma", "discord", "unifi", "cards", "forms", "qr",
)  # fmt: skip


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def client(hub):
    return Client(hub)


@pytest.fixture
def document(client):
    reply = client.get("/api/openapi.json")
    assert reply.status == 200
    return reply.json


def test_every_path_is_described(hub, document):
    described = {
        (method.upper(), path.rstrip("/") or "/")
        for path, methods in document["paths"].items()
        for method in methods
    }
    left_out = (*NOT_DESCRIBED, "/api/capture/")
    routed = {
        (route.method, re.sub(r"<([a-z]+)>", r"{\1}", route.path))
        for route in hub.routes
        if route.path != "/" and not route.path.startswith(left_out)
    }
    assert described == routed
    identifiers = [
        one["operationId"] for path in document["paths"].values() for one in path.values()
    ]
    assert len(identifiers) == len(set(identifiers))


def test_nothing_is_described_that_is_not_there(hub):
    routed = {(route.method, route.path) for route in hub.routes}
    assert set(OPERATIONS) <= routed
    asked = {name for route in hub.routes for name in route.parameters}
    assert set(PARAMETERS) == asked


def test_every_reference_leads_somewhere(document):
    text = json.dumps(document)
    names = set(re.findall(r'"#/components/schemas/([A-Za-z0-9]+)"', text))
    assert names <= set(document["components"]["schemas"])
    assert "$id" not in text


def test_each_source_is_described_with_its_payloads(make_hub):
    hub = make_hub(enable=CATALOGUE)
    document = Client(hub).get("/api/openapi.json").json
    for endpoint in hub.endpoints:
        for method in endpoint.source.all_methods:
            told = document["paths"][endpoint.path.replace("<", "{").replace(">", "}")][
                method.lower()
            ]
            assert told["tags"] == ["Sources"]
            assert told["parameters"] or method == "GET" or "requestBody" in told
    unified = document["components"]["schemas"]["UnifiedStudentCreatePayload"]
    assert unified["required"] == ["type", "action", "data"]
    assert unified["properties"]["type"] == {"type": "string", "const": "student"}
    email = unified["properties"]["data"]["properties"]["email"]
    assert email["type"] == "string", "it may not be null, where the hub takes null for missing"


def test_its_examples_are_taken(hub, client, document):
    for path, methods in document["paths"].items():
        body = methods.get("post", {}).get("requestBody", {}).get("content", {})
        example = body.get("application/json", {}).get("example")
        if example is not None and "security" not in methods["post"]:
            assert client.post(path, example).status < 500
            validator_of(
                document, methods["post"]["requestBody"]["content"]["application/json"]
            ).validate(example)


def validator_of(document, content):
    """What checks a body, by its media type in the document."""
    whole, schema = (
        json.loads(json.dumps(one).replace('"#/components', '"urn:hub#/components'))
        for one in (document, content["schema"])
    )
    registry = Registry().with_resource("urn:hub", DRAFT202012.create_resource(whole))
    formats = FormatChecker(formats=())
    formats.checks("date-time", ValueError)(_is_moment)
    formats.checks("date", ValueError)(lambda text: not isinstance(text, str) or _is_date(text))
    return Draft202012Validator(schema, registry=registry, format_checker=formats)


def _is_moment(text):
    """A moment in UTC, as RFC 3339 has it."""
    return not isinstance(text, str) or (
        text.endswith("Z") and datetime.fromisoformat(text) is not None
    )


def _is_date(text):
    return len(text) == 10 and date.fromisoformat(text) is not None


@pytest.fixture
def filled(client):
    calls = Calls(client)
    for number in range(1, 4):
        calls.student(f"a{number}")
    calls.event("Lab", "2026-11-01T18:00:00Z")
    calls.event("Rain", "2026-11-02T18:00:00Z")
    calls.attend("a1", "Lab")
    calls.attend("a2", "Lab")
    calls.attend("a9", "Lab")
    client.post(UNIFIED, {"type": "x"})
    headers = {"Authorization": f"Bearer {TOKEN}"}

    def desk(action, reason=None, **data):
        payload = {"action": action, "data": data, "reason": reason}
        return client.post("/api/webhook/desk/", payload, headers=headers)

    assert desk("withdraw", "wrong one", attendance=2).status == 200
    assert desk("hide_event", "cancelled", event="2").status == 200
    return headers


@pytest.mark.parametrize(
    "more",
    ["", "evidence=true&state=all", "order=newest", "count=true", "operations=true", "by=week"],
)
def test_what_it_answers_is_what_it_says(client, document, filled, more):
    """Every path that is only read, with what there is."""
    name = more.partition("=")[0]
    delivery = client.get("/api/deliveries/", headers=filled).json["deliveries"][0]["id"]
    parts = {"event": 1, "student": 1, "attendance": 1, "identifier": delivery}
    checked = 0
    for path, methods in document["paths"].items():
        operation = methods.get("get")
        if operation is None or "{capture}" in path:
            continue
        taken = {one["name"] for one in operation["parameters"]}
        if name and name not in taken:
            continue
        asked = re.sub(r"\{([a-z]+)\}", lambda match: str(parts[match[1]]), path)
        query = "&".join(one for one in more.split("&") if one.partition("=")[0] in taken)
        if "newest" in query and ("." in path.rpartition("/")[2] or "reports" in path):
            continue  # a file has all rows, and a report another order
        reply = client.request("GET", asked, headers=filled, query=query)
        assert reply.status == 200, (path, reply.body)
        (content_type, content), *_ = operation["responses"]["200"]["content"].items()
        assert reply.headers["content-type"].partition(";")[0] == content_type, path
        if content_type == "application/json":
            errors = [
                f"{path}: {error.json_path}: {error.message}"
                for error in validator_of(document, content).iter_errors(reply.json)
            ]
            assert errors == []
        checked += 1
    assert checked >= 1


def test_a_refusal_is_what_it_says(client, document):
    error = {"schema": {"$ref": "#/components/schemas/Error"}}
    for reply in (
        client.get("/api/students/"),
        client.get("/api/nowhere/"),
        client.post(UNIFIED, {"type": "student", "data": {"email": "x"}}),
        client.request("DELETE", "/api/students/"),
    ):
        assert 400 <= reply.status < 500
        validator_of(document, error).validate(reply.json)


def test_what_is_read_first_is_not_another_path(client, filled):
    """A path that is only posted to is not taken for a delivery of that name."""
    for path in ("/api/deliveries/mend/", "/api/deliveries/replay/"):
        reply = client.request("GET", path, headers=filled)
        assert (reply.status, set(reply.headers["allow"].replace(" ", "").split(","))) == (
            405,
            {"OPTIONS", "POST"},
        )


def test_the_newest_with_their_evidence(client, filled):
    reply = client.request(
        "GET", "/api/attendances/", headers=filled, query="order=newest&evidence=true"
    )
    assert reply.json["attendances"][0]["evidence"][0]["kind"] == "check_in"
