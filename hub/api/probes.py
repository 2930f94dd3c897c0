"""Probes: whether the hub lives, and whether it should be sent requests now. Open to anyone."""

from collections.abc import Iterator, Mapping
from typing import Any

from hub.api.recent import Recent
from hub.api.route import Route
from hub.api.serving import Serving
from hub.intake import answers
from hub.intake.answers import Answer
from hub.store.store import Store

_NO_STORE = {"Cache-Control": "no-store"}


class Probes:
    """``/livez`` and ``/readyz``, named as those of Kubernetes. Whoever restarts a hub asks for the
    former, whoever sends it requests (a load balancer) for the latter.
    """

    def __init__(self, store: Store, serving: Serving) -> None:
        self._store = store
        self._serving = serving
        self._looked = Recent(self._look)

    def routes(self) -> Iterator[Route]:
        """Both. The one that tells of the thread of the check-ins is answered on it."""
        yield Route("GET", "/livez", _live)
        yield Route("GET", "/readyz", self._ready, lane="probes")

    def _ready(self, environ: Mapping[str, Any]) -> Answer:
        if self._serving.is_ending:
            return _not_ready("the hub ends")
        if self._serving.is_held_up():
            return _not_ready("a plugin holds the check-ins up")
        return self._looked.answer(environ)

    def _look(self) -> Answer:
        if not self._store.is_reachable():
            return _not_ready("the store does not take check-ins")
        return answers.answer(200, {"status": "ready"}, **_NO_STORE)


def _live(environ: Mapping[str, Any]) -> Answer:
    return answers.answer(200, {"status": "alive"}, **_NO_STORE)


def _not_ready(reason: str) -> Answer:
    return answers.answer(503, {"status": "not ready", "reason": reason}, **_NO_STORE)
