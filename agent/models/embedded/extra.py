"""Libraries of the ``embedded`` extra, imported when a model is loaded and not before."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

from hearsight.streams.errors import EngineError


def import_from_extra(module: str, purpose: str) -> ModuleType:
    """Import a library that only the embedded engine needs.

    Args:
        module: Its dotted name.
        purpose: What it does for the user, as the beginning of a sentence: ``Speech to text``.

    Raises:
        EngineError: It is not installed, or cannot be loaded on this machine.
    """
    # OpenMP's threads spin while they wait for each other. On cores that hearing, thinking and speaking share
    # they burn the time that the thread they wait for needs: decoding was measured to fall from 20 tokens a
    # second to less than one. OpenMP reads this once, when the library is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"{purpose} needs the embedded extra; install it with: pip install 'hearsight[embedded]'",
            code="engine_unavailable",
        ) from error
