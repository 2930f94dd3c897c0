"""The built-in sources, each an ordinary plugin."""

BUILT_INS = ("unified", "legacy", "secure", "onetap", "desk", "imports", "console")
"""The modules of this package that are loaded as plugins, in this order."""

OPTIONAL = ("cards", "forms", "qr", "forward")
"""Those that are loaded only where the setting ``enable`` names them, after the others."""
