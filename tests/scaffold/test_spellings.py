"""The table of spellings: keys, beside HMACs."""

from datetime import datetime

import pytest

from hub import Ed25519, Jwt
from hub.domain.captures import CapturedRequest
from hub.scaffold.spellings import spelled

AT = datetime(2026, 3, 10, 18)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.e30.c2ln"


@pytest.mark.parametrize(
    ("headers", "kind", "prefix"),
    [
        ({"x-signature": "ab" * 64, "x-timestamp": "1773165600"}, Ed25519, None),
        ({"x-token": TOKEN}, Jwt, ""),
        ({"authorization": f"Bearer {TOKEN}"}, Jwt, "Bearer "),
    ],
)
def test_keys_are_spellings_too(headers, kind, prefix):
    captured = CapturedRequest(AT, headers=headers, body=b"{}")
    found = [one for one in spelled(captured, "a secret", "x") if isinstance(one, kind)]
    assert found
    if prefix is not None:
        assert {one.prefix for one in found} == {prefix}
        assert ("RS256",) in [one.algorithms for one in found]
    else:
        assert any("x-timestamp" in one.signed for one in found)


def test_other_headers_give_no_keys():
    captured = CapturedRequest(AT, headers={"x-signature": "ab" * 63, "x-token": "eyJ"}, body=b"{}")
    assert not [one for one in spelled(captured, "s", "x") if isinstance(one, (Ed25519, Jwt))]
