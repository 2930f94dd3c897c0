"""The standby: while a plugin hangs on the event loop's thread, others are told so rather than nothing.

Python cannot end a thread. So a second server, on a thread of its own, takes new connections from the
same listener until the first one goes on: what has a lane (the status page) is answered as ever, anything
else 503.
"""

import asyncio
import logging
import socket
import threading
import time

import uvicorn

from hub.api.waiting import LAST, MAY_WAIT
from hub.config.settings import Settings
from hub.http.app import Application
from hub.http.asgi import environ_of
from hub.http.aside import Receive, Scope, Send, direct, send_response
from hub.http.batch import Request, run
from hub.http.lanes import Lanes
from hub.http.protocol import configured
from hub.intake import answers

_log = logging.getLogger(__name__)

PATIENCE = 1.0
"""Seconds without a sign of the event loop after which the standby serves."""

_LOOK_EVERY = 0.25

_LAST_SECONDS = 1.0
"""How long it waits, at its end, for the requests of those whose connections it took."""


class Standby:
    """Serves on ``listener`` while ``beat`` has not been called for a while."""

    def __init__(
        self, application: Application, lanes: Lanes, listener: socket.socket, settings: Settings
    ) -> None:
        self._application = application
        self._lanes = lanes
        self._listener = listener
        self._settings = settings
        self._beat = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look, name="standby", daemon=True)

    def start(self) -> None:
        """Begin to look whether the event loop goes on."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """The event loop goes on."""
        self._beat = time.monotonic()

    def close(self) -> None:
        """Look no more."""
        self._ending.set()

    @property
    def is_needed(self) -> bool:
        """Whether the event loop does not go on, and does not end."""
        return time.monotonic() - self._beat > PATIENCE and not self._ending.is_set()

    def _look(self) -> None:
        while not self._ending.wait(_LOOK_EVERY):
            if self.is_needed:
                _log.warning("the event loop is held up; new requests are answered 503 meanwhile")
                try:
                    asyncio.run(self._serve())
                except Exception as error:
                    _log.error("the standby ended: %s", type(error).__name__)
                    self._ending.wait(PATIENCE)

    async def _serve(self) -> None:
        config = configured(self._settings, timeout_graceful_shutdown=1)
        config.app = self._answer
        server = uvicorn.Server(config)
        serving = asyncio.ensure_future(server.serve(sockets=[self._listener.dup()]))
        while self.is_needed and not serving.done():
            await asyncio.sleep(_LOOK_EVERY)
        if not serving.done():
            await self._take_no_more(server)
        server.should_exit = True
        await serving

    async def _take_no_more(self, server: uvicorn.Server) -> None:
        """Leave new connections to the first server, and answer those that are here already: to close
        them at once is to reset what they are just about to ask.
        """
        for listening in server.servers:
            listening.close()
        end = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < end and any(
            getattr(one, "cycle", None) is None for one in server.server_state.connections
        ):
            await asyncio.sleep(_LOOK_EVERY / 10)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        environ = environ_of(scope)
        environ[MAY_WAIT] = LAST  # nobody waits on a lane
        lane = self._lanes.of(environ["PATH_INFO"])
        response = direct(answers.unavailable())
        if lane is not None and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            response = await lane.run(lambda: run(self._application, [Request(environ, b"")])[0])
        await send_response(send, response)
