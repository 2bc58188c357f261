"""The sans-IO session."""
