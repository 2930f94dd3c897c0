"""What the tests of the catalogue share: how each source is configured."""

from hubtest import FIXTURES

from hub.config.load import load
from hub_plugins import CATALOGUE as CATALOGUE

FOLDER = FIXTURES / "catalogue"
TERMINAL = "ABC1234567"

PLUGINS = {
    "ZKTECO_TERMINALS": f"{TERMINAL} = Weekly Meeting",
    "JOTFORM_COLUMNS": "student = studentId, email = email, event = event",
}


def settings(name, **environment):
    """The settings of a hub with one source of the catalogue."""
    given = {"HUB_ENABLE": name, "HUB_PUBLIC_URL": "https://hub.example.edu"}
    own = {f"HUB_PLUGIN_{key}": value for key, value in PLUGINS.items()
           if key.startswith(name.upper())}  # fmt: skip
    return load({}, None, {**given, **own, **environment}).settings
