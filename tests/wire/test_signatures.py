"""Signature schemes: known vectors, several secrets, and every kind of malformed credential."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hubtest import UNIFIED, Client
from standardwebhooks.webhooks import Webhook

from hub.config.settings import SourceSettings
from hub.domain.timestamps import format_utc, utc_now
from hub.errors import NotConfigured, Unauthenticated
from hub.wire.signatures import (
    GITHUB_SIGNATURE,
    ONETAP_SIGNATURE,
    OPEN,
    SCHEMES,
    SHARED_SECRET,
    STANDARD_WEBHOOKS,
    WEBHOOK_SIGNATURE,
    WhenSigned,
    signing_timestamp,
)

SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
VECTOR = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
NOW = datetime(2025, 11, 10, 20, 57)
STANDARD_SECRET = "whsec_" + base64.b64encode(b"a secret of the standard kind").decode()


def verify(scheme, headers, body=BODY, secrets=(SECRET,), now=NOW):
    scheme.verify({name.lower(): value for name, value in headers.items()}, body, secrets, now)


@pytest.mark.parametrize(
    ("scheme", "header"),
    [
        (WEBHOOK_SIGNATURE, "X-Webhook-Signature"),
        (GITHUB_SIGNATURE, "X-Hub-Signature-256"),
        (ONETAP_SIGNATURE, "X-Onetap-Signature"),
    ],
)
def test_the_known_vector(scheme, header):
    verify(scheme, {header: f"sha256={VECTOR}"})
    verify(scheme, {header: VECTOR.upper()})
    verify(scheme, {header: VECTOR}, secrets=("another", SECRET))
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(scheme, {header: VECTOR}, secrets=("another",))
    with pytest.raises(Unauthenticated, match=f"Missing {header} header"):
        verify(scheme, {})
    with pytest.raises(NotConfigured, match="Signature verification is not configured"):
        verify(scheme, {header: VECTOR}, secrets=())


def test_a_timestamp_may_be_signed_too_and_must_then_be_recent():
    scheme = signing_timestamp(ONETAP_SIGNATURE)

    def headers(moment):
        signed = moment.encode() + b"." + BODY
        digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        return {"X-Onetap-Signature": f"sha256={digest}", "X-Onetap-Timestamp": moment}

    verify(scheme, headers("2025-11-10T20:56:58.222Z"))
    for moment in ("2025-11-10T20:51:00.000Z", "2025-11-10T21:03:00Z", "today"):
        with pytest.raises(Unauthenticated, match="Invalid signature"):
            verify(scheme, headers(moment))
    stolen = headers("2025-11-10T20:56:58.222Z") | {"X-Onetap-Timestamp": "2025-11-10T20:57:00Z"}
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(scheme, stolen)
    with pytest.raises(Unauthenticated, match="Missing X-Onetap-Timestamp header"):
        verify(scheme, {"X-Onetap-Signature": VECTOR})


def test_a_shared_secret():
    verify(SHARED_SECRET, {"X-Webhook-Secret": SECRET})
    sent_as_utf8 = "pässword".encode().decode("latin-1")
    verify(SHARED_SECRET, {"X-Webhook-Secret": sent_as_utf8}, secrets=("pässword",))
    for wrong in ("x", SECRET + "x", "\u00ff"):
        with pytest.raises(Unauthenticated, match="Invalid signature"):
            verify(SHARED_SECRET, {"X-Webhook-Secret": wrong})


def standard(body=BODY, moment=None, secret=STANDARD_SECRET):
    moment = moment or datetime.now(UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", moment, body.decode()),
    }


def test_standard_webhooks():
    verify(STANDARD_WEBHOOKS, standard(), secrets=(STANDARD_SECRET,))
    other = "whsec_" + base64.b64encode(b"another one").decode()
    verify(STANDARD_WEBHOOKS, standard(), secrets=(other, STANDARD_SECRET))
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(STANDARD_WEBHOOKS, standard(), secrets=(other,))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,not base64!"),
        ("webhook-signature", "v1,\u00ff"),
        ("webhook-signature", "v2,AAAA"),
        ("webhook-signature", ",,,"),
        ("webhook-timestamp", "nan"),
        ("webhook-timestamp", "yesterday"),
        ("webhook-timestamp", "9" * 400),
        ("webhook-id", "msg_2"),
    ],
)
def test_malformed_standard_credentials_are_invalid(header, value):
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(STANDARD_WEBHOOKS, standard() | {header: value}, secrets=(STANDARD_SECRET,))


def test_old_and_missing_standard_credentials():
    old = datetime.now(UTC) - timedelta(minutes=6)
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(STANDARD_WEBHOOKS, standard(moment=old), secrets=(STANDARD_SECRET,))
    for name in standard():
        headers = {key: value for key, value in standard().items() if key != name}
        with pytest.raises(Unauthenticated, match=f"Missing {name} header"):
            verify(STANDARD_WEBHOOKS, headers, secrets=(STANDARD_SECRET,))


def test_a_body_that_is_not_text_is_invalid_and_no_fault():
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(STANDARD_WEBHOOKS, standard(), body=b"\xff", secrets=(STANDARD_SECRET,))


def test_secrets_are_checked_at_the_start():
    for secret in ("whsec_", "whsec_é", "whsec_a", "s3cr3t!!", "not base64 at all"):
        with pytest.raises(ValueError, match="Base64"):
            STANDARD_WEBHOOKS.check_secret(secret)
    for scheme in SCHEMES.values():
        scheme.check_secret(STANDARD_SECRET)
    WhenSigned(GITHUB_SIGNATURE).check_secret("x")


def test_open_lets_everything_pass():
    verify(OPEN, {}, secrets=())


def test_when_signed_checks_only_what_is_signed():
    scheme = WhenSigned(WEBHOOK_SIGNATURE)
    verify(scheme, {})
    verify(scheme, {"X-Webhook-Signature": VECTOR})
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        verify(scheme, {"X-Webhook-Signature": "0"})


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        ({"signature": "github"}, {"X-Hub-Signature-256": "sha256={}"}),
        ({"required": True}, {"X-Webhook-Signature": "sha256={}"}),
        ({"signature": "onetap"}, {"X-Onetap-Signature": "{}"}),
    ],
)
def test_any_source_can_be_made_to_require_a_signature(make_hub, settings, headers):
    own = SourceSettings(**settings, secrets=(SECRET,))
    client = Client(make_hub(sources={"unified": own}))
    assert client.post(UNIFIED, body=BODY).status == 401
    signed = {name: value.format(VECTOR) for name, value in headers.items()}
    # The signature is right; only now is the body found not to be JSON.
    assert client.post(UNIFIED, body=BODY, headers=signed).status == 400


def test_standard_webhooks_over_http_names_the_delivery(make_hub):
    own = SourceSettings(signature="standard-webhooks", secrets=(STANDARD_SECRET,))
    client = Client(make_hub(sources={"unified": own}))
    body = b'{"type": "student"}'
    first = client.post(UNIFIED, body=body, headers=standard(body))
    again = client.post(UNIFIED, body=body, headers=standard(body))
    assert (first.status, again.body) == (400, first.body)
    assert again.headers["x-delivery-replayed"] == "true"


def test_a_signed_timestamp_over_http(make_hub):
    own = SourceSettings(signature="onetap", signed="timestamp.body", secrets=(SECRET,))
    client = Client(make_hub(sources={"unified": own}))
    moment = format_utc(utc_now())
    digest = hmac.new(SECRET.encode(), f"{moment}.{{}}".encode(), hashlib.sha256).hexdigest()
    headers = {"X-Onetap-Signature": digest, "X-Onetap-Timestamp": moment}
    assert client.post(UNIFIED, body=b"{}", headers=headers).status == 400
    assert client.post(UNIFIED, body=b"{ }", headers=headers).status == 401
