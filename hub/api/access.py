"""Access: what every request of the API passes before it is answered: its token, its parameters."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from hub.api.files import File
from hub.api.route import Route
from hub.api.waiting import Waiting
from hub.domain.tokens import Scope, Token
from hub.errors import (
    FAULTS,
    Forbidden,
    Refused,
    StoreUnavailable,
    TooManyAttempts,
    Unauthenticated,
)
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.tokens import Tokens
from hub.log import log_fault
from hub.wire.body import read_body

_log = logging.getLogger(__name__)

Query = Mapping[str, str]
Answered = Answer | File | Waiting

NO_STORE = {"Cache-Control": "no-store"}
PRIVATE = {"Cache-Control": "private, no-cache"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be answered: its parameters, its token, its WSGI environ (PEP 3333), and the
    body that it may have.
    """

    query: Query
    token: Token
    environ: Mapping[str, Any]
    body: bytes = b""

    def header(self, name: str) -> str:
        """A header's value; '' for one that there is not."""
        found: str = self.environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return found


class Door:
    """Lets requests in. ``headers`` go with every answer that has none of the same names."""

    def __init__(self, tokens: Tokens, headers: Mapping[str, str]) -> None:
        self._tokens = tokens
        self._headers = headers

    def route(
        self,
        method: str,
        path: str,
        what: Callable[..., Answered],
        scope: Scope,
        parameters: Sequence[str] = (),
        *,
        lane: str,
        body_limit: int = 0,
        several: Sequence[str] = (),
        takes_files: bool = False,
    ) -> Route:
        """A route on which ``what`` answers requests whose token has the scope. They have a body of at
        most ``body_limit`` bytes; the parameters in ``several`` may be repeated, a line for each.
        """
        answer = partial(
            self._answer, what, scope, parameters, _body_limit=body_limit, _several=several
        )
        return Route(method, path, answer, lane, scope, tuple(parameters), takes_files)

    def _answer(
        self,
        what: Callable[..., Answered],
        scope: Scope,
        parameters: Sequence[str],
        environ: Mapping[str, Any],
        *,
        _body_limit: int,
        _several: Sequence[str],
        **path: str,
    ) -> Answered:
        """What ``what`` answers to a request; never raises."""
        try:
            token = self._tokens.require_of(environ, scope)
            if not _body_limit and environ.get("CONTENT_LENGTH") not in (None, "", "0"):
                raise Refused("Send no body: parameters are in the query", "Such as ?limit=50")
            query = _query(environ.get("QUERY_STRING", ""), parameters, _several)
            body = read_body(environ, _body_limit) if _body_limit else b""
            return self._with_headers(what(Asked(query, token, environ, body), **path))
        except (TooManyAttempts, Unauthenticated, Forbidden) as refused:
            # Not the path: whoever is turned away may have written anything there.
            address, status = environ.get("REMOTE_ADDR", ""), refused.status
            _log.warning("request to the API from %s: %d %s", address, status, refused.error)
            return self._with_headers(answers.refusal(refused))
        except Refused as refused:
            return self._with_headers(answers.refusal(refused))
        except StoreUnavailable:
            return answers.unavailable()
        except FAULTS as error:
            log_fault("the API failed", error)
            return answers.answer(500, {"error": "Internal server error", "details": "See the log"})

    def _with_headers(self, answer: Answered) -> Answered:
        if isinstance(answer, Waiting):
            return answer
        return answer._replace(headers={**self._headers, **answer.headers})


def _query(text: str, known: Sequence[str], several: Sequence[str]) -> Query:
    """The parameters of a request. Raises Refused for an unknown or a repeated one: a misspelt filter
    would match everything.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="replace"):
        if name not in known:
            use = f"Use {', '.join(known)}" if known else "This request takes no parameters"
            raise Refused(f"Unknown parameter: {name[:64]}", use)
        if name in query and name in several:
            value = f"{query[name]}\n{value}"
        elif name in query:
            raise Refused(f"Parameter {name} is given twice")
        query[name] = value
    return query
