"""Keys of a sender that exists in trials alone, for sources whose tokens are proved by public keys."""

import base64
import json
from functools import cache
from typing import Any

from hub.wire.credentials import Basic
from hub.wire.hmacs import Ed25519, Hmac
from hub.wire.jwt import Jwt
from hub.wire.signatures import Authentication

KID = "trial"


def secret_for(scheme: Authentication, secret: str) -> str:
    """A secret that a scheme can use, made of a text."""
    if isinstance(scheme, Ed25519):
        from cryptography.hazmat.primitives import serialization

        raw = (serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        made: bytes = _private("EdDSA", "ours").public_key().public_bytes(*raw)
        return made.hex()
    if isinstance(scheme, Basic) and not scheme.user:
        return f"user:{secret}"
    if isinstance(scheme, Hmac) and scheme.key != "text":
        raw_key = secret.encode()
        return raw_key.hex() if scheme.key == "hex" else base64.b64encode(raw_key).decode()
    return secret


def signing_secret(scheme: Authentication, secret: str, is_other: bool) -> str:
    """What signs for a scheme: its secret, or the private key of the trial's sender."""
    whose = "others" if is_other else "ours"
    if isinstance(scheme, Jwt) and scheme.jwks:
        return pem(scheme.algorithms[0], whose)
    if isinstance(scheme, Ed25519):
        from cryptography.hazmat.primitives import serialization

        made: bytes = _private("EdDSA", whose).private_bytes(
            serialization.Encoding.Raw,
            serialization.PrivateFormat.Raw,
            serialization.NoEncryption(),
        )
        return made.hex()
    return secret_for(scheme, secret) if is_other else secret


def know(scheme: Jwt) -> None:
    """Have a source take the trial's keys for its sender's."""
    import jwt

    if scheme.keys is None:
        return
    algorithm = scheme.algorithms[0]
    private = _private(algorithm, "ours")
    made: Any = jwt.get_algorithm_by_name(algorithm)
    public = json.loads(made.to_jwk(private.public_key()))
    scheme.keys.take({"keys": [{**public, "kid": KID, "alg": algorithm}]})


def pem(algorithm: str, whose: str = "ours") -> str:
    """The private key of the trial's sender, or of somebody else."""
    from cryptography.hazmat.primitives import serialization

    made: bytes = _private(algorithm, whose).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return made.decode()


@cache
def _private(algorithm: str, whose: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        return ec.generate_private_key(ec.SECP384R1() if "384" in algorithm else ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
