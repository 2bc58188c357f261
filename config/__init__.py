"""Settings: TOML presets, environment, and the manifest of model payloads."""
