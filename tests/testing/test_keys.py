"""The secrets and keys of the trial."""

import base64

import pytest

from hub import BASIC, Hmac
from hub.testing.keys import pem, secret_for


@pytest.mark.parametrize(
    ("scheme", "made"),
    [
        (BASIC, "user:a secret"),
        (Hmac("x", "X-S", key="hex"), b"a secret".hex()),
        (Hmac("x", "X-S", key="base64"), base64.b64encode(b"a secret").decode()),
        (Hmac("x", "X-S"), "a secret"),
    ],
)
def test_a_secret_is_one_that_the_scheme_takes(scheme, made):
    assert secret_for(scheme, "a secret") == made
    scheme.check_secret(made)


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "ES384", "RS256"])
def test_a_key_is_one_of_its_algorithm(algorithm):
    assert "PRIVATE KEY" in pem(algorithm)
    assert pem(algorithm) == pem(algorithm)
    assert pem(algorithm) != pem(algorithm, "theirs")
