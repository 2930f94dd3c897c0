"""How a request is signed in a shell: the lines before ``curl``, and its headers."""

from typing import NamedTuple

from hub.wire.signatures import (
    Authentication,
    HmacSha256,
    HubToken,
    Open,
    SharedSecret,
    StandardWebhooks,
    WhenSigned,
)


class Signing(NamedTuple):
    """``lines`` set variables, from ``$BODY`` and the secret; ``headers`` are options of ``curl``."""

    lines: tuple[str, ...]
    headers: tuple[str, ...]


_ISO = "$(date -u +%Y-%m-%dT%H:%M:%SZ)"
_ID = "msg_$(date +%s)$$"
_HEX = "openssl dgst -sha256 -hmac \"$SECRET\" | sed 's/^.* //'"
_BASE64 = 'openssl dgst -sha256 -hmac "$SECRET" -binary | openssl base64 -A'


def in_shell(scheme: Authentication) -> Signing | None:
    """How to sign for a scheme; None where the hub cannot know, or nothing is to be signed."""
    if isinstance(scheme, WhenSigned):
        return in_shell(scheme.inner)
    if isinstance(scheme, Open):
        return Signing((), ())
    if isinstance(scheme, HubToken):
        return Signing(("TOKEN='…'",), ('-H "Authorization: Bearer $TOKEN"',))
    if isinstance(scheme, SharedSecret):
        return Signing(("SECRET='…'",), (f'-H "{scheme.header}: {scheme.prefix}$SECRET"',))
    if isinstance(scheme, HmacSha256):
        return _hmac(scheme)
    if isinstance(scheme, StandardWebhooks):
        key = '"$(printf %s "${SECRET#whsec_}" | openssl base64 -d -A | od -An -v -tx1 | tr -d \' \\n\')"'
        sign = "openssl dgst -sha256 -mac HMAC -macopt hexkey:$KEY -binary | openssl base64 -A"
        return Signing(
            (
                "SECRET='whsec_…'",
                f"KEY={key}",
                f'ID="{_ID}"; TIME="$(date +%s)"',
                f'SIGNATURE="$(printf %s "$ID.$TIME.$BODY" | {sign})"',
            ),
            (
                '-H "webhook-id: $ID"',
                '-H "webhook-timestamp: $TIME"',
                '-H "webhook-signature: v1,$SIGNATURE"',
            ),
        )
    return None


def _hmac(scheme: HmacSha256) -> Signing:
    lines, headers, parts = ["SECRET='…'"], [], []
    for part in scheme.signed.split("."):
        if part == "id":
            lines.append(f'ID="{_ID}"')
            headers.append(f'-H "{scheme.id_header}: $ID"')
            parts.append("$ID")
        elif part == "timestamp":
            lines.append(f'TIME="{_ISO}"')
            headers.append(f'-H "{scheme.timestamp_header}: $TIME"')
            parts.append("$TIME")
        else:
            parts.append("$BODY")
    digest = _HEX if scheme.encoding == "hex" else _BASE64
    lines.append(f'SIGNATURE="$(printf %s "{".".join(parts)}" | {digest})"')
    headers.append(f'-H "{scheme.header}: {scheme.prefix}$SIGNATURE"')
    return Signing(tuple(lines), tuple(headers))
