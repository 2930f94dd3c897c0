"""The probes and the metrics, over a real hub."""

import json
from datetime import timedelta

import pytest
from hubtest import LEGACY, UNIFIED, Calls, Client
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text_format

from hub.domain.distribution import Distribution
from hub.domain.timestamps import utc_now
from hub.errors import StoreUnavailable
from hub.jobs import tokens
from hub.record.heard import LastHeard

TOKEN = "0123456789abcdef"
HERE = {"Host": "127.0.0.1:8000"}
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@pytest.fixture
def hub(make_hub):
    return make_hub(admin_token=TOKEN)


@pytest.fixture
def client(hub):
    return Client(hub)


def scrape(client, headers=HERE, address="127.0.0.1"):
    return client.request("GET", "/metrics", headers=headers, address=address)


def scraped(client, headers=HERE, read=text_format):
    reply = scrape(client, headers)
    assert reply.status == 200
    samples = {}
    for family in read(reply.body.decode()):
        for sample in family.samples:
            samples[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def of(samples, name, **labels):
    return samples.get((name, tuple(sorted(labels.items()))))


class TestProbes:
    def test_a_hub_that_goes_on(self, client):
        assert client.get("/livez").json == {"status": "alive"}
        assert client.get("/readyz/").json == {"status": "ready"}

    def test_one_that_ends(self, client, hub):
        hub.serving.is_ending = True
        assert client.get("/livez").status == 200
        reply = client.get("/readyz")
        assert (reply.status, reply.json["reason"]) == (503, "the hub ends")

    def test_one_that_is_held_up(self, client, hub):
        hub.serving.is_held_up = lambda: True
        reply = client.get("/readyz")
        assert (reply.status, reply.json["reason"]) == (503, "a plugin holds the check-ins up")

    def test_one_whose_store_is_away(self, client, hub, monkeypatch):
        monkeypatch.setattr(hub.store, "_broken", "it is gone")
        reply = client.get("/readyz")
        reason = "the store does not take check-ins"
        assert (reply.status, reply.json["reason"]) == (503, reason)
        assert of(scraped(client), "hub_store_up") == 0

    def test_one_that_an_older_hub_must_not_write_to(self, client, hub):
        # Undone at the end: other tests have the same database.
        with pytest.raises(StoreUnavailable), hub.store.writing() as tx:
            tx.run("UPDATE schema_version SET readable_from = 1000")
            assert client.get("/readyz").status == 503
            raise StoreUnavailable("undo it")


class TestMetrics:
    @pytest.mark.parametrize(
        ("headers", "read"), [(HERE, text_format), ({**HERE, **OPENMETRICS}, openmetrics)]
    )
    def test_both_formats(self, client, headers, read):
        reply = scrape(client, headers)
        kind = "application/openmetrics-text" if read is openmetrics else "text/plain"
        assert reply.headers["content-type"].startswith(f"{kind}; version=")
        assert reply.headers["cache-control"] == "no-store"
        assert len(list(read(reply.body.decode()))) > 15

    def test_deliveries(self, client):
        calls = Calls(client)
        calls.student("a1")
        calls.event("Lab")
        calls.attend("a1", "Lab")
        calls.attend("a9", "Lab")
        client.post(UNIFIED, {"type": "x"})
        found = scraped(client)
        assert of(found, "hub_deliveries_total", source="unified", outcome="applied") == 3
        assert of(found, "hub_deliveries_total", source="unified", outcome="refused") == 2
        assert of(found, "hub_delivery_seconds_count", source="unified") == 5
        assert of(found, "hub_delivery_seconds_bucket", source="unified", le="+Inf") == 5
        assert of(found, "hub_waiting") == 1
        assert of(found, "hub_store_up") == 1
        with_labels = [name for name, _ in found]
        for name in ("hub_build_info", "hub_batch_size_count", "hub_event_streams"):
            assert name in with_labels

    def test_a_restart_does_not_forget_when_a_source_was_heard(self, client, make_hub):
        Calls(client).student("a1")
        (at,) = (
            value
            for (name, labels), value in scraped(client).items()
            if name == "hub_last_delivery_timestamp_seconds"
        )
        again = Client(make_hub())
        found = scraped(again)
        assert of(found, "hub_last_delivery_timestamp_seconds", source="unified") == at
        assert of(found, "hub_deliveries_total", source="unified", outcome="applied") is None
        Calls(again).student("a2")
        assert of(scraped(again), "hub_last_delivery_timestamp_seconds", source="unified") > at

    def test_events_that_are_on(self, client):
        now = utc_now()
        for name, hours in (("a", -5), ("b", -1), ("c", 1)):
            Calls(client).event(name, f"{now + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}")
        assert of(scraped(client), "hub_events_running") == 1

    def test_no_name_of_a_person_is_in_them(self, client):
        Calls(client).student("A01234567", first_name="Ada", email="ada@example.edu")
        page = scrape(client).body.decode()
        assert "A01234567" not in page
        assert "ada" not in page.lower()


class TestWhoMaySeeThem:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Host": "hub.example.edu"},
            {**HERE, "X-Forwarded-For": "198.51.100.7"},
            {**HERE, "Forwarded": "for=198.51.100.7"},
            {**HERE, "X-Real-IP": "198.51.100.7"},
            {**HERE, "Origin": "http://evil.example"},
            {**HERE, "Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},
            {"Host": "[::1"},
            {**HERE, "Authorization": "Bearer wrong"},
        ],
    )
    def test_nobody_without_a_token(self, client, headers):
        assert scrape(client, headers).status == 401

    def test_nobody_from_elsewhere(self, client):
        reply = scrape(client, address="198.51.100.7")
        assert (reply.status, reply.error) == (401, "Missing token")

    def test_a_token(self, client, hub):
        made = {
            scope: tokens.create(hub.store, scope, [scope], [], None)
            for scope in ("metrics", "read")
        }
        elsewhere = {"Host": "hub.example.edu"}
        for scope, status in (("metrics", 200), ("read", 403)):
            headers = {**elsewhere, "Authorization": f"Bearer {made[scope]}"}
            assert scrape(client, headers).status == status


def test_last_heard_goes_back_a_page_at_a_time(client, hub, monkeypatch):
    monkeypatch.setattr("hub.record.heard._PAGE", 3)
    client.post(LEGACY, {})
    calls = Calls(client)
    for number in range(7):
        calls.student(f"a{number}")
    heard = LastHeard(["unified", "legacy"])
    with hub.store.reading() as db:
        looks = [set(heard.look(db)) for _ in range(4)]
    assert looks[0] == {"unified"}
    assert looks[-1] == {"unified", "legacy"}


def test_a_distribution():
    measured = Distribution(1, 10)
    for value in (0.5, 1, 2, 100):
        measured.add(value)
    assert measured.measured() == ([(1, 2), (10, 3), (float("inf"), 4)], 103.5)


def test_as_many_as_one_likes(client):
    """A page that anyone may ask for is made some twenty times a second at the most."""
    pages = [client.get("/readyz") for _ in range(60)]
    assert {page.status for page in pages} == {200}
    assert json.loads(pages[0].body) == {"status": "ready"}
