"""llama.cpp's server in this process, on a socket file, without what it does to the process around it."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.streams.errors import EngineError

SOCKET = "llama.sock"
BATCH_TOKENS = 64
"""Prefilled at a time: how long a cancelled prompt, or another session's next token, may have to wait.
Batches of 512 were measured to be 5 % faster, and to hold up the others for eight seconds."""

_SILENT = -1
_SIGACTION_BYTES = 256
"""More than ``struct sigaction`` takes on any system: 152 with glibc and musl, 16 on macOS."""


def start_server(model_path: Path, folder: Path, *, threads: int, context_tokens: int, slots: int) -> Any:
    """Load a model and serve it; blocks until it can be asked.

    Args:
        model_path: The GGUF file.
        folder: A folder that only this user may enter; the socket is made in it, and KV caches are saved to
            it and restored from it.
        threads: CPU threads.
        context_tokens: Size of the KV cache that all slots share.
        slots: Sessions whose KV cache can be in memory side by side.

    Returns:
        The server, which listens on `SOCKET` in the folder, and ends when it is deleted.

    Raises:
        EngineError: The extra is missing, or the model cannot be loaded.
    """
    llama = import_from_extra("xllamacpp", "The embedded language model")
    params = llama.CommonParams()
    params.model.path = str(model_path)
    params.load_mode = (
        llama.llama_load_mode.LLAMA_LOAD_MODE_NONE
    )  # mapped weights would stay beside repacked ones
    params.hostnames = [str(folder / SOCKET)]
    params.n_ctx = context_tokens
    params.n_parallel = slots
    params.kv_unified = True  # a long session may use more of the cache than a short one
    params.n_batch = params.n_ubatch = BATCH_TOKENS
    # On a CPU it is slower for one token and for a few, which is what is waited for.
    params.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.slot_save_path = f"{folder}/"
    params.cache_ram_mib = 0  # what leaves a slot is set aside by us, session by session
    params.enable_chat_template = False
    params.ui = False
    params.verbosity = _SILENT
    try:
        with signal_handlers_kept():
            return llama.Server(params)
    except (RuntimeError, ValueError) as error:
        raise EngineError(
            "The language model cannot be loaded; check it with 'hearsight models verify'.",
            code="engine_unavailable",
        ) from error


@contextmanager
def signal_handlers_kept() -> Iterator[None]:
    """Put the handlers of SIGINT and SIGTERM back to what they were before.

    llama.cpp installs its own, made for a program of its own: they stop the model, leave Python in the dark,
    and end the process at once when Ctrl-C is pressed again. They are saved and restored through the C
    library because Python would only let the main thread do so, and models are loaded in another.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    saved = {
        number: ctypes.create_string_buffer(_SIGACTION_BYTES) for number in (signal.SIGINT, signal.SIGTERM)
    }
    for number, action in saved.items():
        libc.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in saved.items():
            libc.sigaction(int(number), action, None)
