"""Tokens: what proves them, and every way to fake one."""

import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from hub.errors import InvalidPayload, NotConfigured, Unauthenticated
from hub.wire.jwt import Jwt, KeySet, claims_of, keys_of
from hub.wire.request import Request

NOW = datetime.now(UTC)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
JWK = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "one"}
CLAIMS = {"iat": NOW, "exp": NOW + timedelta(days=1), "aud": "hub", "iss": "canvas"}


def scheme(**options):
    made = Jwt("body", jwks="https://keys.example/jwks", **options)
    made.keys.take({"keys": [JWK]})
    return made


def token(claims=CLAIMS, key=KEY, algorithm="RS256", kid="one", **headers):
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid, **headers})


def verify(made, text, secrets=()):
    made.verify_request(Request(body=text.encode()), secrets, NOW.replace(tzinfo=None))


def test_a_right_one():
    verify(scheme(), token())
    verify(scheme(audience="hub", issuer="canvas"), token())
    verify(scheme(), f'"{token()}"')


def unsigned():
    return jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "one"})


def confused():
    """HS256 with the public key as the secret."""
    import base64
    import hashlib
    import hmac

    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    body = base64.urlsafe_b64encode(b'{"aud":"hub"}').rstrip(b"=")
    signature = hmac.new(PUBLIC, head + b"." + body, hashlib.sha256).digest()
    return b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


WRONG = [
    unsigned(),
    confused(),
    token({**CLAIMS, "exp": NOW - timedelta(days=1)}),
    token({**CLAIMS, "nbf": NOW + timedelta(days=1)}),
    token({**CLAIMS, "aud": "others"}),
    token({name: one for name, one in CLAIMS.items() if name != "aud"}),
    token({**CLAIMS, "iss": "others"}),
    token(key=OTHER),
    token(kid="../../etc/passwd"),
    token(kid="https://evil.example/jwks"),
    token(kid="two"),
    token(jku="https://evil.example/jwks", kid="two"),
    token(algorithm="RS512"),
    token()[:-10],
    token() + "A",
    "",
    "a.b.c",
    "..",
    "nonsense",
    "e30.e30.",
    "\xff\xfe",
    "[" * 10_000,
]


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_a_wrong_one(text):
    with pytest.raises(Unauthenticated):
        verify(scheme(audience="hub", issuer="canvas"), text)


def test_an_unknown_key_has_the_keys_fetched_again():
    made, asked = scheme(), []
    made.keys.wake = lambda: asked.append(1)
    with pytest.raises(Unauthenticated, match="Invalid token"):
        verify(made, token(kid="new"))
    assert asked == [1]


def test_before_the_keys_are_known_it_is_refused_with_a_mend():
    made = Jwt("body", jwks="https://keys.example/jwks")
    with pytest.raises(Unauthenticated) as refused:
        verify(made, token())
    assert (
        refused.value.details == "The sender's keys could not be fetched yet; send it again later"
    )


def test_a_secret_as_the_key():
    secret = "a secret of at least thirty-two bytes"
    made = Jwt(algorithms=("HS256",))
    text = jwt.encode(CLAIMS, secret, algorithm="HS256")
    request = Request(headers={"authorization": f"Bearer {text}"})
    made.verify_request(request, ("x" * 32, secret), NOW)
    with pytest.raises(Unauthenticated):
        made.verify_request(request, ("x" * 32,), NOW)
    with pytest.raises(NotConfigured):
        made.verify_request(request, (), NOW)
    with pytest.raises(Unauthenticated, match="Missing Authorization header"):
        made.verify_request(Request(), (secret,), NOW)


def test_a_public_key_as_the_secret():
    made = Jwt("body")
    secret = PUBLIC.decode().strip().replace("\n", "\\n")
    verify(made, token(), (secret,))
    for text in (confused(), unsigned()):
        with pytest.raises(Unauthenticated):
            verify(made, text, (secret,))


def test_keys_in_a_file(tmp_path):
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [JWK]}))
    verify(Jwt("body", jwks=str(file)), token())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"algorithms": ("none",)}, "none cannot be used"),
        ({"algorithms": ("HS256",), "jwks": "https://keys.example"}, "HS256 cannot be used"),
        (
            {"algorithms": ("HS256", "RS256")},
            "name those of shared secrets, or those of public keys",
        ),
        ({"place": "cookie:a"}, "is no place"),
    ],
)
def test_what_is_no_scheme(options, said):
    with pytest.raises(ValueError, match=said):
        Jwt(**options)


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"keys": 7}, {"keys": []}, {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, {"keys": [7]},
     {"keys": [{"kty": "RSA", "n": "x"}]}, {"keys": [{}] * 101}],
)  # fmt: skip
def test_what_is_no_set_of_keys(document):
    with pytest.raises(ValueError, match="it "):
        keys_of(document)


def test_a_set_of_one_key_needs_no_id():
    keys = KeySet("")
    keys.take({"keys": [{name: one for name, one in JWK.items() if name != "kid"}]})
    assert keys.find("") is not None


@pytest.mark.parametrize("body", [b"", b"a", b"a.b", b"a.!.c", b"a.b.c.d"])
def test_what_has_no_claims(body):
    with pytest.raises(InvalidPayload, match="Invalid token payload"):
        claims_of(body)
