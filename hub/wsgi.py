"""The hub for WSGI servers: ``gunicorn 'hub.wsgi:create_app()'`` or ``granian --interface wsgi
--factory hub.wsgi:create_app``. Settings come from ``hub.toml`` and the environment.
"""

import atexit

from hub.config.load import load
from hub.config.settings import Settings
from hub.http.app import Hub
from hub.log import configure


def create_app(settings: Settings | None = None) -> Hub:
    """A hub as a WSGI application. Raises SettingError, StoreUnavailable or StoreVersionError."""
    if settings is None:
        settings = load().settings
        configure(settings.log_level)
    hub = Hub(settings)
    atexit.register(hub.close)
    return hub
