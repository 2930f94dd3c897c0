"""The built-in sources, each an ordinary plugin."""

BUILT_INS = ("unified", "legacy", "secure", "onetap", "desk", "imports", "console")
"""The modules of this package that are loaded as plugins, in this order."""

CATALOGUE = (
    "zoom",
    "slack",
    "jotform",
    "twilio",
    "eventbrite",
    "zkteco",
    "canvas",
    "readers",
    "typeform",
    "msforms",
    "calendly",
    "pretix",
    "luma",
    "discord",
    "unifi",
)
"""Ready-made sources of well-known systems, in the folder ``catalogue``."""

OPTIONAL = ("cards", "forms", "qr", "forward", *CATALOGUE)
"""Those that are loaded only where the setting ``enable`` names them, after the others."""


def module_of(name: str) -> str:
    """The module of a built-in plugin."""
    folder = "catalogue." if name in CATALOGUE else ""
    return f"hub_plugins.{folder}{name}"
