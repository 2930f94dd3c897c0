"""Who is logged in: a signed cookie names a token, and opens what that one opens, as long as it does.

The cookie's prefix is that of RFC 6265bis, 4.1.3.2. Nothing but a signature (HMAC, RFC 2104) is believed.
"""

import base64
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from hub.domain.tokens import Token
from hub.intake.tokens import Tokens
from hub.record import secrets as secrets_of_record
from hub.store import secrets as kept
from hub.store.store import Store
from hub.wire.loopback import is_loopback

_SAFE, _PLAIN, _SAID = "__Host-hub", "hub", "hub-said"
_LONGEST = 30 * 24 * 3600
"""Seconds after which one has to log in again."""

_SAID_FOR = 60
_KEY = "console"
_ENDED = "console ended "
_SESSION = re.compile(
    r"([0-9]{1,18})\.([0-9]{1,12})\.([0-9a-f]{16})\.([A-Za-z0-9_-]{1,64})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Notice:
    """What is said on the next page: whether it is an error, what it is, how to mend it; and the delivery
    that can be undone.
    """

    text: str
    details: str | None = None
    is_error: bool = False
    undo: str | None = None


class Sessions:
    """Makes and reads the cookies. ``public_url`` is where the hub is reached from outside; ``over_http``
    whether one may log in where anyone on the way can read along.
    """

    def __init__(self, store: Store, tokens: Tokens, public_url: str, over_http: bool) -> None:
        self._store = store
        self._tokens = tokens
        self._public = urlsplit(public_url)
        self._over_http = over_http
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self._ended: set[str] = set()

    def token(self, environ: Mapping[str, Any]) -> Token | None:
        """The token of whoever is logged in, if it still opens anything."""
        cookie = _cookie(environ, self._name(environ))
        match = _SESSION.fullmatch(cookie)
        if match is None:
            return None
        identifier, issued, mac = int(match[1]), int(match[2]), match[4]
        digest = self._tokens.digest_of(identifier)
        if digest is None or not hmac.compare_digest(
            mac, self._sign(identifier, issued, match[3], digest)
        ):
            return None
        if not 0 <= time.time() - issued + 60 <= _LONGEST or self._has_ended(mac):
            return None
        return self._tokens.find(identifier, digest)

    def is_open(self, environ: Mapping[str, Any], token: Token) -> bool:
        """Whether a session goes on that was open before: its token does, and it was not ended here."""
        mac = _cookie(environ, self._name(environ)).rpartition(".")[2]
        return mac not in self._ended and self._tokens.find(token.id, token.digest) is not None

    def end(self, environ: Mapping[str, Any]) -> None:
        """Have the session of a request open nothing any more. Raises StoreUnavailable."""
        if self.token(environ) is None:
            return
        mac = _cookie(environ, self._name(environ)).rpartition(".")[2]
        self._ended.add(mac)
        now = int(time.time())
        with self._store.writing() as tx:
            kept.end(tx, f"{_ENDED}{mac}", now, now - _LONGEST)

    def _has_ended(self, mac: str) -> bool:
        with self._store.reading() as db:
            return mac in self._ended or secrets_of_record.is_there(db, f"{_ENDED}{mac}")

    def refusal(self, environ: Mapping[str, Any]) -> str | None:
        """Why nobody can log in here, if so."""
        if self._is_safe(environ) or self._over_http:
            return None
        return (
            "Over plain HTTP anyone on the way could read along. Use https, or http://127.0.0.1 on the "
            "hub's own machine; behind a proxy, set public_url to its https address. In a network that "
            "you trust, set console_over_http."
        )

    def opened(self, environ: Mapping[str, Any], token: Token) -> str:
        """The ``Set-Cookie`` header of who logs in."""
        issued = int(time.time())
        nonce = secrets.token_hex(8)  # who logs in twice within a second has two sessions
        value = f"{token.id}.{issued}.{nonce}.{self._sign(token.id, issued, nonce, token.digest)}"
        return self._header(environ, value, _LONGEST)

    def closed(self, environ: Mapping[str, Any]) -> str:
        """The ``Set-Cookie`` header of who logs out."""
        return self._header(environ, "", 0)

    def say(self, environ: Mapping[str, Any], notice: Notice, token: Token) -> str:
        """The ``Set-Cookie`` header that has the next page of whoever has the token say something."""
        told = [notice.text[:300], (notice.details or "")[:400], notice.is_error, notice.undo]
        text = base64.urlsafe_b64encode(json.dumps(told).encode()).decode()
        value = f"{text}.{self._mac(_said_to(token, text))}"
        secure = "; Secure" if self._is_safe(environ) else ""
        about = f"Path=/console; Max-Age={_SAID_FOR}; HttpOnly; SameSite=Strict{secure}"
        return f"{_SAID}={value}; {about}"

    def said(self, environ: Mapping[str, Any], token: Token | None) -> Notice | None:
        """What is to be said on this page, to whoever has the token."""
        text, _, mac = _cookie(environ, _SAID).partition(".")
        if token is None or not text or not mac.isascii():
            return None
        if not hmac.compare_digest(mac, self._mac(_said_to(token, text))):
            return None
        words, details, is_error, undo = json.loads(base64.urlsafe_b64decode(text))
        return Notice(words, details or None, bool(is_error), undo)

    def unsaid(self) -> str:
        """The ``Set-Cookie`` header of a page that has said it."""
        return f"{_SAID}=; Path=/console; Max-Age=0; HttpOnly; SameSite=Strict"

    def _header(self, environ: Mapping[str, Any], value: str, seconds: int) -> str:
        secure = "; Secure" if self._is_safe(environ) else ""
        name = self._name(environ)
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def _name(self, environ: Mapping[str, Any]) -> str:
        return _SAFE if self._is_safe(environ) else _PLAIN

    def _is_safe(self, environ: Mapping[str, Any]) -> bool:
        """Whether a browser keeps a ``Secure`` cookie of this address: it is https, or this machine."""
        host = _host(environ)
        if self._public.scheme == "https" and host == (self._public.hostname or ""):
            return True
        return environ.get("wsgi.url_scheme") == "https" or is_loopback(host)

    def _sign(self, identifier: int, issued: int, nonce: str, digest: str) -> str:
        return self._mac(f"session {identifier} {issued} {nonce} {digest}")

    def _mac(self, text: str) -> str:
        mac = hmac.digest(self._its_key(), text.encode(), "sha256")
        return base64.urlsafe_b64encode(mac).decode().rstrip("=")

    def _its_key(self) -> bytes:
        with self._lock:
            if self._key is None:
                with self._store.writing() as tx:
                    self._key = kept.take(tx, _KEY, secrets.token_urlsafe(32)).encode()
            return self._key


def _said_to(token: Token, text: str) -> str:
    return f"said {token.id} {token.digest} {text}"


def _host(environ: Mapping[str, Any]) -> str:
    try:
        return urlsplit(f"//{environ.get('HTTP_HOST', '')}").hostname or ""
    except ValueError:
        return ""


def _cookie(environ: Mapping[str, Any], name: str) -> str:
    try:
        found = SimpleCookie(environ.get("HTTP_COOKIE", "")).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value
