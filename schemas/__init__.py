"""The JSON Schemas (draft 2020-12) of the built-in sources: one file a kind of payload."""
