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
    # OpenMP's threads spin while they wait for each other. On cores that hearing, thinking and speaking
    # share they burn the time that the thread they wait for needs; asleep, they wake too late for the next
    # of a token's hundreds of steps. Measured on two cores: spinning for ever, 25 tokens a second alone and
    # 10 next to a busy program; not at all, 18 and 11; for so many turns as here, 25 and 12. Only GNU's
    # OpenMP can be told how many; others sleep. It is read once, when the library is loaded.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "passive"
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EngineError(
            f"{purpose} needs the embedded extra; install it with: pip install 'hearsight[embedded]'",
            code="engine_unavailable",
        ) from error
