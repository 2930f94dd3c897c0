"""The table of signatures: vectors that vendors publish, and every kind of wrong credential."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from hub.errors import NotConfigured, Unauthenticated
from hub.wire.credentials import BASIC, Basic, Known, SecretIn
from hub.wire.hmacs import Ed25519, Hmac
from hub.wire.request import FORM_TYPE, Place, Request

NOW = datetime(2026, 3, 10, 18, 2, 11)
SECONDS = str(int(NOW.replace(tzinfo=UTC).timestamp()))
SECRET = "It's a Secret to Everybody"
STRIPE = Hmac("stripe", "Stripe-Signature", value="t={t},v1={sig}", signed="{t}.{body}")
SLACK = Hmac(
    "slack",
    "X-Slack-Signature",
    value="v0={sig}",
    signed="v0:{header:X-Slack-Request-Timestamp}:{body}",
    timestamp="X-Slack-Request-Timestamp",
)
TWILIO = Hmac(
    "twilio",
    "X-Twilio-Signature",
    signed="{url}{form:sorted}",
    algorithm="sha1",
    encoding="base64",
)


def made(scheme, request=None, secret=SECRET, **changed):
    """A signed request."""
    request = request or Request(body=b'{"a": 1}', headers={"content-type": "application/json"})
    return scheme.sign_request(request, secret, NOW, "msg_1")


def test_the_example_of_slack():
    """api.slack.com, "Verifying requests from Slack"."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    sent = "1531420618"
    signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    headers = {"x-slack-signature": signature, "x-slack-request-timestamp": sent}
    now = datetime.fromtimestamp(int(sent), UTC).replace(tzinfo=None)
    request = Request(body=body, headers=headers)
    SLACK.verify_request(request, ("8f742231b10e8888abcd99yyyzzz85a5",), now)
    with pytest.raises(Unauthenticated, match="Invalid signature"):
        SLACK.verify_request(request, ("8f742231b10e8888abcd99yyyzzz85a6",), now)
    with pytest.raises(Unauthenticated) as refused:
        SLACK.verify_request(request, ("8f742231b10e8888abcd99yyyzzz85a5",), NOW)
    assert refused.value.details == "The signature's timestamp is outside the tolerance"


def test_the_example_of_twilio():
    """twilio.com/docs, "Webhooks security"."""
    members = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    request = Request(
        base="https://mycompany.com",
        path="/myapp.php",
        query="foo=1&bar=2",
        body=urlencode(members).encode(),
        headers={"content-type": FORM_TYPE, "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8="},
    )
    TWILIO.verify_request(request, ("12345",), NOW)
    for changed in (
        {"query": "foo=1&bar=3"},
        {"base": "http://mycompany.com"},
        {"body": request.body + b"&More=1"},
    ):
        other = Request(**{**vars_of(request), **changed})
        with pytest.raises(Unauthenticated):
            TWILIO.verify_request(other, ("12345",), NOW)


def vars_of(request):
    names = ("method", "path", "query", "headers", "body", "parts", "base")
    return {name: getattr(request, name) for name in names}


def with_signature(value, body=b'{"a": 1}'):
    return Request(body=body, headers={"stripe-signature": value})


def digest(content, algorithm=hashlib.sha256, secret=SECRET):
    return hmac.new(secret.encode(), content, algorithm)


RIGHT = digest(f'{SECONDS}.{{"a": 1}}'.encode()).hexdigest()


@pytest.mark.parametrize(
    "value",
    [
        f"t={SECONDS},v1={RIGHT}",
        f"v1={RIGHT},t={SECONDS}",
        f"t={SECONDS}, v1={RIGHT}",
        f"t={SECONDS},v1={'0' * 64},v1={RIGHT}",
        f"t={SECONDS},v0={'0' * 64},v1={RIGHT}",
        f"t={SECONDS},v1={RIGHT.upper()}",
    ],
)
def test_members_of_a_signature_in_any_order(value):
    STRIPE.verify_request(with_signature(value), ("another", SECRET), NOW)


@pytest.mark.parametrize(
    ("value", "details"),
    [
        (f"t={SECONDS},t={SECONDS},v1={RIGHT}", "t must come once in Stripe-Signature header"),
        (f"v1={RIGHT}", "t must come once in Stripe-Signature header"),
        (f"t={SECONDS}", "Write Stripe-Signature header as t={t},v1={sig}"),
        (f"t={SECONDS},v1=", None),
        (f"t={SECONDS},v1={RIGHT[:-2]}", None),
        (f"t={SECONDS},v1={RIGHT}é", None),
        (f"t={int(SECONDS) + 1},v1={RIGHT}", None),
        ("t=,v1=", "The signature's timestamp"),
        (f"t=yesterday,v1={RIGHT}", "The signature's timestamp is not ISO 8601"),
        (
            f"t={int(SECONDS) - 301},v1={RIGHT}",
            "The signature's timestamp is outside the tolerance",
        ),
        (f"t={'9' * 400},v1={RIGHT}", "The signature's timestamp"),
    ],
)
def test_wrong_members_of_a_signature(value, details):
    with pytest.raises(Unauthenticated) as refused:
        STRIPE.verify_request(with_signature(value), (SECRET,), NOW)
    if details:
        told = f"{refused.value.error} {refused.value.details}"
        assert details.split("Stripe")[0] in told or refused.value.error.startswith("Missing")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512", "md5"])
@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
@pytest.mark.parametrize("value", ["{sig}", "sha={sig}", "t={t};v1={sig}"])
def test_what_is_signed_is_verified(algorithm, encoding, value):
    signed = "{t}{body}" if "{t}" in value else "{method}{path}{query}{body}{sha256:body}"
    scheme = Hmac("x", "X-Sig", value=value, signed=signed, algorithm=algorithm, encoding=encoding)
    request = made(scheme)
    scheme.verify_request(request, (SECRET,), NOW)
    other = Request(**{**vars_of(request), "body": b"{}"})
    with pytest.raises(Unauthenticated):
        scheme.verify_request(other, (SECRET,), NOW)


@pytest.mark.parametrize(
    ("place", "request_"),
    [
        ("query:sig", Request(query="a=1")),
        ("form:sig", Request(body=b"a=1", headers={"content-type": FORM_TYPE})),
        ("path:sig", Request(path="/hook/{sig}")),
        ("json:/signature/sig", Request(body=b'{"signature": {"sig": ""}}')),
    ],
)
def test_a_signature_may_stand_anywhere(place, request_):
    scheme = Hmac("x", place, signed="{method}")
    request = scheme.sign_request(request_, SECRET, NOW, "")
    scheme.verify_request(request, (SECRET,), NOW)
    hidden = Place.of(place).removed_from(request)
    assert Place.of(place).in_(hidden) == "[removed]"
    assert digest(b"POST").hexdigest() not in f"{hidden.query}{hidden.path}{hidden.body}"


def test_keys_may_be_written_in_other_ways():
    key = b"\x00\x01 raw"
    for written, how in ((base64.b64encode(key).decode(), "base64"), (key.hex(), "hex")):
        scheme = Hmac("x", "X-Sig", key=how, key_prefix="whsec_")
        scheme.check_secret(f"whsec_{written}")
        request = Request(headers={"x-sig": hmac.new(key, b"", hashlib.sha256).hexdigest()})
        scheme.verify_request(request, (f"whsec_{written}",), NOW)
        with pytest.raises(ValueError, match="is written as"):
            scheme.check_secret("nothing of the kind!")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"value": "v1"}, "must have one {sig}"),
        ({"algorithm": "crc32"}, "algorithm: use one of"),
        ({"encoding": "octal"}, "encoding: use one of"),
        ({"key": "octal"}, "key: use one of"),
        ({"signed": "{body}{nonsense}"}, "write {header:nonsense}"),
        ({"signed": "{body}{cookie:a}"}, "is no place"),
        ({"timestamp": "X-Time"}, "is not signed"),
        ({"identifier": "X-Id"}, "is not signed"),
        ({"place": "json:a"}, "begins with /"),
    ],
)
def test_a_spelling_that_proves_nothing_is_no_scheme(options, said):
    with pytest.raises(ValueError, match=said):
        Hmac("x", **{"place": "X-Sig", **options})


def test_without_a_secret_it_is_not_configured():
    for scheme in (STRIPE, SecretIn("query:a"), BASIC):
        with pytest.raises(NotConfigured):
            scheme.verify_request(Request(), (), NOW)


class TestEd25519:
    SCHEME = Ed25519(
        "discord",
        "X-Signature-Ed25519",
        signed="{header:X-Signature-Timestamp}{body}",
        timestamp="X-Signature-Timestamp",
    )

    @pytest.fixture
    def key(self):
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        key = Ed25519PrivateKey.generate()
        raw = serialization.Encoding.Raw
        private = key.private_bytes(
            raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        ).hex()
        return private, key.public_key().public_bytes(raw, serialization.PublicFormat.Raw).hex()

    def test_what_is_signed_is_verified(self, key):
        private, public = key
        request = self.SCHEME.sign_request(Request(body=b"{}"), private, NOW, "")
        self.SCHEME.verify_request(request, ("00" * 32, public), NOW)
        for now in (NOW + timedelta(hours=1), NOW - timedelta(hours=1)):
            with pytest.raises(Unauthenticated, match="Invalid signature"):
                self.SCHEME.verify_request(request, (public,), now)

    @pytest.mark.parametrize("change", [str.upper, lambda one: one])
    def test_hex_of_either_case(self, key, change):
        private, public = key
        request = self.SCHEME.sign_request(Request(body=b"{}"), private, NOW, "")
        headers = {
            **request.headers,
            "x-signature-ed25519": change(request.headers["x-signature-ed25519"]),
        }
        self.SCHEME.verify_request(Request(body=b"{}", headers=headers), (public,), NOW)

    @pytest.mark.parametrize("length", [0, 1, 31, 63, 65, 1000])
    def test_a_signature_of_the_wrong_length(self, key, length):
        headers = {"x-signature-ed25519": "ab" * length, "x-signature-timestamp": SECONDS}
        with pytest.raises(Unauthenticated):
            self.SCHEME.verify_request(Request(body=b"{}", headers=headers), (key[1],), NOW)

    @pytest.mark.parametrize("secret", ["", "ab" * 31, "ab" * 33, "zz" * 32])
    def test_what_is_no_public_key(self, secret):
        with pytest.raises(ValueError, match="64 hex digits"):
            self.SCHEME.check_secret(secret)


@pytest.mark.parametrize(
    ("place", "request_"),
    [
        ("X-Token", Request(headers={"x-token": SECRET})),
        ("query:token", Request(query=urlencode({"token": SECRET}))),
        ("form:token", Request(body=urlencode({"token": SECRET}).encode())),
        ("path:token", Request(path="/x", parts={"token": SECRET})),
        ("json:/token", Request(body=b'{"token": "It\'s a Secret to Everybody"}')),
    ],
)
def test_a_secret_anywhere(place, request_):
    scheme = SecretIn(place)
    scheme.verify_request(request_, ("another", SECRET), NOW)
    with pytest.raises(Unauthenticated, match="Invalid secret"):
        scheme.verify_request(request_, ("another",), NOW)
    with pytest.raises(Unauthenticated, match="Missing"):
        scheme.verify_request(Request(), (SECRET,), NOW)


def test_a_secret_that_comes_twice_is_none():
    twice = urlencode([("token", SECRET), ("token", SECRET)])
    with pytest.raises(Unauthenticated, match="Invalid secret"):
        SecretIn("query:token").verify_request(Request(query=twice), (SECRET,), NOW)


def test_basic():
    def basic(text, kind="Basic"):
        return Request(
            headers={"authorization": f"{kind} {base64.b64encode(text.encode()).decode()}"}
        )

    BASIC.verify_request(basic("ada:p:w"), ("ada:p:w",), NOW)
    Basic("ada").verify_request(basic("ada:p:w"), ("p:w",), NOW)
    for request in (
        basic("ada:no"),
        basic("ada:p:w", "Bearer"),
        basic(""),
        Request(headers={"authorization": "Basic é"}),
    ):
        with pytest.raises(Unauthenticated) as refused:
            BASIC.verify_request(request, ("ada:p:w",), NOW)
        assert refused.value.headers["WWW-Authenticate"].startswith("Basic")
    with pytest.raises(ValueError, match="user:password"):
        BASIC.check_secret("password")


def test_a_device_that_is_known():
    scheme = Known("query:SN", {"A1"})
    scheme.verify_request(Request(query="SN=A1"), (), NOW)
    for query in ("", "SN=", "SN=A2", "SN=A1&SN=A1"):
        with pytest.raises(Unauthenticated, match="SN in the query"):
            scheme.verify_request(Request(query=query), (), NOW)
