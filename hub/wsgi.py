"""The hub for WSGI servers: ``gunicorn 'hub.wsgi:create_app()'`` or ``granian --interface wsgi
--factory hub.wsgi:create_app``. Settings come from ``hub.toml`` and the environment.
"""

import atexit
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hub.config.load import load
from hub.config.settings import Settings
from hub.http.app import Application, StartResponse
from hub.hub import Hub, require_lasting
from hub.log import configure

_log = logging.getLogger(__name__)


class _Served:
    """A hub whose upkeep begins with its first request: a server may fork after it has made it."""

    def __init__(self, application: Application, start: Callable[[], None]) -> None:
        self._application = application
        self._start = start

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        self._start()
        return self._application(environ, start_response)


def create_app(settings: Settings | None = None) -> _Served:
    """A hub as a WSGI application. Raises SettingError, StoreUnavailable or StoreVersionError."""
    origins: Mapping[str, str] = {}
    if settings is None:
        configuration = load()
        settings, origins = configuration.settings, configuration.origins
        configure(settings.log_level, settings.log_format)
        for warning in configuration.warnings:
            _log.warning("%s", warning)
    require_lasting(settings)
    hub = Hub(settings, origins=origins)
    atexit.register(hub.close)
    application = Application(hub.routes, hub.store, settings)
    return _Served(application, hub.start)
