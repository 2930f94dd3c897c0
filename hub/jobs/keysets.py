"""The public keys of senders that sign tokens: fetched beside the way of the deliveries, kept, renewed.

A token with a key that is not known has the set fetched again, at most once in a while; the token
itself is refused meanwhile, and right when it is sent again.
"""

import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from hub.domain.timestamps import utc_now
from hub.errors import HubError, StoreUnavailable
from hub.intake.endpoint import Endpoint
from hub.jobs import outbound
from hub.jobs.outbound import NotFetched
from hub.jobs.worker import Worker
from hub.record import key_sets as kept
from hub.store import key_sets as written
from hub.store.store import Store
from hub.wire.jwt import Jwt, KeySet

_log = logging.getLogger(__name__)

_RENEW_EVERY = 3600.0
_SHORTEST_PAUSE = 10.0
"""Seconds between two requests to one server, however many unknown keys are sent."""


@dataclass(slots=True)
class _Renewed:
    keys: KeySet
    private: bool
    due: float = 0.0
    asked_at: float = float("-inf")
    in_vain: int = 0


class KeySets(Worker):
    """The thread that keeps the sets of keys of all sources fresh."""

    def __init__(self, store: Store, endpoints: Sequence[Endpoint]) -> None:
        super().__init__(store, "key sets", "renewing the senders' keys")
        self._every = list(_sets(endpoints))
        for one in self._every:
            one.keys.wake = partial(self._want, one)

    def start(self) -> None:
        """Use what was kept, and begin to renew it; in the process that serves."""
        if not self._every or self._thread is not None:
            return
        with self._store.reading() as db:
            known = kept.every(db)
        for one in self._every:
            if one.keys.url in known:
                self._take(one, known[one.keys.url])
        super().start()

    def do_what_is_due(self) -> float:
        """Fetch the sets that are due; the seconds until the next is."""
        for one in self._every:
            now = time.monotonic()
            if (
                one.due <= now
                and now - one.asked_at >= _SHORTEST_PAUSE
                and not self._ending.is_set()
            ):
                one.asked_at = now
                self._renew(one)
        now = time.monotonic()
        dues = [max(one.due, one.asked_at + _SHORTEST_PAUSE) - now for one in self._every]
        return max(0.05, min(dues))

    def _want(self, one: _Renewed) -> None:
        """Have a set fetched soon."""
        one.due = 0.0
        self.wake()

    def _renew(self, one: _Renewed) -> None:
        try:
            found = outbound.get(one.keys.url, {}, private=one.private)
            document = found.decode("utf-8", "replace")
            if not self._take(one, document):
                raise NotFetched("it has no keys that can be used")
            with self._store.writing() as tx:
                written.keep(tx, one.keys.url, document, utc_now())
        except StoreUnavailable as error:
            _log.warning("the keys of %s are used, and not kept: %s", one.keys.url, error)
        except HubError as error:
            one.in_vain += 1
            one.due = time.monotonic() + min(
                _RENEW_EVERY, _SHORTEST_PAUSE * 2 ** min(one.in_vain, 8)
            )
            _log.warning("the keys at %s are not renewed: %s", one.keys.url, error)
            return
        one.in_vain = 0
        one.due = time.monotonic() + _RENEW_EVERY

    def _take(self, one: _Renewed, document: str) -> bool:
        """Whether a document has keys, which are then used."""
        try:
            one.keys.take(json.loads(document))
        except (ValueError, RecursionError):
            return False
        return True


def _sets(endpoints: Sequence[Endpoint]) -> Iterator[_Renewed]:
    for endpoint in endpoints:
        scheme = endpoint.authentication
        if isinstance(scheme, Jwt) and scheme.keys is not None and scheme.keys.url:
            yield _Renewed(scheme.keys, endpoint.fetches_privately)
