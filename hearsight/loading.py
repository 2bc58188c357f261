"""What has to be on this machine before an engine can be loaded."""

from __future__ import annotations

from rich.console import Console

from hearsight.config.payloads import PayloadStore, required_payloads
from hearsight.config.settings import Settings
from hearsight.extras import require_engine
from hearsight.models_command import open_store, pull_with_progress


def fetch_models(settings: Settings, console: Console) -> PayloadStore:
    """Have every model on this machine that the settings need.

    Args:
        settings: All settings.
        console: Where to draw the progress of downloads.

    Returns:
        The store that holds them.

    Raises:
        StartupError: The engine's packages are not installed, or a model cannot be had.
    """
    require_engine(settings)
    store = open_store(settings)
    here = {status.payload.name for status in store.status() if status.state == "ready"}
    absent = [name for name in required_payloads(settings, store.manifest) if name not in here]
    if absent:
        pull_with_progress(store, absent, console)
    return store
