"""What a browser says of where a request comes from."""

import pytest
from hubtest import LEGACY, UNIFIED, Client

CHECK_IN = {"student_identifier": "a1", "event_identifier": "Weekly Meeting"}


def post(client, content_type, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(LEGACY, CHECK_IN, content_type=content_type, headers=named)


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "multipart/form-data"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Origin": "http://local[host"},
        {"Sec_Fetch_Site": "same-site", "Origin": "https://evil.example"},
    ],
)
def test_a_page_of_another_site_is_403_and_nothing_is_kept(client, rows, content_type, headers):
    reply = post(client, content_type, Host="localhost", **headers)
    assert (reply.status, reply.error) == (403, "Requests from pages of other sites are not taken")
    assert rows.count("Delivery") == 0


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": "http://hub.example:8000"},
        {"Origin": "HTTP://Hub.Example:8000"},
    ],
)
def test_the_hubs_own_pages_and_what_is_no_browser_are_taken(client, headers):
    assert post(client, None, Host="hub.example:8000", **headers).status == 404


def test_the_port_of_a_scheme_need_not_be_written(client):
    assert post(client, None, Host="hub.example", Origin="https://hub.example:443").status == 404


def test_json_is_left_to_the_browsers_own_question(client):
    for origin in ("https://evil.example", "null"):
        reply = post(client, "application/json", Origin=origin, Sec_Fetch_Site="cross-site")
        assert reply.status == 404
        assert "access-control-allow-origin" not in reply.headers


def test_an_allowed_origin_may_post_without_a_content_type(make_hub):
    client = Client(make_hub(allowed_origins=("https://club.example",)))
    allowed = {"Origin": "https://club.example", "Sec_Fetch_Site": "cross-site"}
    assert post(client, None, Host="localhost", **allowed).status == 404


def test_with_a_public_url_the_host_header_says_nothing(make_hub):
    client = Client(make_hub(public_url="https://hub.example.edu"))
    for host, origin, status in (
        ("hub.example.edu", "https://hub.example.edu", 404),
        ("127.0.0.1:8000", "https://hub.example.edu", 404),
        ("evil.example", "https://evil.example", 403),
        ("hub.example.edu", "http://hub.example.edu", 403),
    ):
        assert post(client, None, Host=host, Origin=origin).status == status


def test_a_refused_one_is_counted(hub, client):
    client.post(UNIFIED, {}, content_type=None, headers={"Origin": "null"})
    assert hub.endpoints[0].counters.shown()["deliveries"]["refused"] == 1
