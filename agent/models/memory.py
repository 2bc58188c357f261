"""Tells a lack of memory from other faults, whichever library ran out of it, without importing any."""

from __future__ import annotations

from typing import Final

from hearsight.streams.errors import EngineError

OUT_OF_MEMORY: Final = (
    "There is not enough memory left for this answer. Please try again; fewer or smaller pictures, or a new "
    "session, take less."
)
_SIGNS: Final = ("out of memory", "not enough memory", "allocate memory")
"""In the messages of torch's allocators and of onnxruntime's."""


def out_of_memory(error: BaseException) -> EngineError | None:
    """What a client is told if this error is a lack of memory; None if it is something else."""
    lacking = isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and (type(error).__name__ == "OutOfMemoryError" or any(sign in str(error).lower() for sign in _SIGNS))
    )
    return EngineError(OUT_OF_MEMORY, code="out_of_memory") if lacking else None
