"""``attendance-hub serve``: start a hub, say what it is, and serve it until it is told to end."""

import os
import signal
import socket
import sys
from urllib.parse import urlsplit

from hub.cli.terminal import show
from hub.config.load import Configuration
from hub.http.app import Application
from hub.http.server import ENDING, listen
from hub.http.server import serve as serve_http
from hub.http.systemd import inherited
from hub.hub import Hub, require_lasting
from hub.log import configure, look_up_less
from hub.version import __version__
from hub.wire.loopback import is_loopback


def serve(configuration: Configuration) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises a HubError where it cannot start."""
    # Before the server has its own handlers, a signal ends the start.
    for number in ENDING:
        signal.signal(number, lambda *_: sys.exit(0))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    settings = configuration.settings
    configure(settings.log_level, settings.log_format)
    look_up_less()
    for warning in configuration.warnings:
        show(f"warning: {warning}", err=True)
    require_lasting(settings)
    hub = Hub(settings, origins=configuration.origins)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda *_: hub.secrets.read_again())
    with inherited(os.environ) or listen(settings.host, settings.port) as listener:
        _introduce(hub, listener)
        hub.start()
        try:
            application = Application(hub.routes, hub.store, settings, hub.serving)
            serve_http(application, settings, listener)
        finally:
            hub.close(settings.drain_timeout)


def _introduce(hub: Hub, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    show(f"attendance-hub {__version__} on http://{shown}:{port}")
    show(f"database: {hub.store.address.shown}")
    for endpoint in hub.endpoints:
        paths = ", ".join((endpoint.path, *endpoint.source.paths))
        show(f"source {endpoint.source.name}: {paths}  {endpoint.protection}")
    if not hub.endpoints:
        show("warning: no plugin declares a source; nothing can be posted", err=True)
    _introduce_console(hub, f"http://{shown}:{port}")
    for target in hub.plugins.targets:
        show(f"target {target.name}: every check-in is sent on to it")
    for failed in hub.plugins.failed:
        show(f"plugin {failed.name} ({failed.origin}) is not loaded: {failed.reason}")
    public = hub.settings.public_url
    if is_loopback(host) and (not public or is_loopback(urlsplit(public).hostname or "")):
        return
    reached = public or f"{host}:{port}"
    for endpoint in hub.endpoints:
        if endpoint.is_open:
            show(
                f"warning: source {endpoint.source.name} is open, and anyone who reaches {reached} may "
                "post to it; require a signature for it, or set require_authentication",
                err=True,
            )


def _introduce_console(hub: Hub, address: str) -> None:
    """Where the pages are; at a terminal, how to begin."""
    if hub.console is None:
        return
    show(f"console: {hub.settings.public_url.rstrip('/') or address}/console/")
    if sys.stdout.isatty() and (link := hub.console.entrance.first_link()) is not None:
        show(f"no token yet; this link makes one and logs in, once: {address}{link}")
