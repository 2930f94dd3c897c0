"""Configuration: one typed table, read from defaults, a TOML file, the environment and options."""
