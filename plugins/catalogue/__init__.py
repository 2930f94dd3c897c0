"""Ready-made sources of well-known systems, each an ordinary plugin that is off until it is enabled."""
