"""The kit for those who write a plugin."""
