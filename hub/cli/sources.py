"""How the sources are configured now, for commands that ask it of a store."""

from hub.config.settings import Settings
from hub.hub import sources_of
from hub.intake.endpoint import endpoints
from hub.plugin.loading import Plugins
from hub.record.doubts import Sources


def configured(settings: Settings) -> Sources:
    """Which sources anyone may post to, and which are signed. Raises SettingError."""
    return sources_of(endpoints(Plugins(settings), settings))
