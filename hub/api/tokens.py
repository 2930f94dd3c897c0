"""The hub's tokens over HTTP: made, listed, revoked. It needs a token with the scope admin."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.api.access import NO_STORE, Asked, Door
from hub.api.members import TEXT, TEXTS, read_members
from hub.api.route import Route
from hub.domain.timestamps import format_utc, utc_now
from hub.domain.tokens import Scope, Token
from hub.errors import Contradicted
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.jobs import tokens as jobs
from hub.record import tokens as kept
from hub.store.store import Store

PATH = "/api/tokens"
_LARGEST = 16_384
_TOKEN = {"name": TEXT, "scopes": TEXTS, "sources": TEXTS, "expires": TEXT}


class TokensApi:
    """Each method takes a request and returns the answer."""

    def __init__(self, store: Store, tokens: Tokens) -> None:
        self._store = store
        self._tokens = tokens
        self._door = Door(tokens, NO_STORE)

    def routes(self) -> Iterator[Route]:
        """List, make, revoke."""
        door = self._door
        yield door.route("GET", PATH, self._list, Scope.ADMIN, lane="record")
        yield door.route("POST", PATH, self._create, Scope.ADMIN, lane="work", body_limit=_LARGEST)
        yield door.route(
            "POST", f"{PATH}/revoke", self._revoke, Scope.ADMIN, lane="work", body_limit=_LARGEST
        )

    def _list(self, asked: Asked) -> Answer:
        with self._store.reading() as db:
            found = kept.every(db)
        return answers.answer(200, {"tokens": [_shown(one) for one in found]})

    def _create(self, asked: Asked) -> Answer:
        given = read_members(asked.body, _TOKEN)
        token = jobs.create(
            self._store,
            given.get("name") or "",
            given.get("scopes") or [],
            given.get("sources") or [],
            given.get("expires") or None,
        )
        self._tokens.read_again()
        return answers.answer(201, {"name": given["name"], "token": token})

    def _revoke(self, asked: Asked) -> Answer:
        name = read_members(asked.body, {"name": TEXT}).get("name") or ""
        if name == asked.token.name:
            raise Contradicted("You are using this token", "Revoke it with another one")
        jobs.revoke(self._store, name)
        self._tokens.read_again()
        return answers.answer(200, {"success": True, "message": f"Token {name} opens nothing now"})


def _shown(token: Token) -> Mapping[str, Any]:
    return {
        "name": token.name,
        "scopes": sorted(token.scopes),
        "sources": list(token.sources),
        "created_at": format_utc(token.created_at),
        "expires_at": token.expires_at and format_utc(token.expires_at),
        "is_valid": token.is_valid(utc_now()),
        "last_used_at": token.last_used_at and format_utc(token.last_used_at),
    }
