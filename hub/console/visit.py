"""A visit of a page: what was asked for, by whom; and what a view may answer with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, NamedTuple

from hub.api.files import File
from hub.console.forms import Form
from hub.console.inside import Api
from hub.console.sessions import Notice
from hub.domain.tokens import Scope, Token
from hub.intake.answers import Answer


@dataclass(frozen=True, slots=True)
class Visit:
    """``path`` is the page's own, from ``/console/`` on; ``zone`` is the hub's; ``address`` is where the
    hub is reached, without a slash at its end.
    """

    path: str
    query: Mapping[str, str]
    form: Form
    token: Token
    api: Api
    zone: tzinfo
    address: str

    def may(self, scope: Scope) -> bool:
        """Whether the token may do that."""
        return self.token.may(scope)


class Page(NamedTuple):
    """A page: its template, and the values in it. ``live`` is the template of the part that is sent again
    when the record changes.
    """

    template: str
    values: Mapping[str, Any]
    status: int = 200
    live: str | None = None


class Go(NamedTuple):
    """Another page to go to, and what it says."""

    to: str
    notice: Notice | None = None


Shown = Page | Go | Answer | File


@dataclass(frozen=True, slots=True)
class View:
    """A page's method, its path below ``/console/`` (with ``<parts>``), what shows it, and what a token
    must be allowed to do (None: the view looks itself). ``lane`` is the thread on which it is made;
    ``takes_files``: its form has a file.
    """

    method: str
    path: str
    show: Callable[..., Shown]
    scope: Scope | None
    lane: str = "console"
    takes_files: bool = False
