"""Plugins: what one declares, the hooks it may implement, and how plugins are found and called."""
