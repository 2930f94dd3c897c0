"""``/api/openapi.json``: the description, made once when it is asked for first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hub.api.route import Route
from hub.intake import answers
from hub.intake.answers import Answer
from hub.intake.endpoint import Endpoint

PATH = "/api/openapi.json"


class OpenApi:
    """Open to anyone, as the status pages: it names sources, and nothing of the record. ``routes`` gives
    those of the whole hub.
    """

    def __init__(
        self,
        routes: Callable[[], Iterable[Route]],
        endpoints: Sequence[Endpoint],
        public_url: str,
    ) -> None:
        self._all_routes = routes
        self._endpoints = endpoints
        self._public_url = public_url
        self._made: Answer | None = None

    def routes(self) -> Iterator[Route]:
        """One."""
        yield Route("GET", PATH, self._answer, lane="openapi")

    def described(self) -> Mapping[str, Any]:
        """The document."""
        from hub.api.openapi.document import document  # a start need not wait for what describes it

        return document(self._all_routes(), self._endpoints, self._public_url)

    def _answer(self, environ: Mapping[str, Any]) -> Answer:
        if self._made is None:
            headers = {"Cache-Control": "no-cache"}
            self._made = answers.answer(200, self.described(), **headers)
        return self._made
