"""The default engine: small open models on the CPU."""
